package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
)

var enqueueRules = []rule{
	{"an execution is delivered as it was enqueued", func(t *testing.T, s engine.Store) {
		x := execution(t, "x")
		enqueue(t, s, x)
		d := next(t, claim(t, s, 1))
		same(t, d.Execution, x)
		if d.Hint || d.Invalid != nil || d.Unsettled {
			t.Errorf("hint %v, invalid %v, unsettled %v, want none", d.Hint, d.Invalid, d.Unsettled)
		}
		done(t, d)
	}},

	{"an execution that is enqueued without a definition is delivered with the given options", func(t *testing.T, s engine.Store) {
		asked := []engine.Option{engine.Retry{MaxRetries: 0}, engine.Timeout(0), engine.Delay(0), engine.WaitAll, engine.Retention(engine.Forever), engine.Metadata{"order": "42"}}
		f := claim(t, s, 3)
		for i, given := range [][]engine.Option{nil, asked, {engine.Timeout(time.Minute)}} {
			x := execution(t, fmt.Sprint("x", i))
			x.Policy, x.StartAt, x.Validated, x.Metadata = engine.Policy{}, x.CreatedAt, false, nil
			if i == 1 {
				x.Metadata = engine.Metadata{"order": "42"}
			}
			if err := s.Enqueue(t.Context(), engine.Due{Execution: x, Unsettled: true, Given: given}); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			d := next(t, f)
			if !d.Unsettled || !d.Fresh {
				t.Errorf("%s: unsettled %v, fresh %v, want both", d.Execution.ID, d.Unsettled, d.Fresh)
			}
			want := map[string]string{"x0": "[]", "x1": fmt.Sprint(asked), "x2": "[60000000000]"}[d.Execution.ID]
			if got := fmt.Sprint(d.Given); got != want {
				t.Errorf("%s: given %s, want %s", d.Execution.ID, got, want)
			}
			done(t, d)
		}
	}},

	{"an enqueued execution waits for a feed", func(t *testing.T, s engine.Store) {
		enqueue(t, s, execution(t, "x"))
		time.Sleep(24 * time.Hour)
		if d := next(t, claim(t, s, 1)); d.Execution.ID != "x" {
			t.Errorf("id = %q, want x", d.Execution.ID)
		}
	}},

	{"a feed waits for an execution to be enqueued", func(t *testing.T, s engine.Store) {
		f := claim(t, s, 1)
		silent(t, f, time.Minute)
		enqueue(t, s, execution(t, "x"))
		done(t, next(t, f))
	}},

	{"one call enqueues many executions", func(t *testing.T, s engine.Store) {
		var list []engine.Execution
		want := map[string]bool{}
		for i := range 500 {
			list = append(list, execution(t, fmt.Sprintf("x%d", i)))
			want[list[i].ID] = true
		}
		enqueue(t, s, list...)
		f := claim(t, s, len(list))
		for range list {
			d := next(t, f)
			if !want[d.Execution.ID] {
				t.Fatalf("delivered %s, want each of x0 to x499 once", d.Execution.ID)
			}
			delete(want, d.Execution.ID)
			done(t, d)
		}
		silent(t, f, lost(s))
	}},

	{"a call without executions enqueues nothing", func(t *testing.T, s engine.Store) {
		check(t, s.Enqueue(t.Context()))
	}},

	{"an execution is due in its own queue", func(t *testing.T, s engine.Store) {
		x := execution(t, "x")
		x.Queue = "other"
		enqueue(t, s, x)
		silent(t, claim(t, s, 1), time.Minute)
		other, err := s.Claim(t.Context(), "other")
		d := next(t, opened(t, other, err, 1))
		same(t, d.Execution, x)
		done(t, d)
	}},

	{"a queued id is refused", func(t *testing.T, s engine.Store) {
		x := execution(t, "x")
		enqueue(t, s, x)
		refused(t, s.Enqueue(t.Context(), engine.Due{Execution: x}), engine.ErrExists, 0)
		f := claim(t, s, 2)
		done(t, next(t, f))
		silent(t, f, lost(s))
	}},

	{"the id of a held message is refused", func(t *testing.T, s engine.Store) {
		x := execution(t, "x")
		enqueue(t, s, x)
		f := claim(t, s, 2)
		d := next(t, f)
		refused(t, s.Enqueue(t.Context(), engine.Due{Execution: x, Exclusive: true}), engine.ErrExists, 0)
		done(t, d)
		silent(t, f, lost(s))
	}},

	{"the first message of an id counts, even if others come later", func(t *testing.T, s engine.Store) {
		for _, delay := range []time.Duration{0, time.Minute} {
			first := execution(t, fmt.Sprint("x", delay))
			first.Policy.Delay, first.StartAt = delay, first.CreatedAt.Add(delay)
			check(t, s.Enqueue(t.Context(), engine.Due{Execution: first, Exclusive: true}))
			f := claim(t, s, 1)
			if delay > 0 {
				silent(t, f, 10*time.Second)
			}
			later, elsewhere := first, first
			later.Task, elsewhere.Queue = "another", "another"
			later.Policy.Delay, later.StartAt = 0, later.CreatedAt
			check(t, s.Enqueue(t.Context(), engine.Due{Execution: later, Exclusive: true}, engine.Due{Execution: elsewhere, Exclusive: true}))
			d := next(t, f)
			r := get(t, s, first.ID)
			same(t, r.Execution, first)
			for d.Execution.Task != task {
				if !d.Later(r) {
					t.Errorf("delay %s: %s counts as the first, want it later than %s", delay, d.Message, r.Queued)
				}
				done(t, d)
				f.Request(1)
				if delay == 0 {
					d = next(t, f)
				} else {
					d = at(t, f, first.StartAt)
				}
			}
			if r = get(t, s, first.ID); d.Later(r) {
				t.Errorf("delay %s: %s counts as later than %s, want it first", delay, d.Message, r.Queued)
			}
			done(t, d)
			carry(t, s, engine.Withdraw{Execution: &first})
			absent(t, s, first.ID)
			f.Close()
		}
	}},

	{"a refused execution does not affect the others of the call", func(t *testing.T, s engine.Store) {
		x, y, z := execution(t, "x"), execution(t, "y"), execution(t, "z")
		enqueue(t, s, y)
		err := s.Enqueue(t.Context(), engine.Due{Execution: x}, engine.Due{Execution: y}, engine.Due{Execution: z}, engine.Due{Execution: x})
		refused(t, err, engine.ErrExists, 1, 3)
		var got []string
		f := claim(t, s, 5)
		for range 3 {
			d := next(t, f)
			got = append(got, d.Execution.ID)
			done(t, d)
		}
		if slices.Sort(got); !slices.Equal(got, []string{"x", "y", "z"}) {
			t.Errorf("delivered %v, want x, y, z", got)
		}
		silent(t, f, lost(s))
	}},

	{"the store shares no memory with the caller", func(t *testing.T, s engine.Store) {
		x, want := execution(t, "x"), execution(t, "x")
		enqueue(t, s, x)
		x.Input.Data[0] ^= 0xff
		same(t, get(t, s, "x").Execution, want)
		got := get(t, s, "x")
		got.Input.Data[0] ^= 0xff
		same(t, get(t, s, "x").Execution, want)

		y, want := execution(t, "y"), execution(t, "y")
		update(t, s, y, 0)
		y.Input.Data[0] ^= 0xff
		same(t, get(t, s, "y").Execution, want)
		got = get(t, s, "y")
		got.Input.Data[0] ^= 0xff
		same(t, get(t, s, "y").Execution, want)
	}},
}

