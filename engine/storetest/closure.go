package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
)

var closureRules = []rule{
	{"a closure is delivered with all its fields", func(t *testing.T, s engine.Store) {
		f := closures(t, s, 2)
		child, finalize := closure("root.1", 3), closure("root.1", 0)
		child.Status, child.Message = engine.Failed, "why"
		finalize.ID, finalize.IsFinalize = "root.1-f", true
		finalize.Output, finalize.OutputOf = payload(100), "root.1-f-f"
		carry(t, s, engine.TellParent{Closure: child})
		m := next(t, f)
		sameClosure(t, m.Closure, child)
		done(t, m)
		carry(t, s, engine.TellParent{Closure: finalize})
		m = next(t, f)
		sameClosure(t, m.Closure, finalize)
		if m.Again {
			t.Error("again = true, want false: it is the first delivery")
		}
		done(t, m)
	}},

	{"a closure waits for a feed", func(t *testing.T, s engine.Store) {
		carry(t, s, engine.TellParent{Closure: closure("x", 0)})
		time.Sleep(24 * time.Hour)
		done(t, next(t, closures(t, s, 1)))
	}},

	{"a closure is redelivered until it is done", func(t *testing.T, s engine.Store) {
		want := closure("x", 0)
		carry(t, s, engine.TellParent{Closure: want})
		f := closures(t, s, 5)
		next(t, f)
		received := time.Now()
		m := at(t, f, received.Add(s.Limits().Lease))
		again(t, m, want)
		sendBack(t, m, time.Now(), false)
		m = next(t, f)
		again(t, m, want)
		when := now().Add(500 * time.Millisecond)
		sendBack(t, m, when, false)
		m = at(t, f, when)
		again(t, m, want)
		time.Sleep(s.Limits().Lease / 2)
		check(t, m.Extend(t.Context()))
		silent(t, f, s.Limits().Lease*3/4)
		done(t, m)
		silent(t, f, lost(s))
	}},

	{"the closures of many children are delivered once each", func(t *testing.T, s engine.Store) {
		const n = 300
		a, b := closures(t, s, n), closures(t, s, n)
		for i := range n {
			carry(t, s, engine.TellParent{Closure: closure("x", i)})
		}
		seen := map[int]bool{}
		for range n {
			var m engine.ClosureMessage
			select {
			case m = <-a.Messages():
			case m = <-b.Messages():
			case <-time.After(patience):
				t.Fatalf("%d closures arrived, want %d", len(seen), n)
			}
			seen[m.Closure.Index] = true
			done(t, m)
		}
		if len(seen) != n {
			t.Errorf("%d children, want %d", len(seen), n)
		}
		silent(t, a, lost(s))
		silent(t, b, 0)
	}},

	{"a feed of closures that closes gives back the unreceived messages", func(t *testing.T, s engine.Store) {
		for i := range 4 {
			carry(t, s, engine.TellParent{Closure: closure("x", i)})
		}
		a := closures(t, s, 4)
		mine := next(t, a)
		b := closures(t, s, 4)
		a.Close()
		for range 3 {
			done(t, next(t, b))
		}
		silent(t, b, s.Limits().Lease/2)
		done(t, mine)
	}},
}

// closure returns the closure of a completed child.
func closure(parent string, i int) engine.Closure {
	return childClosure(engine.Execution{ID: parent}, i, engine.Completed)
}

func childClosure(parent engine.Execution, i int, s engine.Status) engine.Closure {
	child := parent.Child(i, engine.Spawn{Task: fmt.Sprintf("child-%d", i)})
	return engine.Closure{Parent: parent.ID, ID: child.ID, Task: child.Task, Index: i, Status: s}
}

func sameClosure(t *testing.T, got, want engine.Closure) {
	t.Helper()
	if !got.Output.Equal(want.Output) {
		t.Errorf("output = %s, want %s", got.Output.Data, want.Output.Data)
	}
	if got, want := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); got != want {
		t.Errorf("closure = %s\nwant %s", got, want)
	}
}

func again(t *testing.T, m engine.ClosureMessage, want engine.Closure) {
	t.Helper()
	sameClosure(t, m.Closure, want)
	if !m.Again {
		t.Error("again = false, want true")
	}
}
