package memstore_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/memstore"
	"github.com/durable-execution/durable/engine/storetest"
)

var config = memstore.Config{Lease: 2 * time.Second, Payload: 64 << 10}

func bubble(c memstore.Config) storetest.Bubble {
	return func(t *testing.T, fn func(t *testing.T, s engine.Store)) {
		synctest.Test(t, func(t *testing.T) {
			s := memstore.New(c)
			t.Cleanup(s.Close)
			fn(t, s)
		})
	}
}

func TestContract(t *testing.T) {
	full := config
	full.QueueLimit = 5
	storetest.Run(t, bubble(config), storetest.QueueLimit(full.QueueLimit, bubble(full)))
}

func TestMessagesComeInOrderButRedeliveriesFirst(t *testing.T) {
	bubble(config)(t, func(t *testing.T, s engine.Store) {
		enqueue(t, s, "a", "b", "c", "d")
		f := claim(t, s, 2)
		a, b := receive(t, f), receive(t, f)
		check(t, b.Return(t.Context(), time.Time{}, false))
		check(t, a.Return(t.Context(), time.Time{}, false))
		f.Request(4)
		var got []string
		for range 4 {
			got = append(got, receive(t, f).Execution.ID)
		}
		if want := []string{"b", "a", "c", "d"}; !slices.Equal(got, want) {
			t.Errorf("delivered %v, want %v", got, want)
		}
	})
}

func TestALateDoneIsFinal(t *testing.T) {
	bubble(config)(t, func(t *testing.T, s engine.Store) {
		enqueue(t, s, "a")
		f := claim(t, s, 3)
		late := receive(t, f)
		receive(t, f)
		check(t, late.Done(t.Context()))
		none(t, f, 3*config.Lease)
	})
}

func TestALateReturnOrExtendLeavesTheNextHolderAlone(t *testing.T) {
	bubble(config)(t, func(t *testing.T, s engine.Store) {
		enqueue(t, s, "a")
		f := claim(t, s, 3)
		late := receive(t, f)
		d := receive(t, f)
		check(t, late.Return(t.Context(), time.Time{}, false))
		time.Sleep(config.Lease / 2)
		check(t, late.Extend(t.Context()))
		none(t, f, config.Lease/2-1)
		receive(t, f) // late has not extended d's lease
		check(t, d.Done(t.Context()))
	})
}

func TestARecordedReturnComesAsAHint(t *testing.T) {
	bubble(config)(t, func(t *testing.T, s engine.Store) {
		enqueue(t, s, "a")
		f := claim(t, s, 2)
		d := receive(t, f)
		check(t, d.Return(t.Context(), time.Time{}, true))
		d = receive(t, f)
		if x := d.Execution; !d.Hint || x.ID != "a" || x.Task != "task" || x.Queue != "q" || x.Status != "" {
			t.Errorf("hint %v, execution %+v, want a hint at a", d.Hint, x)
		}
	})
}

func TestLongListOfChildrenIsNotInTheRecord(t *testing.T) {
	bubble(config)(t, func(t *testing.T, s engine.Store) {
		x := execution("a")
		x.Spawns = make([]engine.Spawn, 10_000)
		_, err := s.Update(t.Context(), x, 0)
		check(t, err)
		r, err := s.Get(t.Context(), "a")
		check(t, err)
		if len(r.Spawns) != 0 || r.SpawnsAt == "" {
			t.Errorf("%d children in the record, SpawnsAt %q, want none and a value", len(r.Spawns), r.SpawnsAt)
		}
		r.SpawnsAt = "nowhere"
		if _, err := s.Spawns(t.Context(), r.Execution); !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("children = %v, want ErrNotFound", err)
		}
	})
}

func TestAMessageThatAFeedKeepsUnreceivedGoesToTheNextOne(t *testing.T) {
	bubble(config)(t, func(t *testing.T, s engine.Store) {
		enqueue(t, s, "a", "b")
		stuck := claim(t, s, 2)
		f := claim(t, s, 2)
		none(t, f, config.Lease-1)
		for range 2 {
			d := receive(t, f)
			if d.Deliveries != 2 {
				t.Errorf("deliveries = %d, want 2", d.Deliveries)
			}
			check(t, d.Done(t.Context()))
		}
		enqueue(t, s, "c", "d")
		for range 2 { // its requests are still open
			check(t, receive(t, stuck).Done(t.Context()))
		}
		none(t, stuck, 2*config.Lease)
		none(t, f, 0)
	})
}

