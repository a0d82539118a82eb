package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
)

var feedRules = []rule{
	{"a feed delivers as many messages as were requested, and leaves the rest to other feeds", func(t *testing.T, s engine.Store) {
		enqueue(t, s, numbered(t, 10)...)
		idle, f := claim(t, s, 0), claim(t, s, 3)
		for range 3 {
			done(t, next(t, f))
		}
		silent(t, f, lost(s))
		silent(t, idle, 0)
		f.Request(2)
		f.Request(1)
		for range 3 {
			done(t, next(t, f))
		}
		silent(t, f, lost(s))
		idle.Request(4)
		for range 4 {
			done(t, next(t, idle))
		}
	}},

	{"two feeds share a queue, and each message goes to one of them", func(t *testing.T, s engine.Store) {
		const n = 100
		a, b := claim(t, s, n), claim(t, s, n)
		enqueue(t, s, numbered(t, n)...)
		got, fromA, fromB := map[string]bool{}, 0, 0
		for len(got) < n {
			var d *engine.Delivery
			select {
			case d = <-a.Messages():
				fromA++
			case d = <-b.Messages():
				fromB++
			case <-time.After(patience):
				t.Fatalf("%d messages arrived, want %d", len(got), n)
			}
			if got[d.Execution.ID] {
				t.Fatalf("%s arrived twice", d.Execution.ID)
			}
			got[d.Execution.ID] = true
			done(t, d)
		}
		if min(fromA, fromB) < n/5 {
			t.Errorf("one feed got %d, the other %d, want at least a fifth each", fromA, fromB)
		}
		silent(t, a, lost(s))
		silent(t, b, 0)
	}},

	{"a withdrawn request leaves the messages to other feeds", func(t *testing.T, s engine.Store) {
		a, b := claim(t, s, 5), claim(t, s, 0)
		a.Request(-4)
		enqueue(t, s, numbered(t, 6)...)
		done(t, next(t, a))
		b.Request(5)
		for range 5 {
			done(t, at(t, b, time.Now()))
		}
		silent(t, a, lost(s))
		a.Request(2)
		enqueue(t, s, execution(t, "y"), execution(t, "z"))
		done(t, next(t, a))
		done(t, next(t, a))
	}},

	{"a feed that closes gives back the unreceived messages", func(t *testing.T, s engine.Store) {
		enqueue(t, s, numbered(t, 10)...)
		a := claim(t, s, 10)
		kept := map[string]bool{}
		for range 3 {
			d := next(t, a)
			kept[d.Execution.ID] = true
			defer done(t, d)
		}
		b := claim(t, s, 10)
		a.Close()
		for range 7 {
			d := next(t, b)
			if kept[d.Execution.ID] {
				t.Errorf("%s was given back, but it had been received", d.Execution.ID)
			}
			done(t, d)
		}
		silent(t, b, s.Limits().Lease/2)
	}},

	{"the messages of a closed feed can still be acknowledged, returned and extended", func(t *testing.T, s engine.Store) {
		enqueue(t, s, numbered(t, 3)...)
		a := claim(t, s, 3)
		x, y, z := next(t, a), next(t, a), next(t, a)
		a.Close()
		b := claim(t, s, 3)
		done(t, x)
		sendBack(t, y, time.Time{}, false)
		if d := next(t, b); d.Execution.ID != y.Execution.ID {
			t.Errorf("delivered %s, want %s", d.Execution.ID, y.Execution.ID)
		} else {
			done(t, d)
		}
		silent(t, b, s.Limits().Lease/2)
		check(t, z.Extend(t.Context()))
		silent(t, b, s.Limits().Lease*3/4)
		done(t, z)
		silent(t, b, lost(s))
	}},

	{"a feed closes its channel, may be closed twice, and requests nothing after that", func(t *testing.T, s engine.Store) {
		f := claim(t, s, 5)
		f.Close()
		f.Close()
		f.Request(5)
		select {
		case d, ok := <-f.Messages():
			if ok {
				t.Errorf("message = %+v, want none", d)
			}
		case <-time.After(patience):
			t.Error("channel open, want it closed")
		}
		enqueue(t, s, execution(t, "x"))
		done(t, next(t, claim(t, s, 1)))
	}},

	{"any goroutine may request messages while others receive them", func(t *testing.T, s engine.Store) {
		const n = 50
		f := claim(t, s, 0)
		for range n {
			go f.Request(1)
		}
		enqueue(t, s, numbered(t, n)...)
		for range n {
			done(t, next(t, f))
		}
	}},

	{"feeds outlive the context that they were opened with", func(t *testing.T, s engine.Store) {
		ready, err := outlived(t, func(ctx context.Context) (engine.Feed[*engine.Delivery], error) { return s.Claim(ctx, queue) })
		opened(t, ready, err, 1)
		ended, err := outlived(t, s.Closures)
		opened(t, ended, err, 1)
		ending, err := outlived(t, s.Cancels)
		opened(t, ending, err, 1)

		time.Sleep(time.Minute)
		enqueue(t, s, execution(t, "x"))
		done(t, next(t, ready))
		carry(t, s, engine.TellParent{Closure: closure("x", 0)})
		done(t, next(t, ended))
		check(t, s.Cancel(t.Context(), engine.Cancel{ID: "x", At: now(), Reason: "why"}))
		done(t, next(t, ending))
	}},
}

func numbered(t *testing.T, n int) []engine.Execution {
	t.Helper()
	list := make([]engine.Execution, n)
	for i := range list {
		list[i] = execution(t, fmt.Sprintf("x%d", i))
	}
	return list
}
