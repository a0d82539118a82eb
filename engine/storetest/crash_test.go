package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/memstore"
	"github.com/durable-execution/durable/engine/storetest"
)

const lease = 2 * time.Second

// inBubble calls fn with a fresh store in fake time.
func inBubble(t *testing.T, fn func(t *testing.T, s engine.Store)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New(memstore.Config{Lease: lease, Payload: 64 << 10})
		t.Cleanup(s.Close)
		fn(t, s)
	})
}

func TestStoreOfAProcessThatLivesKeepsTheContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T, fn func(t *testing.T, s engine.Store)) {
		inBubble(t, func(t *testing.T, s engine.Store) { fn(t, storetest.Crashing(s, 0, storetest.Before)) })
	})
}

// A scenario is one kind of call, and a function that reports whether the call took effect.
type scenario struct {
	name string
	call func(ctx context.Context, c *storetest.CrashStore, d *engine.Delivery) error
	done func(t *testing.T, s engine.Store) bool
}

var scenarios = []scenario{
	{"Enqueue", func(ctx context.Context, c *storetest.CrashStore, _ *engine.Delivery) error {
		return c.Enqueue(ctx, engine.Due{Execution: ready("new")})
	}, func(t *testing.T, s engine.Store) bool { return known(t, s, "new") }},

	{"Get", func(ctx context.Context, c *storetest.CrashStore, _ *engine.Delivery) error {
		r, err := c.Get(ctx, "x")
		return nothing(r.ID, err)
	}, nil},

	{"GetMany", func(ctx context.Context, c *storetest.CrashStore, _ *engine.Delivery) error {
		list, err := c.GetMany(ctx, []string{"x"})
		return nothing(list, err)
	}, nil},

	{"Update", func(ctx context.Context, c *storetest.CrashStore, _ *engine.Delivery) error {
		revision, err := c.Update(ctx, ready("new"), 0)
		return nothing(revision, err)
	}, func(t *testing.T, s engine.Store) bool { return known(t, s, "new") }},

	{"Spawns", func(ctx context.Context, c *storetest.CrashStore, d *engine.Delivery) error {
		list, err := c.Spawns(ctx, engine.Execution{Spawns: []engine.Spawn{{Task: "child"}}})
		return nothing(list, err)
	}, nil},

	{"Carry", func(ctx context.Context, c *storetest.CrashStore, d *engine.Delivery) error {
		return c.Carry(ctx, engine.Withdraw{Execution: &d.Execution})
	}, func(t *testing.T, s engine.Store) bool { return !known(t, s, "x") }},

	{"Cancel", func(ctx context.Context, c *storetest.CrashStore, _ *engine.Delivery) error {
		return c.Cancel(ctx, engine.Cancel{ID: "x"})
	}, func(t *testing.T, s engine.Store) bool {
		f, err := s.Cancels(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		f.Request(1)
		return comes(f, lease/2)
	}},

	{"Claim", func(ctx context.Context, c *storetest.CrashStore, _ *engine.Delivery) error {
		f, err := c.Claim(ctx, "q")
		return nothing(f, err)
	}, nil},

	{"Closures", func(ctx context.Context, c *storetest.CrashStore, _ *engine.Delivery) error {
		f, err := c.Closures(ctx)
		return nothing(f, err)
	}, nil},

	{"Cancels", func(ctx context.Context, c *storetest.CrashStore, _ *engine.Delivery) error {
		f, err := c.Cancels(ctx)
		return nothing(f, err)
	}, nil},

	{"Watch", func(ctx context.Context, c *storetest.CrashStore, _ *engine.Delivery) error {
		stop, err := c.Watch(ctx, engine.Topic{}, func(engine.Notice) {})
		return nothing(stop == nil, err)
	}, nil},

	{"Present", func(ctx context.Context, c *storetest.CrashStore, _ *engine.Delivery) error {
		stop, err := c.Present(ctx, func(engine.RollCall) *engine.Presence { return nil })
		return nothing(stop == nil, err)
	}, nil},

	{"RollCall", func(ctx context.Context, c *storetest.CrashStore, _ *engine.Delivery) error {
		list, err := c.RollCall(ctx, engine.RollCall{})
		return nothing(list, err)
	}, nil},

	{"List", func(ctx context.Context, c *storetest.CrashStore, _ *engine.Delivery) error {
		for _, err := range c.List(ctx, engine.Filter{}) {
			return err
		}
		return nil
	}, nil},

	{"Extend", func(ctx context.Context, _ *storetest.CrashStore, d *engine.Delivery) error {
		time.Sleep(lease / 2)
		return d.Extend(ctx)
	}, func(t *testing.T, s engine.Store) bool { return !comesAgain(t, s, lease*3/4) }},

	{"Done", func(ctx context.Context, _ *storetest.CrashStore, d *engine.Delivery) error {
		return d.Done(ctx)
	}, func(t *testing.T, s engine.Store) bool { return !known(t, s, "x") }},

	{"Return", func(ctx context.Context, _ *storetest.CrashStore, d *engine.Delivery) error {
		return d.Return(ctx, time.Time{}, false)
	}, func(t *testing.T, s engine.Store) bool { return comesAgain(t, s, lease/2) }},
}

func TestCrashBeforeACallKeepsItUndone(t *testing.T) { eachCall(t, storetest.Before, false) }

func TestCrashAfterACallLosesItsAnswer(t *testing.T) { eachCall(t, storetest.After, true) }

func eachCall(t *testing.T, mode storetest.Mode, want bool) {
	for _, sc := range scenarios {
		t.Run(sc.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s engine.Store) {
				ctx := t.Context()
				c := storetest.Crashing(s, 3, mode)
				if err := c.Enqueue(ctx, engine.Due{Execution: ready("x")}); err != nil { // call 1
					t.Fatal(err)
				}
				f, err := c.Claim(ctx, "q") // call 2
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				f.Request(1)
				d := <-f.Messages()
				if err := sc.call(ctx, c, d); !errors.Is(err, storetest.ErrCrashed) {
					t.Errorf("error = %v, want ErrCrashed", err)
				}
				select {
				case <-c.Crashed():
				default:
					t.Error("not crashed, want crashed")
				}
				if sc.done != nil && sc.done(t, s) != want {
					t.Errorf("done = %v, want %v", !want, want)
				}
				if n := c.Calls(); n != 3 {
					t.Errorf("calls = %d, want 3", n)
				}
			})
		})
	}
}

