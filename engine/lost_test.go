package engine_test

import (
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/memstore"
)

// A crew is a store with executors that answer roll calls.
type crew struct {
	t     *testing.T
	store engine.Store
	stop  map[string]func()
	calls map[string][]engine.RollCall // that an executor has heard
}

func newCrew(t *testing.T, names ...string) *crew {
	t.Helper()
	s := memstore.New(memstore.Config{Lease: 30 * time.Second})
	t.Cleanup(s.Close)
	c := &crew{t, s, map[string]func(){}, map[string][]engine.RollCall{}}
	for _, name := range names {
		c.join(name, engine.Presence{})
	}
	return c
}

// join has an executor answer, which remembers who was missed if it is told.
func (c *crew) join(name string, p engine.Presence) {
	c.t.Helper()
	if p.Queues == nil {
		p.Queues = map[string]int{"default": 1}
	}
	if p.Tasks == nil {
		p.Tasks = []engine.BoundTask{{ID: "work"}}
	}
	p.Executor = name
	missed := map[string]time.Time{}
	stop, err := c.store.Present(c.t.Context(), func(call engine.RollCall) *engine.Presence {
		c.calls[name] = append(c.calls[name], call)
		for _, m := range call.Missed {
			if missed[m].IsZero() {
				missed[m] = time.Now()
			}
		}
		p := p
		p.Now, p.Missed = time.Now(), map[string]time.Time{}
		for _, m := range call.Missing {
			if at, ok := missed[m]; ok {
				p.Missed[m] = at
			}
		}
		return &p
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.stop[name] = stop
}

func (c *crew) find(l *engine.Lookout, list ...engine.Execution) engine.LostExecutors {
	c.t.Helper()
	lost, err := l.Find(c.t.Context(), list)
	if err != nil {
		c.t.Fatal(err)
	}
	return lost
}

func runs(id, executor string) engine.Execution {
	return engine.Execution{ID: id, Task: "work", Queue: "default", Status: engine.Running, Executor: executor}
}

func TestEveryLookoutGivesOneTimeForATakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, "a", "b")
		long := engine.NewLookout(c.store)
		one, two := runs("1", "a"), runs("2", "a")
		if lost := c.find(long, one, two, runs("3", "b")); len(lost) != 0 {
			t.Fatalf("lost = %v, want none while both answer", lost)
		}
		heard := time.Now()
		time.Sleep(time.Second)
		c.stop["a"]()
		if lost := c.find(long, one); len(lost) != 0 {
			t.Errorf("lost = %v, want none within 2 s after an answer", lost)
		}
		time.Sleep(2 * time.Second)
		missed := time.Now()
		l := c.find(long, one, two, runs("3", "b")).Of(two)
		if l == nil || l.Running != 2 || !maps.Equal(l.Queues, map[string]int{"default": 2}) || !l.SilentSince.Equal(heard) || !l.TakenOverBy.Equal(missed.Add(30*time.Second)) {
			t.Fatalf("lost = %+v, want a with 2 executions, silent since %s, taken over 30 s after %s", l, heard, missed)
		}
		for _, later := range []time.Duration{time.Second, 10 * time.Second, 15 * time.Second} {
			time.Sleep(later)
			for what, look := range map[string]*engine.Lookout{"the same": long, "a new": engine.NewLookout(c.store)} {
				if got := c.find(look, one).Of(one); got == nil || !got.TakenOverBy.Equal(l.TakenOverBy) {
					t.Errorf("%s later %s lookout says %+v, want %s again", later, what, got, l.TakenOverBy)
				}
			}
		}
	})
}

func TestALookCostsNothingWhereNothingRunsAndFewCallsWhereSomethingDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, "a")
		l := engine.NewLookout(c.store)
		asleep, ready := runs("1", "a"), runs("2", "a")
		asleep.Sleeping, ready.Status = true, engine.Ready
		c.find(l, asleep, ready)
		if n := len(c.calls["a"]); n != 0 {
			t.Errorf("%d roll calls where nobody holds anything, want none", n)
		}
		for range 10 { // in a second
			c.find(l, runs("3", "a"))
			time.Sleep(100 * time.Millisecond)
		}
		if n := len(c.calls["a"]); n != 1 {
			t.Errorf("%d roll calls of ten looks in a second, want 1", n)
		}
		for range 10 {
			c.find(l, runs("3", "a"), runs("4", "gone"))
			time.Sleep(100 * time.Millisecond)
		}
		if calls := c.calls["a"]; len(calls) != 4 || !slices.Equal(calls[2].Missing, []string{"gone"}) || !slices.Equal(calls[3].Missed, []string{"gone"}) {
			t.Errorf("roll calls = %+v, want one more, one that asks for gone, and one that tells", calls)
		}
	})
}

func TestATakeoverIsPromisedOnlyWhereSomebodyCan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for what, p := range map[string]engine.Presence{
			"stops":         {Stopping: true},
			"another queue": {Queues: map[string]int{"mail": 1}},
			"another task":  {Tasks: []engine.BoundTask{{ID: "other"}}},
		} {
			c := newCrew(t)
			c.join("b", p)
			if l := c.find(engine.NewLookout(c.store), runs("1", "gone")).Of(runs("1", "gone")); l == nil || !l.TakenOverBy.IsZero() {
				t.Errorf("%s: lost = %+v, want one that nobody takes over from", what, l)
			}
		}
		c := newCrew(t)
		c.join("b", engine.Presence{Cut: true, Tasks: []engine.BoundTask{}}) // it may have the task
		if l := c.find(engine.NewLookout(c.store), runs("1", "gone")).Of(runs("1", "gone")); l == nil || l.TakenOverBy.IsZero() {
			t.Errorf("lost = %+v, want one that is taken over", l)
		}
	})
}

func TestAnExecutorThatAnswersAgainIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, "a", "b")
		l := engine.NewLookout(c.store)
		c.stop["a"]()
		first := c.find(l, runs("1", "a")).Of(runs("1", "a"))
		time.Sleep(10 * time.Second)
		c.join("a", engine.Presence{})
		if lost := c.find(l, runs("1", "a")); len(lost) != 0 {
			t.Errorf("lost = %v, want none", lost)
		}
		c.stop["a"]()
		time.Sleep(5 * time.Second)
		again := c.find(l, runs("1", "a")).Of(runs("1", "a"))
		if again == nil || !again.TakenOverBy.After(first.TakenOverBy) {
			t.Errorf("lost again = %+v, want a later takeover than %s", again, first.TakenOverBy)
		}
	})
}
