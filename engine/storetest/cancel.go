package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
)

var cancelRules = []rule{
	{"a cancel is delivered with all its fields", func(t *testing.T, s engine.Store) {
		f := cancels(t, s, 2)
		for _, want := range []engine.Cancel{
			{ID: "x", At: now(), Reason: "why"},
			{ID: "root.1-2", At: now().Add(-time.Hour), Reason: "parent gone", Parent: "root.1"},
		} {
			check(t, s.Cancel(t.Context(), want))
			m := next(t, f)
			sameCancel(t, m.Cancel, want)
			done(t, m)
		}
	}},

	{"a cancel waits for a feed", func(t *testing.T, s engine.Store) {
		check(t, s.Cancel(t.Context(), engine.Cancel{ID: "x", At: now(), Reason: "why"}))
		time.Sleep(24 * time.Hour)
		done(t, next(t, cancels(t, s, 1)))
	}},

	{"a cancel is redelivered until it is done", func(t *testing.T, s engine.Store) {
		want := engine.Cancel{ID: "x", At: now(), Reason: "why"}
		check(t, s.Cancel(t.Context(), want))
		f := cancels(t, s, 5)
		m := next(t, f)
		sameCancel(t, m.Cancel, want)
		m = at(t, f, time.Now().Add(s.Limits().Lease))
		sameCancel(t, m.Cancel, want)
		sendBack(t, m, time.Now(), false)
		m = next(t, f)
		when := now().Add(500 * time.Millisecond)
		sendBack(t, m, when, false)
		m = at(t, f, when)
		sameCancel(t, m.Cancel, want)
		time.Sleep(s.Limits().Lease / 2)
		check(t, m.Extend(t.Context()))
		silent(t, f, s.Limits().Lease*3/4)
		done(t, m)
		silent(t, f, lost(s))
	}},

	{"a cancel of an unknown execution is delivered, too", func(t *testing.T, s engine.Store) {
		check(t, s.Cancel(t.Context(), engine.Cancel{ID: "unborn.7", At: now(), Parent: "unborn"}))
		m := next(t, cancels(t, s, 1))
		if m.Cancel.ID != "unborn.7" {
			t.Errorf("id = %s, want unborn.7", m.Cancel.ID)
		}
		done(t, m)
	}},

	{"the executions below a failed parent are cancelled, except those that it knows to have finished", func(t *testing.T, s engine.Store) {
		children := make([]engine.Spawn, 5)
		for i := range children {
			children[i] = engine.Spawn{Task: fmt.Sprintf("child-%d", i), Queue: queue}
		}
		x := execution(t, "root")
		x.Policy.OnChildFailure = engine.FailFast
		r, _ := move(t, s, engine.Record{Execution: x}, engine.Claimed{At: now()}, engine.Returned{At: now(), Children: children})
		r, fx := move(t, s, r, engine.ChildrenEnded{At: now(), Children: []engine.Closure{
			childClosure(r.Execution, 1, engine.Completed), childClosure(r.Execution, 3, engine.Failed),
		}})
		belowCancelled(t, s, r, fx, "root.0", "root.2", "root.4")
	}},

	{"the finalize of a cancelled parent is cancelled", func(t *testing.T, s engine.Store) {
		r, _ := move(t, s, engine.Record{Execution: execution(t, "root")}, engine.Claimed{At: now()},
			engine.Returned{At: now(), Finalize: &engine.Spawn{Task: "finalize", Queue: queue}})
		r, fx := move(t, s, r, engine.CancelRequested{At: now(), Reason: "why"})
		belowCancelled(t, s, r, fx, "root.f")
	}},

	{"nothing is cancelled below a parent whose children have all finished", func(t *testing.T, s engine.Store) {
		r, _ := move(t, s, engine.Record{Execution: execution(t, "root")}, engine.Claimed{At: now()},
			engine.Returned{At: now(), Children: []engine.Spawn{{Task: "child", Queue: queue}}})
		r, fx := move(t, s, r, engine.ChildrenEnded{At: now(), Children: []engine.Closure{childClosure(r.Execution, 0, engine.Completed)}})
		belowCancelled(t, s, r, append(fx, engine.CancelBelow{Parent: &r.Execution}))
	}},

	{"a withdrawn execution is not delivered", func(t *testing.T, s engine.Store) {
		x, y := execution(t, "x"), later(t, "y", 5*time.Minute)
		enqueue(t, s, x, y)
		carry(t, s, engine.Withdraw{Execution: &x}, engine.Withdraw{Execution: &y})
		absent(t, s, "x")
		absent(t, s, "y")
		silent(t, claim(t, s, 2), 6*time.Minute)
	}},

	{"an execution that waits for a timer can be withdrawn", func(t *testing.T, s engine.Store) {
		f := claim(t, s, 5)
		x, y, z := later(t, "x", 900*time.Millisecond), later(t, "y", 5*time.Minute), execution(t, "z")
		enqueue(t, s, x, y, z)
		sendBack(t, next(t, f), now().Add(5*time.Minute), false) // z
		time.Sleep(500 * time.Millisecond)                       // a store may move them meanwhile
		carry(t, s, engine.Withdraw{Execution: &x}, engine.Withdraw{Execution: &y}, engine.Withdraw{Execution: &z})
		silent(t, f, 6*time.Minute)
		for _, id := range []string{"x", "y", "z"} {
			absent(t, s, id)
		}
	}},

	{"withdrawing removes that execution only, and withdrawing a missing one does no harm", func(t *testing.T, s engine.Store) {
		x, y := execution(t, "x"), execution(t, "x.1")
		y.Parent, y.Index, y.RetryOf = "x", 1, "" // only a root may have RetryOf
		enqueue(t, s, x, y)
		carry(t, s, engine.Withdraw{Execution: new(execution(t, "z"))}, engine.Withdraw{Execution: &x}, engine.Withdraw{Execution: &x})
		f := claim(t, s, 2)
		d := next(t, f)
		same(t, d.Execution, y)
		done(t, d)
		silent(t, f, lost(s))
	}},

	// In nats-server, a purge of one subject moves the consumer's ack floor past messages that are
	// still held. The server never redelivers a message below the floor.
	{"a held message is redelivered, even if another message is withdrawn", func(t *testing.T, s engine.Store) {
		f := claim(t, s, 3)
		enqueue(t, s, execution(t, "a"), execution(t, "b"))
		a, b, begun := next(t, f), next(t, f), time.Now()
		carry(t, s, engine.Withdraw{Execution: &b.Execution})
		enqueue(t, s, execution(t, "c"))
		done(t, next(t, f))
		f.Request(3)
		d := at(t, f, begun.Add(s.Limits().Lease))
		same(t, d.Execution, a.Execution)
		done(t, d)
		silent(t, f, lost(s))
	}},

	{"the held message of a timer is redelivered, even if another message is withdrawn", func(t *testing.T, s engine.Store) {
		f := claim(t, s, 3)
		a, b, c := later(t, "a", 1500*time.Millisecond), later(t, "b", 2000*time.Millisecond), later(t, "c", 2500*time.Millisecond)
		enqueue(t, s, a, b, c)
		at(t, f, a.StartAt)
		begun := time.Now()
		at(t, f, b.StartAt)
		carry(t, s, engine.Withdraw{Execution: &b})
		done(t, at(t, f, c.StartAt))
		f.Request(3)
		d := at(t, f, begun.Add(s.Limits().Lease))
		same(t, d.Execution, a)
		done(t, d)
		silent(t, f, lost(s))
	}},

	{"a withdrawn id may be enqueued again", func(t *testing.T, s engine.Store) {
		x := execution(t, "x")
		enqueue(t, s, x)
		carry(t, s, engine.Withdraw{Execution: &x})
		enqueue(t, s, x)
		f := claim(t, s, 2)
		done(t, next(t, f))
		silent(t, f, lost(s))
	}},
}

