package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
)

var recordRules = []rule{
	{"an execution that was not enqueued is not found", func(t *testing.T, s engine.Store) {
		absent(t, s, "x")
		absent(t, s, "x.0")
	}},

	{"an execution is found as soon as it is enqueued", func(t *testing.T, s engine.Store) {
		x := execution(t, "x")
		enqueue(t, s, x)
		unrecorded(t, s, x)
		d := next(t, claim(t, s, 1))
		unrecorded(t, s, x) // while a feed's receiver holds it
		done(t, d)
		absent(t, s, "x")
	}},

	{"once there is a record, Get returns it", func(t *testing.T, s engine.Store) {
		enqueue(t, s, execution(t, "x"))
		r, _ := move(t, s, get(t, s, "x"), engine.Claimed{At: now(), Executor: "e"})
		got := get(t, s, "x")
		same(t, got.Execution, r.Execution)
		if got.Revision == 0 || got.Revision != r.Revision {
			t.Errorf("revision = %d, want %d, not 0", got.Revision, r.Revision)
		}
		done(t, next(t, claim(t, s, 1)))
		same(t, get(t, s, "x").Execution, r.Execution)
	}},

	{"all fields of a record are stored", func(t *testing.T, s engine.Store) {
		x := full(t)
		revision := update(t, s, x, 0)
		got := get(t, s, x.ID)
		same(t, got.Execution, x)
		if got.Revision != revision {
			t.Errorf("revision = %d, want %d", got.Revision, revision)
		}
	}},

	{"a record is created once", func(t *testing.T, s engine.Store) {
		x := execution(t, "x")
		update(t, s, x, 0)
		other := x
		other.Attempt = 1
		conflicts(t, s, other, 0)
		same(t, get(t, s, "x").Execution, x)
	}},

	{"a missing record is not updated", func(t *testing.T, s engine.Store) {
		conflicts(t, s, execution(t, "x"), 1)
		absent(t, s, "x")
		update(t, s, execution(t, "y"), 0)
		conflicts(t, s, execution(t, "x"), get(t, s, "y").Revision)
		absent(t, s, "x")
	}},

	{"a stale revision conflicts and changes nothing", func(t *testing.T, s engine.Store) {
		x := execution(t, "x")
		revisions := []engine.Revision{0}
		for i := range 5 {
			x.Attempt = i
			revisions = append(revisions, update(t, s, x, revisions[i]))
			if revisions[i+1] <= revisions[i] {
				t.Errorf("revision %d after %d, want a higher one", revisions[i+1], revisions[i])
			}
		}
		late := x
		late.Attempt = 100
		for _, revision := range append(revisions[:5], revisions[5]+1) {
			conflicts(t, s, late, revision)
		}
		same(t, get(t, s, "x").Execution, x)
	}},

	{"if several writers use one revision, exactly one succeeds", func(t *testing.T, s engine.Store) {
		const writers, rounds = 16, 20
		x := execution(t, "x")
		var revision engine.Revision
		for round := range rounds {
			winner := make(chan engine.Record, writers)
			var all sync.WaitGroup
			for i := range writers {
				all.Go(func() {
					mine := x
					mine.Attempt, mine.Executor = round, fmt.Sprintf("executor %d", i)
					won, err := s.Update(t.Context(), mine, revision)
					switch {
					case err == nil:
						winner <- engine.Record{Execution: mine, Revision: won}
					case !errors.Is(err, engine.ErrConflict):
						t.Errorf("update = %v, want ErrConflict", err)
					}
				})
			}
			all.Wait()
			if len(winner) != 1 {
				t.Fatalf("%d writers of %d won round %d, want 1", len(winner), writers, round)
			}
			won := <-winner
			same(t, get(t, s, "x").Execution, won.Execution)
			revision = won.Revision
		}
	}},

	{"no update is lost if writers retry after a conflict", func(t *testing.T, s engine.Store) {
		const writers, each = 8, 10
		update(t, s, execution(t, "x"), 0)
		var all sync.WaitGroup
		for range writers {
			all.Go(func() {
				for range each {
					if err := increment(t, s, "x"); err != nil {
						t.Errorf("increment: %v", err)
					}
				}
			})
		}
		all.Wait()
		if got := get(t, s, "x").Attempt; got != writers*each {
			t.Errorf("count = %d, want %d", got, writers*each)
		}
	}},

	{"GetMany returns the executions in the order of the ids", func(t *testing.T, s engine.Store) {
		enqueue(t, s, execution(t, "queued"))
		var ids []string
		for i := range 100 {
			x := execution(t, fmt.Sprintf("x%d", i*37%100))
			x.Attempt = i
			update(t, s, x, 0)
			ids = append(ids, x.ID)
		}
		ids = append(ids, "queued", ids[0])
		records, err := s.GetMany(t.Context(), ids)
		check(t, err)
		if len(records) != len(ids) {
			t.Fatalf("%d records, want %d", len(records), len(ids))
		}
		for i, r := range records {
			if want := get(t, s, ids[i]); r.Revision != want.Revision {
				t.Errorf("record %d: %s at %d, want %s at %d", i, r.ID, r.Revision, want.ID, want.Revision)
			}
			same(t, r.Execution, get(t, s, ids[i]).Execution)
		}
		none, err := s.GetMany(t.Context(), nil)
		if len(none) != 0 || err != nil {
			t.Errorf("GetMany without ids: %v, %v, want no records and no error", none, err)
		}
	}},

	{"GetMany names the missing executions", func(t *testing.T, s engine.Store) {
		update(t, s, execution(t, "here"), 0)
		_, err := s.GetMany(t.Context(), []string{"here", "gone", "here", "lost"})
		if !errors.Is(err, engine.ErrNotFound) {
			t.Fatalf("error = %v, want ErrNotFound", err)
		}
		for _, id := range []string{"gone", "lost"} {
			if !strings.Contains(err.Error(), id) {
				t.Errorf("error = %q, want it to name %s", err, id)
			}
		}
	}},
}