func TestUnreadableExecutionsAreRefused(t *testing.T) {
	bubble(config)(t, func(t *testing.T, s engine.Store) {
		for name, x := range map[string]engine.Execution{
			"status": {ID: "a", Task: "task", Queue: "q"},
			"id":     {ID: "a b", Task: "task", Queue: "q", Status: engine.Ready},
			"task":   {ID: "a", Queue: "q", Status: engine.Ready},
			"queue":  {ID: "a", Task: "task", Queue: "*", Status: engine.Ready},
		} {
			if err := s.Enqueue(t.Context(), engine.Due{Execution: x}); err == nil {
				t.Errorf("%s: enqueue = nil, want an error", name)
			}
		}
		if err := s.Carry(t.Context(), engine.TellParent{Closure: engine.Closure{ID: "a.0"}}); err == nil {
			t.Error("carry of a closure without a parent = nil, want an error")
		}
		if err := s.Cancel(t.Context(), engine.Cancel{ID: "a b"}); err == nil {
			t.Error("cancel without an id = nil, want an error")
		}
	})
}

func TestAnOutputPastTheLimitIsRefused(t *testing.T) {
	bubble(config)(t, func(t *testing.T, s engine.Store) {
		x := execution("a")
		x.Output.Data = make([]byte, config.Payload+1)
		if _, err := s.Update(t.Context(), x, 0); !errors.Is(err, engine.ErrTooLarge) {
			t.Errorf("update = %v, want ErrTooLarge", err)
		}
	})
}

func TestACloseEndsFeedsAndTimersAndCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New(config)
		x := execution("later")
		x.StartAt = time.Now().Add(time.Hour)
		check(t, s.Enqueue(t.Context(), engine.Due{Execution: x}))
		enqueue(t, s, "a")
		f := claim(t, s, 3)
		d := receive(t, f)
		s.Close()
		s.Close()
		if _, open := <-f.Messages(); open {
			t.Error("feed open, want it closed")
		}
		if err := d.Done(t.Context()); !errors.Is(err, memstore.ErrClosed) {
			t.Errorf("done = %v, want ErrClosed", err)
		}
		if _, err := s.Get(t.Context(), "a"); !errors.Is(err, memstore.ErrClosed) {
			t.Errorf("get = %v, want ErrClosed", err)
		}
		time.Sleep(2 * time.Hour) // no timer fires into the closed store
	})
}

func TestAStuckWatcherDoesNotDelayOthers(t *testing.T) {
	bubble(config)(t, func(t *testing.T, s engine.Store) {
		stuck := make(chan bool)
		stop, err := s.Watch(t.Context(), engine.Topic{}, func(engine.Notice) { <-stuck })
		check(t, err)
		for i := range 3 {
			check(t, s.Cancel(t.Context(), engine.Cancel{ID: fmt.Sprint("x", i)}))
		}
		stop()
		close(stuck)
	})
}

func TestConfigHasDefaults(t *testing.T) {
	s := memstore.New(memstore.Config{})
	defer s.Close()
	if got, want := s.Limits(), (engine.Limits{Payload: 256 << 10, Lease: 30 * time.Second, Retention: 7 * 24 * time.Hour}); got != want {
		t.Errorf("limits = %+v, want %+v", got, want)
	}
}

func execution(id string) engine.Execution {
	return engine.Execution{ID: id, Task: "task", Queue: "q", Status: engine.Ready}
}

func enqueue(t *testing.T, s engine.Store, ids ...string) {
	t.Helper()
	for _, id := range ids {
		check(t, s.Enqueue(t.Context(), engine.Due{Execution: execution(id)}))
	}
}

func claim(t *testing.T, s engine.Store, n int) engine.Feed[*engine.Delivery] {
	t.Helper()
	f, err := s.Claim(t.Context(), "q")
	check(t, err)
	t.Cleanup(f.Close)
	f.Request(n)
	return f
}

func receive(t *testing.T, f engine.Feed[*engine.Delivery]) *engine.Delivery {
	t.Helper()
	select {
	case d := <-f.Messages():
		return d
	case <-time.After(time.Minute):
		t.Fatal("no message within a minute")
		panic("unreachable")
	}
}

func none(t *testing.T, f engine.Feed[*engine.Delivery], within time.Duration) {
	t.Helper()
	select {
	case d := <-f.Messages():
		t.Errorf("message = %+v, want none", d)
	case <-time.After(within):
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
