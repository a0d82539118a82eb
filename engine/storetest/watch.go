package storetest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
)

var watchRules = []rule{
	{"a watcher of an outcome gets it", func(t *testing.T, s engine.Store) {
		heard, others := watch(t, s, engine.Topic{Outcome: "x"}), watch(t, s, engine.Topic{Outcome: "y"})
		all := watch(t, s, engine.Topic{})
		want := finished(t, "x")
		carry(t, s, engine.Announce{Execution: &want})
		got := heard()
		if len(got) != 1 || got[0].Finished == nil || got[0].Cancel != nil || got[0].Reconnected {
			t.Fatalf("heard %+v, want the end of x once", got)
		}
		same(t, *got[0].Finished, want)
		if n := len(others()) + len(all()); n != 0 {
			t.Errorf("%d notices to other watchers, want 0", n)
		}
	}},

	{"a watcher of an outcome that is too long learns that there is one", func(t *testing.T, s engine.Store) {
		heard := watch(t, s, engine.Topic{Outcome: "x"})
		x := finished(t, "x")
		x.Input, x.Output = payload(s.Limits().Payload), payload(s.Limits().Payload)
		carry(t, s, engine.Announce{Execution: &x})
		got := heard()
		if len(got) != 1 || got[0].Finished == nil || got[0].Finished.ID != "x" {
			t.Fatalf("heard %d notices, want the end of x once", len(got))
		}
		if got[0].Finished.Status != "" {
			same(t, whole(t, s, *got[0].Finished), x) // a notice has all fields, or only the id
		}
	}},

	{"every watcher of cancels gets a cancel", func(t *testing.T, s engine.Store) {
		one, two := watch(t, s, engine.Topic{}), watch(t, s, engine.Topic{})
		outcome := watch(t, s, engine.Topic{Outcome: "x"})
		want := engine.Cancel{ID: "x", At: now(), Reason: "why"}
		check(t, s.Cancel(t.Context(), want))
		for _, heard := range []func() []engine.Notice{one, two} {
			got := heard()
			if len(got) != 1 || got[0].Cancel == nil || got[0].Finished != nil || got[0].Reconnected {
				t.Fatalf("heard %+v, want the cancel of x once", got)
			}
			sameCancel(t, *got[0].Cancel, want)
		}
		if got := outcome(); len(got) != 0 {
			t.Errorf("heard %+v while waiting for an outcome, want nothing", got)
		}
	}},

	{"a watcher gets a cancel once, even if its message is received or redelivered", func(t *testing.T, s engine.Store) {
		heard := watch(t, s, engine.Topic{})
		check(t, s.Cancel(t.Context(), engine.Cancel{ID: "x", At: now(), Reason: "why"}))
		f := cancels(t, s, 3)
		sendBack(t, next(t, f), time.Now(), false)
		done(t, next(t, f))
		time.Sleep(lost(s))
		if got := heard(); len(got) != 1 {
			t.Errorf("heard %d notices, want 1", len(got))
		}
	}},

	{"a watcher gets one notice at a time", func(t *testing.T, s engine.Store) {
		const n = 30
		var calls, most, count atomic.Int32
		stop, err := s.Watch(t.Context(), engine.Topic{}, func(engine.Notice) {
			most.Store(max(most.Load(), calls.Add(1)))
			time.Sleep(time.Millisecond)
			calls.Add(-1)
			count.Add(1)
		})
		check(t, err)
		defer stop()
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() {
				if err := s.Cancel(t.Context(), engine.Cancel{ID: fmt.Sprintf("x%d", i), At: now()}); err != nil {
					t.Errorf("cancel: %v", err)
				}
			})
		}
		all.Wait()
		time.Sleep(time.Second)
		if count.Load() != n || most.Load() != 1 {
			t.Errorf("%d notices, %d at a time, want %d, 1", count.Load(), most.Load(), n)
		}
	}},

	{"a watcher may use the store", func(t *testing.T, s engine.Store) {
		heard := make(chan error, 1)
		stop, err := s.Watch(t.Context(), engine.Topic{Outcome: "x"}, func(n engine.Notice) {
			if n.Finished == nil {
				return
			}
			_, err := s.Update(t.Context(), *n.Finished, 0)
			if err == nil {
				err = s.Cancel(t.Context(), engine.Cancel{ID: "y", At: now()})
			}
			heard <- err
		})
		check(t, err)
		defer stop()
		carry(t, s, engine.Announce{Execution: new(finished(t, "x"))})
		select {
		case err := <-heard:
			check(t, err)
		case <-time.After(patience):
			t.Fatal("heard nothing")
		}
	}},

	{"a watcher gets no notices after stop", func(t *testing.T, s engine.Store) {
		var count atomic.Int32
		fn := func(engine.Notice) { count.Add(1) }
		stopCancels, err := s.Watch(t.Context(), engine.Topic{}, fn)
		check(t, err)
		stopOutcome, err := s.Watch(t.Context(), engine.Topic{Outcome: "x"}, fn)
		check(t, err)
		still := watch(t, s, engine.Topic{})
		stopCancels()
		stopOutcome()
		stopOutcome() // a second call does no harm
		check(t, s.Cancel(t.Context(), engine.Cancel{ID: "x", At: now()}))
		carry(t, s, engine.Announce{Execution: new(finished(t, "x"))})
		if got := still(); len(got) != 1 {
			t.Errorf("the watcher that did not stop got %d notices, want 1", len(got))
		}
		if n := count.Load(); n != 0 {
			t.Errorf("%d notices, want 0", n)
		}
	}},

	{"a watch outlives the context that it was opened with", func(t *testing.T, s engine.Store) {
		heard := make(chan engine.Notice, 1)
		stop, err := outlived(t, func(ctx context.Context) (func(), error) {
			return s.Watch(ctx, engine.Topic{}, func(n engine.Notice) { heard <- n })
		})
		check(t, err)
		defer stop()
		time.Sleep(time.Minute)
		check(t, s.Cancel(t.Context(), engine.Cancel{ID: "x", At: now()}))
		select {
		case <-heard:
		case <-time.After(patience):
			t.Error("heard nothing, want the cancel")
		}
	}},
}

// finished returns a completed execution.
func finished(t *testing.T, id string) engine.Execution {
	t.Helper()
	x := execution(t, id)
	x.Status, x.StartedAt, x.FinishedAt, x.ChangedAt, x.Output = engine.Completed, now(), now(), now(), payload(100)
	return x
}

// watch returns a function that waits for notices on their way, and returns all notices of the
// topic so far.
func watch(t *testing.T, s engine.Store, topic engine.Topic) func() []engine.Notice {
	t.Helper()
	var mu sync.Mutex
	var list []engine.Notice
	stop, err := s.Watch(t.Context(), topic, func(n engine.Notice) {
		mu.Lock()
		defer mu.Unlock()
		list = append(list, n)
	})
	check(t, err)
	t.Cleanup(stop)
	return func() []engine.Notice {
		time.Sleep(late)
		mu.Lock()
		defer mu.Unlock()
		return list
	}
}