// belowCancelled carries out the effects of r. It fails the test unless the feed and the notices
// have cancels for exactly these ids.
func belowCancelled(t *testing.T, s engine.Store, r engine.Record, fx []engine.Effect, ids ...string) {
	t.Helper()
	heard := watch(t, s, engine.Topic{})
	carry(t, s, fx...)
	f := cancels(t, s, len(ids)+1)
	var got []string
	for range ids {
		m := next(t, f)
		got = append(got, m.Cancel.ID)
		if c := m.Cancel; c.Parent != r.ID || !c.At.Equal(r.FinishedAt) || c.Reason == "" {
			t.Errorf("cancel = %+v, want parent %s, at %s and a reason", c, r.ID, r.FinishedAt)
		}
		done(t, m)
	}
	silent(t, f, lost(s))
	if slices.Sort(got); !slices.Equal(got, ids) {
		t.Errorf("cancelled %v, want %v", got, ids)
	}
	var noticed []string
	for _, n := range heard() {
		if n.Cancel == nil {
			t.Errorf("noticed %+v, want cancels only", n)
			continue
		}
		noticed = append(noticed, n.Cancel.ID)
	}
	if slices.Sort(noticed); !slices.Equal(noticed, ids) {
		t.Errorf("noticed %v, want %v", noticed, ids)
	}
}

func sameCancel(t *testing.T, got, want engine.Cancel) {
	t.Helper()
	if !got.At.Equal(want.At) {
		t.Errorf("at = %s, want %s", got.At, want.At)
	}
	if got.At = want.At; got != want {
		t.Errorf("cancel = %+v, want %+v", got, want)
	}
}
