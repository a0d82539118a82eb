package storetest

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
)

var listRules = []rule{
	{"an empty store lists nothing", func(t *testing.T, s engine.Store) {
		lists(t, s, engine.Filter{})
	}},

	{"every execution is listed once, recorded or not", func(t *testing.T, s engine.Store) {
		family(t, s)
		lists(t, s, engine.Filter{}, "a", "a.0", "a.1", "a.2", "ab", "b", "c", "d")
		f := claim(t, s, 20) // a store may move delayed messages when a feed opens
		time.Sleep(time.Second)
		lists(t, s, engine.Filter{}, "a", "a.0", "a.1", "a.2", "ab", "b", "c", "d")
		f.Close()
	}},

	{"a listed execution equals the result of Get", func(t *testing.T, s engine.Store) {
		family(t, s)
		for r, err := range s.List(t.Context(), engine.Filter{}) {
			check(t, err)
			want := get(t, s, r.ID)
			same(t, r.Execution, want.Execution)
			if r.Revision != want.Revision {
				t.Errorf("%s: revision %d, want %d", r.ID, r.Revision, want.Revision)
			}
		}
	}},

	{"a tree is listed completely, without other trees", func(t *testing.T, s engine.Store) {
		family(t, s)
		lists(t, s, engine.Filter{Tree: "a"}, "a", "a.0", "a.1", "a.2")
		lists(t, s, engine.Filter{Tree: "ab"}, "ab")
		lists(t, s, engine.Filter{Tree: "c"}, "c")
		lists(t, s, engine.Filter{Tree: "nobody"})
	}},

	{"executions are listed by status", func(t *testing.T, s engine.Store) {
		family(t, s)
		lists(t, s, engine.Filter{Status: engine.Ready}, "a.0", "a.1", "c", "d")
		lists(t, s, engine.Filter{Status: engine.WaitingForChildren}, "a")
		lists(t, s, engine.Filter{Status: engine.Completed}, "a.2", "ab")
		lists(t, s, engine.Filter{Status: engine.Running}, "b")
		lists(t, s, engine.Filter{Status: engine.Failed})
		lists(t, s, engine.Filter{Statuses: []engine.Status{engine.Completed, engine.Running, engine.Failed}}, "a.2", "ab", "b")
		lists(t, s, engine.Filter{Statuses: []engine.Status{engine.Ready, engine.WaitingForChildren}, Roots: true}, "a", "c", "d")
		lists(t, s, engine.Filter{Status: engine.Ready, Statuses: []engine.Status{engine.Completed}})
	}},

	{"executions are listed by task", func(t *testing.T, s engine.Store) {
		family(t, s)
		lists(t, s, engine.Filter{Task: task}, "a", "ab", "b", "c")
		lists(t, s, engine.Filter{Task: "child"}, "a.0", "a.1", "a.2")
		lists(t, s, engine.Filter{Task: "other"}, "d")
		lists(t, s, engine.Filter{Task: "chil"})
	}},

	{"executions are listed by the other fields of a filter", func(t *testing.T, s engine.Store) {
		family(t, s)
		lists(t, s, engine.Filter{Parent: "a"}, "a.0", "a.1", "a.2")
		lists(t, s, engine.Filter{Parent: "a.0"})
		lists(t, s, engine.Filter{Prefix: "a"}, "a", "a.0", "a.1", "a.2", "ab")
		lists(t, s, engine.Filter{Roots: true}, "a", "ab", "b", "c", "d")
		lists(t, s, engine.Filter{Queue: "other"}, "d")
		lists(t, s, engine.Filter{Metadata: engine.Metadata{"Order": "42 a"}, Roots: true, Status: engine.Ready}, "c", "d")
		lists(t, s, engine.Filter{Metadata: engine.Metadata{"Order": "42"}})
		lists(t, s, engine.Filter{Finished: engine.Span{Until: now().Add(time.Hour)}}, "a.2", "ab")
		lists(t, s, engine.Filter{Created: engine.Span{From: now().Add(time.Hour)}})
	}},

	{"all fields of a filter must match", func(t *testing.T, s engine.Store) {
		family(t, s)
		lists(t, s, engine.Filter{Tree: "a", Status: engine.Ready}, "a.0", "a.1")
		lists(t, s, engine.Filter{Tree: "a", Status: engine.Completed, Task: "child"}, "a.2")
		lists(t, s, engine.Filter{Tree: "b", Task: "child"})
		lists(t, s, engine.Filter{Task: task, Status: engine.Ready}, "c")
	}},

	{"the caller of a list may stop early, and may use the store meanwhile", func(t *testing.T, s engine.Store) {
		family(t, s)
		seen := 0
		for r, err := range s.List(t.Context(), engine.Filter{}) {
			check(t, err)
			_, err = s.Update(t.Context(), finished(t, "new"), engine.Revision(0))
			if seen == 0 {
				check(t, err)
			}
			get(t, s, r.ID)
			if seen++; seen == 2 {
				break
			}
		}
		if seen != 2 {
			t.Errorf("saw %d, want 2", seen)
		}
	}},
}

// family stores these executions: a, which waits for its children a.0 (queued), a.1 (delayed) and
// a.2 (completed); ab, completed; b, running and also in the queue; c, delayed; and d, queued,
// with another task and queue.
func family(t *testing.T, s engine.Store) {
	t.Helper()
	child := engine.Spawn{Task: "child", Queue: queue}
	late := child
	late.Policy.Delay = time.Hour
	a, fx := move(t, s, engine.Record{Execution: execution(t, "a")}, engine.Claimed{At: now()},
		engine.Returned{At: now(), Children: []engine.Spawn{child, late, child}})
	carry(t, s, fx...)
	move(t, s, engine.Record{Execution: a.Child(2, child)}, engine.Claimed{At: now()}, engine.Returned{At: now()})
	carry(t, s, engine.Withdraw{Execution: new(a.Child(2, child))})
	update(t, s, finished(t, "ab"), 0)

	enqueue(t, s, execution(t, "b"), later(t, "c", 2*time.Hour))
	move(t, s, get(t, s, "b"), engine.Claimed{At: now(), Executor: "e"})
	d := execution(t, "d")
	d.Task, d.Queue = "other", "other"
	enqueue(t, s, d)
}

// lists fails the test unless the filter selects exactly the executions with these ids.
func lists(t *testing.T, s engine.Store, f engine.Filter, ids ...string) {
	t.Helper()
	got := map[string]int{}
	for r, err := range s.List(t.Context(), f) {
		check(t, err)
		got[r.ID]++
		if got[r.ID] > 1 {
			t.Errorf("%+v lists %s more than once", f, r.ID)
		}
	}
	if seen := slices.Sorted(maps.Keys(got)); !slices.Equal(seen, ids) {
		t.Errorf("%+v lists %v, want %v", f, seen, ids)
	}
}