// refused fails the test unless err says that exactly the executions with these indices were
// refused with want.
func refused(t *testing.T, err error, want error, indices ...int) {
	t.Helper()
	var got []int
	for _, e := range enqueueErrors(err) {
		got = append(got, e.Index)
		if !errors.Is(e, want) {
			t.Errorf("enqueue error = %v, want %v", e, want)
		}
	}
	if slices.Sort(got); !slices.Equal(got, indices) {
		t.Errorf("refused = %v (%v), want %v", got, err, indices)
	}
}

// takesSpawnsWhenFull lets a parent spawn more executions than the queue has room for, twice.
func takesSpawnsWhenFull(t *testing.T, s engine.Store, limit int) {
	for i := range limit {
		enqueue(t, s, execution(t, fmt.Sprintf("x%d", i)))
	}
	parent, fx := spawning(t, s, 2*limit, 10)
	carry(t, s, fx...)
	carry(t, s, engine.Again(fx)...)
	refused(t, s.Enqueue(t.Context(), engine.Due{Execution: execution(t, "late")}), engine.ErrQueueFull, 0)
	f, got := claim(t, s, 4*limit), map[string]bool{}
	for len(got) < 3*limit {
		d := next(t, f)
		got[d.Execution.ID] = true
		if d.Execution.Parent == "" {
			done(t, d)
			continue
		}
		same(t, d.Execution, parent.Child(d.Execution.Index, parent.Spawns[d.Execution.Index]))
		done(t, d)
	}
}

func refusesWhenFull(t *testing.T, s engine.Store, limit int) {
	due := make([]engine.Due, limit+1)
	for i := range due {
		due[i].Execution = execution(t, fmt.Sprintf("x%d", i))
	}
	check(t, s.Enqueue(t.Context(), due[:limit]...))
	refused(t, s.Enqueue(t.Context(), due[limit]), engine.ErrQueueFull, 0)
	absent(t, s, due[limit].ID)

	f := claim(t, s, limit+1)
	d := next(t, f)
	done(t, d)
	check(t, s.Enqueue(t.Context(), due[limit])) // there is room again
	got := map[string]bool{d.Execution.ID: true}
	for range limit {
		d := next(t, f)
		done(t, d)
		got[d.Execution.ID] = true
	}
	if len(got) != len(due) {
		t.Errorf("delivered %v, want each of %d", got, len(due))
	}
	silent(t, f, lost(s))
}
