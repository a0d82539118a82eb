package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
)

var spawnRules = []rule{
	{"children are enqueued as the parent's record lists them", func(t *testing.T, s engine.Store) {
		parent, fx := spawning(t, s, 5, 10)
		f := claim(t, s, 5)
		carry(t, s, fx...)
		for _, d := range bornIn(t, s, f, parent, 5) {
			if !d.Fresh {
				t.Errorf("%s is not fresh, want fresh", d.Execution.ID)
			}
		}
	}},

	{"enqueueing children again does no harm", func(t *testing.T, s engine.Store) {
		parent, fx := spawning(t, s, 20, 10)
		carry(t, s, fx...)
		carry(t, s, fx...) // as after a call whose answer was lost
		carry(t, s, engine.Effects(get(t, s, parent.ID).Execution)...)
		born(t, s, parent, 20)
	}},

	{"children enqueued again after a crash are not fresh", func(t *testing.T, s engine.Store) {
		parent, _ := spawning(t, s, 5, 10)
		carry(t, s, engine.Effects(get(t, s, parent.ID).Execution)...)
		for _, d := range born(t, s, parent, 5) {
			if d.Fresh {
				t.Errorf("%s is fresh, want not: it may have run", d.Execution.ID)
			}
		}
	}},

	{"a child with a delay is due later", func(t *testing.T, s engine.Store) {
		x := execution(t, "parent")
		f := claim(t, s, 1)
		child := engine.Spawn{Task: "child", Queue: queue, Policy: engine.Policy{Delay: time.Hour}}
		r, fx := move(t, s, engine.Record{Execution: x}, engine.Claimed{At: now()}, engine.Returned{At: now(), Children: []engine.Spawn{child}})
		carry(t, s, fx...)
		d := at(t, f, r.ChangedAt.Add(time.Hour))
		same(t, d.Execution, r.Child(0, child))
		done(t, d)
	}},

	{"a finalize is enqueued, and enqueueing it again does no harm", func(t *testing.T, s engine.Store) {
		x := execution(t, "parent")
		r, fx := move(t, s, engine.Record{Execution: x}, engine.Claimed{At: now()}, engine.Returned{
			At: now(), Output: payload(100), Finalize: &engine.Spawn{Task: "finalize", Queue: queue, Policy: x.Policy},
		})
		carry(t, s, fx...)
		carry(t, s, engine.Effects(get(t, s, r.ID).Execution)...)
		f := claim(t, s, 3)
		d := next(t, f)
		same(t, d.Execution, r.FinalizeExecution())
		done(t, d)
		silent(t, f, lost(s))
	}},

	{"thousands of children are enqueued by one record", func(t *testing.T, s engine.Store) {
		parent, fx := spawning(t, s, 3000, 500)
		carry(t, s, fx...)
		born(t, s, parent, 3000)
	}},

	{"thousands of children are enqueued by a record that was read again", func(t *testing.T, s engine.Store) {
		parent, _ := spawning(t, s, 3000, 500)
		read := get(t, s, parent.ID)
		if read.Spawned != 3000 {
			t.Fatalf("spawned = %d, want 3000", read.Spawned)
		}
		carry(t, s, engine.Effects(read.Execution)...)
		carry(t, s, engine.Effects(read.Execution)...)
		born(t, s, parent, 3000)
	}},

	{"the list of children is kept for the parent's whole life", func(t *testing.T, s engine.Store) {
		for _, n := range []int{3, 3000} {
			written, _ := spawning(t, s, n, 500)
			listed(t, s, written.Execution, written.Spawns)
			read := get(t, s, written.ID)
			listed(t, s, read.Execution, written.Spawns)
			// The writer continues with its own copy, a reader with the copy that it read.
			written, _ = move(t, s, written, engine.ChildrenEnded{At: now(), Children: []engine.Closure{childClosure(read.Execution, 0, engine.Completed)}})
			read = get(t, s, written.ID)
			listed(t, s, read.Execution, written.Spawns)
			read, _ = move(t, s, read, engine.ChildrenEnded{At: now(), Children: []engine.Closure{childClosure(read.Execution, 1, engine.Completed)}})
			move(t, s, read, engine.CancelRequested{At: now(), Reason: "why"})
			listed(t, s, get(t, s, written.ID).Execution, written.Spawns)
		}
	}},

	{"a list of children from a conflicting update does no harm", func(t *testing.T, s engine.Store) {
		for _, n := range []int{3, 3000} {
			won, _ := spawning(t, s, n, 500)
			other := won.Execution
			other.Spawns = slices.Clone(won.Spawns)
			slices.Reverse(other.Spawns)
			conflicts(t, s, other, 0)
			listed(t, s, get(t, s, won.ID).Execution, won.Spawns)
		}
	}},

	{"an execution without children has none to list", func(t *testing.T, s engine.Store) {
		list, err := s.Spawns(t.Context(), execution(t, "x"))
		if len(list) != 0 || err != nil {
			t.Errorf("children = %v, %v, want neither any nor an error", list, err)
		}
	}},

	{"the store leaves Requeue to the holder", func(t *testing.T, s engine.Store) {
		enqueue(t, s, execution(t, "x"))
		f := claim(t, s, 2)
		d := next(t, f)
		carry(t, s, engine.Requeue{At: now()})
		silent(t, f, s.Limits().Lease/2)
		done(t, d)
	}},
}

// spawning writes the record of a parent of n children with inputs of the given size. It returns
// the record as the writer has it, and its effects.
func spawning(t *testing.T, s engine.Store, n, bytes int) (engine.Record, []engine.Effect) {
	t.Helper()
	children := make([]engine.Spawn, n)
	for i := range children {
		input, err := codec.Encode(fmt.Sprintf("%*d", bytes, i))
		check(t, err)
		children[i] = engine.Spawn{Task: "child", Queue: queue, Input: input, Validated: i%2 == 0, Policy: engine.Policy{Timeout: time.Hour}}
	}
	r := engine.Record{Execution: execution(t, fmt.Sprintf("parent-of-%d", n))}
	return move(t, s, r, engine.Claimed{At: now(), Executor: "e"}, engine.Returned{At: now(), Children: children})
}

// born claims each of a parent's n children once, acknowledges it and returns it.
func born(t *testing.T, s engine.Store, parent engine.Record, n int) []*engine.Delivery {
	t.Helper()
	return bornIn(t, s, claim(t, s, min(n, 100)), parent, n)
}

func bornIn(t *testing.T, s engine.Store, f engine.Feed[*engine.Delivery], parent engine.Record, n int) []*engine.Delivery {
	t.Helper()
	want := map[string]engine.Execution{}
	for i, spawn := range parent.Spawns {
		x := parent.Child(i, spawn)
		want[x.ID] = x
	}
	list := make([]*engine.Delivery, n)
	for i := range list {
		d := next(t, f)
		f.Request(1)
		x, ok := want[d.Execution.ID]
		if !ok {
			t.Fatalf("delivered %s, want each child of %d once", d.Execution.ID, n)
		}
		delete(want, d.Execution.ID)
		same(t, d.Execution, x)
		done(t, d)
		list[i] = d
	}
	silent(t, f, lost(s))
	return list
}

// listed fails the test unless the store returns the children of x.
func listed(t *testing.T, s engine.Store, x engine.Execution, want []engine.Spawn) {
	t.Helper()
	got, err := s.Spawns(t.Context(), x)
	check(t, err)
	if len(got) != len(want) {
		t.Fatalf("%d children, want %d", len(got), len(want))
	}
	for i := range want {
		same(t, x.Child(i, got[i]), x.Child(i, want[i]))
	}
}