var sizeRules = []rule{
	{"the store has limits", func(t *testing.T, s engine.Store) {
		if l := s.Limits(); l.Payload < 1024 || l.Lease <= 0 {
			t.Errorf("limits = %+v, want a payload of 1 KiB at least, and a lease", l)
		}
	}},

	{"an input up to the limit is accepted, and a longer one refused", func(t *testing.T, s engine.Store) {
		x, y := execution(t, "x"), execution(t, "y")
		x.Input, y.Input = payload(s.Limits().Payload), payload(s.Limits().Payload+1)
		refused(t, s.Enqueue(t.Context(), engine.Due{Execution: x}, engine.Due{Execution: y}), engine.ErrTooLarge, 1)
		absent(t, s, "y")
		same(t, whole(t, s, get(t, s, "x").Execution), x)
		f := claim(t, s, 2)
		d := next(t, f)
		same(t, whole(t, s, d.Execution), x)
		soon := now().Add(1500 * time.Millisecond)
		sendBack(t, d, soon, false) // and by a timer
		d = at(t, f, soon)
		same(t, whole(t, s, d.Execution), x)
		done(t, d)
		silent(t, f, lost(s))
	}},

	{"an input and an output at the limit fit into one record", func(t *testing.T, s engine.Store) {
		x := full(t)
		x.Input, x.Output = payload(s.Limits().Payload), payload(s.Limits().Payload)
		update(t, s, x, 0)
		got := get(t, s, x.ID)
		same(t, whole(t, s, got.Execution), x)
		// Write it again: once as it was read, and once as the writer has it.
		x.Crashes++
		got.Crashes++
		update(t, s, x, update(t, s, got.Execution, got.Revision))
		same(t, whole(t, s, get(t, s, x.ID).Execution), x)
	}},

	{"children get inputs at the limit, even if they are spawned twice", func(t *testing.T, s engine.Store) {
		x := execution(t, "parent")
		x.Status, x.Spawned = engine.WaitingForChildren, 3
		for range x.Spawned {
			x.Spawns = append(x.Spawns, engine.Spawn{Task: "child", Queue: queue, Input: payload(s.Limits().Payload)})
		}
		x.Spawns[1].Input = payload(10)
		update(t, s, x, 0)
		carry(t, s, engine.SpawnChildren{Parent: &x})
		parent := get(t, s, "parent")
		carry(t, s, engine.SpawnChildren{Parent: &parent.Execution, Again: true})
		f := claim(t, s, 10)
		for range x.Spawned {
			d := next(t, f)
			same(t, whole(t, s, d.Execution), x.Child(d.Execution.Index, x.Spawns[d.Execution.Index]))
			done(t, d)
		}
		silent(t, f, lost(s))
	}},

	{"a payload belongs to its tree", func(t *testing.T, s engine.Store) {
		x := execution(t, "x")
		x.Output = payload(s.Limits().Payload)
		update(t, s, x, 0)
		stored := get(t, s, "x").Output
		below, err := s.Load(t.Context(), "x.1-f", stored)
		check(t, err)
		if !below.Equal(x.Output) {
			t.Errorf("below the root: %d bytes of %s", len(below.Data), below.Type)
		}
		if stored.Equal(x.Output) {
			return // it is in the record itself
		}
		if p, err := s.Load(t.Context(), "y", stored); !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("in another tree: %d bytes, %v, want ErrNotFound", len(p.Data), err)
		}
	}},

	{"a closure may contain an output at the limit", func(t *testing.T, s engine.Store) {
		want := closure("x", 0)
		want.Output = payload(s.Limits().Payload)
		carry(t, s, engine.TellParent{Closure: want})
		m := next(t, closures(t, s, 1))
		got, err := s.Load(t.Context(), m.Closure.Parent, m.Closure.Output)
		check(t, err)
		if !got.Equal(want.Output) {
			t.Errorf("output of %d bytes, want %d", len(got.Data), len(want.Output.Data))
		}
		done(t, m)
	}},
}

