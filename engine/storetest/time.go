package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
)

var timeRules = []rule{
	{"a delayed execution is delivered in time, after any delay", func(t *testing.T, s engine.Store) {
		f := claim(t, s, 20)
		comesInTime(t, s, f)
	}},

	{"a delayed execution is delivered at once to a feed that opens after its time", func(t *testing.T, s engine.Store) {
		x := later(t, "x", time.Hour)
		enqueue(t, s, x)
		time.Sleep(2 * time.Hour)
		d := next(t, claim(t, s, 1))
		same(t, d.Execution, x)
		done(t, d)
	}},

	{"a delayed execution is delivered in time to a feed that opens before its time", func(t *testing.T, s engine.Store) {
		x := later(t, "x", time.Hour)
		enqueue(t, s, x)
		time.Sleep(30 * time.Minute)
		d := at(t, claim(t, s, 1), x.StartAt)
		same(t, d.Execution, x)
		done(t, d)
	}},

	{"a delayed execution outlives the feed that was open when it was enqueued", func(t *testing.T, s engine.Store) {
		f := claim(t, s, 1)
		x, y := later(t, "x", time.Hour), later(t, "y", 500*time.Millisecond)
		enqueue(t, s, x, y)
		time.Sleep(100 * time.Millisecond)
		f.Close()
		time.Sleep(2 * time.Hour)
		got := map[string]bool{}
		f = claim(t, s, 3)
		for range 2 {
			d := at(t, f, time.Now())
			got[d.Execution.ID] = true
			done(t, d)
		}
		if !got["x"] || !got["y"] {
			t.Errorf("delivered %v, want x and y", got)
		}
		silent(t, f, lost(s))
	}},

	{"a delayed execution is found, and stays as it was enqueued", func(t *testing.T, s engine.Store) {
		x, y := later(t, "x", time.Hour), later(t, "y", 800*time.Millisecond)
		enqueue(t, s, x, y)
		same(t, get(t, s, "x").Execution, x)
		same(t, get(t, s, "y").Execution, y)
		f := claim(t, s, 2) // a store may move delayed messages when a feed opens
		time.Sleep(500 * time.Millisecond)
		same(t, get(t, s, "x").Execution, x)
		same(t, get(t, s, "y").Execution, y)
		d := at(t, f, y.StartAt)
		same(t, d.Execution, y)
		done(t, d)
		d = at(t, f, x.StartAt)
		same(t, d.Execution, x)
		same(t, get(t, s, "x").Execution, x)
		done(t, d)
		absent(t, s, "x")
	}},

	{"an execution that waited for a timer is not fresh", func(t *testing.T, s engine.Store) {
		f := claim(t, s, 2)
		x, y := later(t, "x", 500*time.Millisecond), later(t, "y", time.Hour)
		enqueue(t, s, x, y)
		for _, x := range []engine.Execution{x, y} {
			d := at(t, f, x.StartAt)
			if d.Fresh {
				t.Errorf("%s is fresh, want not: it may have been cancelled long ago", d.Execution.ID)
			}
			done(t, d)
		}
	}},
}

func comesInTime(t *testing.T, s engine.Store, f engine.Feed[*engine.Delivery]) {
	var list []engine.Execution
	for i, d := range []time.Duration{
		40 * time.Millisecond, 700 * time.Millisecond, 1100 * time.Millisecond, 2500 * time.Millisecond,
		90 * time.Second, 3 * time.Hour,
	} {
		list = append(list, later(t, fmt.Sprintf("x%d", i), d))
	}
	enqueue(t, s, list...)
	for _, want := range list { // their times are so far apart that they arrive in this order
		d := at(t, f, want.StartAt)
		same(t, d.Execution, want)
		done(t, d)
	}
	silent(t, f, lost(s))
}

// later returns an execution that is due in d.
func later(t *testing.T, id string, d time.Duration) engine.Execution {
	t.Helper()
	x := execution(t, id)
	x.Policy.Delay = d
	x.StartAt = now().Add(d)
	return x
}