func TestNothingIsDoneAfterTheCrash(t *testing.T) {
	for _, sc := range scenarios {
		t.Run(sc.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s engine.Store) {
				ctx := t.Context()
				c := storetest.Crashing(s, 3, storetest.After)
				_ = c.Enqueue(ctx, engine.Due{Execution: ready("x")})
				f, err := c.Claim(ctx, "q")
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				f.Request(1)
				d := <-f.Messages()
				_, _ = c.Get(ctx, "x") // the process dies in this call
				if err := sc.call(ctx, c, d); !errors.Is(err, storetest.ErrCrashed) {
					t.Errorf("error = %v, want ErrCrashed", err)
				}
				if sc.done != nil && sc.done(t, s) {
					t.Error("done, want undone")
				}
			})
		})
	}
}

func TestADeadProcessHoldsItsMessagesUntilTheLeaseEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, s engine.Store) {
		enqueue(t, s, "a", "b", "c")
		c := storetest.Crashing(s, 2, storetest.Before)
		dead, err := c.Claim(t.Context(), "q")
		if err != nil {
			t.Fatal(err)
		}
		dead.Request(10)
		<-dead.Messages() // two of three messages stay unreceived
		synctest.Wait()
		if _, err := c.Get(t.Context(), "a"); !errors.Is(err, storetest.ErrCrashed) {
			t.Fatalf("get = %v, want ErrCrashed", err)
		}
		select {
		case d := <-dead.Messages():
			t.Errorf("dead process received %+v", d)
		case <-time.After(lease / 4):
		}
		dead.Close()
		if _, ok := <-dead.Messages(); ok {
			t.Error("dead process received a message, want its feed closed")
		}
		live, err := s.Claim(t.Context(), "q")
		if err != nil {
			t.Fatal(err)
		}
		defer live.Close()
		live.Request(4)
		if comes(live, lease/4) {
			t.Error("the dead process gave a message back, want it held until the lease ends")
		}
		for range 3 {
			if !comes(live, lease) {
				t.Fatal("message lost, want it after the lease")
			}
		}
	})
}

func TestADeadProcessReceivesNoMoreMessages(t *testing.T) {
	inBubble(t, func(t *testing.T, s engine.Store) {
		c := storetest.Crashing(s, 2, storetest.After)
		dead, err := c.Claim(t.Context(), "q")
		if err != nil {
			t.Fatal(err)
		}
		dead.Request(10)
		_, _ = c.Get(t.Context(), "a")
		synctest.Wait()
		dead.Request(10)
		live, err := s.Claim(t.Context(), "q")
		if err != nil {
			t.Fatal(err)
		}
		defer live.Close()
		live.Request(3)
		enqueue(t, s, "a", "b", "c")
		for range 3 {
			if !comes(live, lease/2) {
				t.Fatal("a message went to the dead process, want it here at once")
			}
		}
	})
}