// payload returns a payload of n bytes.
func payload(n int) codec.Payload {
	return codec.Payload{Type: codec.JSON, Data: []byte(`"` + strings.Repeat("x", n-2) + `"`)}
}

// full returns an execution with a value in every field of a record.
func full(t *testing.T) engine.Execution {
	t.Helper()
	x := execution(t, "root.1-2")
	x.Parent, x.Index, x.IsFinalize = "root.1", 2, true
	x.Status, x.Closed, x.Attempt, x.Crashes, x.Executor = engine.ChildrenFailed, true, 2, 1, "executor"
	x.StartedAt, x.ExpiresAt, x.ChangedAt, x.FinishedAt = now(), now(), now(), now()
	x.Output, x.Gathers, x.OutputOf = payload(100), true, "root.1-2-f"
	x.Failure = &engine.Failure{Kind: engine.KindPanic, Message: "message", Stack: "stack"}
	x.Spawned, x.Spawns = 2, []engine.Spawn{{Task: "a", Queue: queue, Input: payload(10)}, {Task: "b", Queue: queue, Policy: x.Policy, Validated: true, Metadata: x.Metadata}}
	x.Ended = engine.Set{3}
	x.ChildFailures = []engine.ChildFailure{{Index: 1, ID: "root.1-2-1", Task: "b", Status: engine.Failed, Message: "why"}}
	x.Finalize = &engine.Spawn{Task: "c", Queue: queue, Policy: x.Policy}
	x.ParentFinished = true
	x.Policy.Retention = time.Hour
	x.History = []engine.Attempt{{Number: 1, Executor: "e", StartedAt: now(), EndedAt: now(), Failure: x.Failure}}
	return x
}

func unrecorded(t *testing.T, s engine.Store, x engine.Execution) {
	t.Helper()
	r := get(t, s, x.ID)
	same(t, r.Execution, x)
	if r.Revision != 0 {
		t.Errorf("revision = %d, want 0: nothing has been recorded", r.Revision)
	}
}

// conflicts fails the test unless writing x at the revision is a conflict.
func conflicts(t *testing.T, s engine.Store, x engine.Execution, at engine.Revision) {
	t.Helper()
	if got, err := s.Update(t.Context(), x, at); !errors.Is(err, engine.ErrConflict) {
		t.Errorf("update %s at %d = %d, %v, want ErrConflict", x.ID, at, got, err)
	}
}

// increment adds 1 to a count in a record. Several writers may do so at the same time.
func increment(t *testing.T, s engine.Store, id string) error {
	for {
		r, err := s.Get(t.Context(), id)
		if err != nil {
			return err
		}
		r.Attempt++
		if _, err = s.Update(t.Context(), r.Execution, r.Revision); !errors.Is(err, engine.ErrConflict) {
			return err
		}
	}
}