func TestADeadProcessGetsNoNotices(t *testing.T) {
	inBubble(t, func(t *testing.T, s engine.Store) {
		c := storetest.Crashing(s, 2, storetest.Before)
		var heard atomic.Int32
		stop, err := c.Watch(t.Context(), engine.Topic{}, func(engine.Notice) { heard.Add(1) })
		if err != nil {
			t.Fatal(err)
		}
		tell := func() {
			if err := s.Cancel(t.Context(), engine.Cancel{ID: "x"}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		tell()
		_, _ = c.Get(t.Context(), "x")
		tell()
		stop()
		tell()
		if n := heard.Load(); n != 1 {
			t.Errorf("heard %d notices, want 1", n)
		}
	})
}

func TestAListEndsInTheCrash(t *testing.T) {
	inBubble(t, func(t *testing.T, s engine.Store) {
		enqueue(t, s, "a", "b", "c")
		c := storetest.Crashing(s, 2, storetest.Before)
		seen := 0
		var last error
		for _, err := range c.List(t.Context(), engine.Filter{}) {
			last = err
			if seen++; seen == 2 {
				_, _ = c.Get(t.Context(), "a")
			}
		}
		if seen != 3 || !errors.Is(last, storetest.ErrCrashed) {
			t.Errorf("saw %d, the last with %v, want 3, ErrCrashed", seen, last)
		}
	})
}

// TestEveryCrashIsRecoveredFrom shows the use of a CrashStore: a process dies in each of its
// calls in turn, and another process finishes its work.
func TestEveryCrashIsRecoveredFrom(t *testing.T) {
	for _, mode := range []storetest.Mode{storetest.Before, storetest.After} {
		crashes := 0
		for n, crashed := 1, true; crashed; n++ {
			inBubble(t, func(t *testing.T, s engine.Store) {
				enqueue(t, s, "a", "b")
				c := storetest.Crashing(s, n, mode)
				if crashed = !work(t.Context(), c); crashed {
					crashes++
					if !work(t.Context(), s) {
						t.Errorf("crash %s call %d: the next process did not finish", mode, n)
					}
				}
				for _, id := range []string{"a", "b"} {
					if r, err := s.Get(t.Context(), id); err != nil || r.Status != engine.Completed {
						t.Errorf("crash %s call %d: %s is %s, %v, want completed", mode, n, id, r.Status, err)
					}
				}
			})
		}
		// The calls are one Claim, and two each of Get, Update and Done.
		if crashes != 7 {
			t.Errorf("%d crashes %s a call, want 7", crashes, mode)
		}
	}
}

// work runs executions until no more are delivered. It returns false if the process died.
func work(ctx context.Context, s engine.Store) bool {
	f, err := s.Claim(ctx, "q")
	if err != nil {
		return false
	}
	defer f.Close()
	for {
		f.Request(1)
		select {
		case d := <-f.Messages():
			r, err := s.Get(ctx, d.Execution.ID)
			if err == nil && !r.Status.Finished() {
				now := time.Now()
				_, _, err = engine.Move(ctx, s, r, engine.Claimed{At: now}, engine.Returned{At: now})
			}
			if err != nil || d.Done(ctx) != nil {
				return false
			}
		case <-time.After(3 * lease):
			return true
		}
	}
}

func ready(id string) engine.Execution {
	return engine.Execution{ID: id, Task: "task", Queue: "q", Status: engine.Ready}
}

func enqueue(t *testing.T, s engine.Store, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := s.Enqueue(t.Context(), engine.Due{Execution: ready(id)}); err != nil {
			t.Fatal(err)
		}
	}
}

func known(t *testing.T, s engine.Store, id string) bool {
	t.Helper()
	_, err := s.Get(t.Context(), id)
	if err != nil && !errors.Is(err, engine.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

// nothing returns err, or another error if a failed call returned a value.
func nothing(v any, err error) error {
	if s := fmt.Sprint(v); err != nil && s != "" && s != "0" && s != "[]" && s != "<nil>" && s != "true" {
		return fmt.Errorf("answer %q of a dead process (%v)", s, err)
	}
	return err
}

func comesAgain(t *testing.T, s engine.Store, within time.Duration) bool {
	t.Helper()
	f, err := s.Claim(t.Context(), "q")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.Request(1)
	return comes(f, within)
}

func comes[M any](f engine.Feed[M], within time.Duration) bool {
	select {
	case <-f.Messages():
		return true
	case <-time.After(within):
		return false
	}
}
