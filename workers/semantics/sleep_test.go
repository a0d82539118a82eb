package semantics_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/storetest"
	"github.com/durable-execution/durable/workers"
)

// approval waits for a person. No executor binds it.
var approval = engine.DefineSleeping[string, bool]("approval")

func TestSleepingExecutionWaitsToBeWoken(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		x := w.executor(workers.Config{Slots: 1})
		h := enqueue(w, approval.Task, "order 42")
		pass(6 * time.Hour)
		asleep := w.want(h.ID(), engine.Running)
		equal(t, "sleeping", asleep.Sleeping, true)
		equal(t, "in hand", x.Stats().InHand, 0)
		check(t, approval.Wake(t.Context(), w.client, h.ID(), true))
		w.want(h.ID(), engine.Completed) // as soon as Wake has returned
		out, err := h.Wait(t.Context())
		check(t, err)
		equal(t, "output", out, true)
		pass(time.Hour)
		w.quiet()
	})
}

func TestSleepingExecutionIsWokenWithAnError(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.executor(workers.Config{})
		h := enqueue(w, approval.Task, "order 42", engine.Retry{MaxRetries: 3})
		pass(time.Hour)
		check(t, approval.WakeError(t.Context(), w.client, h.ID(), errors.New("no budget")))
		x := w.want(h.ID(), engine.Failed)
		equal(t, "message", x.Failure.Message, "no budget")
		pass(time.Hour)
		w.want(h.ID(), engine.Failed)
		w.quiet()
	})
}

func TestSleepingExecutionTimesOut(t *testing.T) {
	for name, timeout := range map[string]time.Duration{"soon": 700 * time.Millisecond, "late": 5 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				w.executor(workers.Config{})
				begun := time.Now()
				h := enqueue(w, approval.Task, "order 42", engine.Timeout(timeout))
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Hour)
				defer cancel()
				_, err := h.Wait(ctx)
				failed := (*engine.ExecutionError)(nil)
				if !errors.As(err, &failed) || failed.Status != engine.TimedOut {
					t.Fatalf("error = %v, want timed_out", err)
				}
				between(t, "finished", w.get(h.ID()).FinishedAt, begun.Add(timeout), begun.Add(timeout+late))
				if err := approval.Wake(t.Context(), w.client, h.ID(), true); !errors.Is(err, engine.ErrFinished) || !strings.Contains(err.Error(), "timed_out") {
					t.Errorf("wake = %v, want that it has timed_out", err)
				}
				pass(time.Hour)
				w.quiet()
			})
		})
	}
}

func TestTimeoutOfASleepingExecutionIsRetried(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.executor(workers.Config{})
		h := enqueue(w, approval.Task, "order 42", engine.Timeout(time.Hour), engine.Retry{MaxRetries: 1, BaseDelay: time.Minute})
		pass(90 * time.Minute)
		equal(t, "attempt", w.want(h.ID(), engine.Running).Attempt, 1)
		check(t, approval.Wake(t.Context(), w.client, h.ID(), true))
		equal(t, "output", result(w, h), true)
	})
}

func TestWakeSaysWhatItCanNotWake(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		other := engine.DefineSleeping[string, bool]("other")
		task := engine.Define[string, string]("task")
		w.executor(workers.Config{}, engine.Bind(task, sleeps[string](time.Hour, "out")))
		done := enqueue(w, approval.Task, "a")
		pass(time.Second)
		check(t, approval.Wake(t.Context(), w.client, done.ID(), true))
		gone := enqueue(w, approval.Task, "b")
		w.cancels(gone.ID(), "enough")
		for _, c := range []struct {
			id   string
			want error
			text string
		}{
			{"nobody", engine.ErrNotFound, "nobody"},
			{enqueue(w, task, "in").ID(), engine.ErrIDConflict, `"task"`},
			{enqueue(w, other.Task, "in").ID(), engine.ErrIDConflict, `"other"`},
			{done.ID(), engine.ErrFinished, "completed"},
			{gone.ID(), engine.ErrFinished, "cancelled"},
			{"not an id", nil, "not an id"},
		} {
			for name, err := range map[string]error{
				"wake":  approval.Wake(t.Context(), w.client, c.id, false),
				"error": approval.WakeError(t.Context(), w.client, c.id, errors.New("no")),
			} {
				if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
					t.Errorf("%s %s: %v, want %v with %s", name, c.id, err, c.want, c.text)
				}
			}
		}
		id := enqueue(w, task, "in").ID()
		if err := w.client.Wake(t.Context(), id, codec.Payload{}); !errors.Is(err, engine.ErrNotSleeping) {
			t.Errorf("wake = %v, want %v", err, engine.ErrNotSleeping)
		}
		equal(t, "output", result(w, done), true)
	})
}

// A waker makes four calls: it reads the record, publishes the wake, writes the record, and
// withdraws the message. If it dies after the second call, executors do the rest.
func TestWakeOutlivesTheWaker(t *testing.T) {
	parent := engine.Define[string, bool]("parent")
	for n := 1; n <= 4; n++ {
		for mode, name := range map[storetest.Mode]string{storetest.Before: "before", storetest.After: "after"} {
			t.Run(fmt.Sprintf("dies %s call %d", name, n), func(t *testing.T) {
				run(t, func(t *testing.T, w *world) {
					w.executor(workers.Config{}, engine.BindParent(parent, func(_ context.Context, in string, c *engine.Children) (int, error) {
						approval.Spawn(c, in)
						return 0, nil
					}, func(_ context.Context, j engine.Joined[string, int]) (bool, error) {
						return approval.Result(j.Children).Get()
					}))
					h := enqueue(w, parent, "order 42")
					pass(time.Minute)
					line := storetest.Crashing(w.store, n, mode)
					if err := approval.Wake(t.Context(), engine.NewClient(line), h.ID()+".0", true); err == nil {
						t.Fatal("it did not die")
					}
					pass(time.Minute)
					if n < 2 || n == 2 && mode == storetest.Before {
						w.want(h.ID()+".0", engine.Running)
						check(t, approval.Wake(t.Context(), w.client, h.ID()+".0", true))
						pass(time.Minute)
					}
					w.want(h.ID(), engine.Completed)
					equal(t, "output", result(w, h), true)
					w.quiet()
				})
			})
		}
	}
}

func TestOneOfManyWakersWins(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		for range 3 {
			w.executor(workers.Config{})
		}
		h := enqueue(w, approval.Task, "order 42")
		pass(time.Second)
		const n = 20
		errs := make(chan error, n)
		for i := range n {
			go func() {
				if i%2 == 0 {
					errs <- approval.Wake(t.Context(), w.client, h.ID(), true)
					return
				}
				errs <- approval.WakeError(t.Context(), w.client, h.ID(), errors.New("no"))
			}()
		}
		won := 0
		for range n {
			err := <-errs
			if err == nil {
				won++
			} else if !errors.Is(err, engine.ErrFinished) {
				t.Error(err)
			}
		}
		first := w.get(h.ID())
		if won == 0 || won > n/2 {
			t.Errorf("%d wakers have won, want those at most who said the same", won)
		}
		pass(time.Hour)
		equal(t, "status", w.get(h.ID()).Status, first.Status)
		w.quiet()
	})
}

func TestSleepingExecutionIsWokenWhileNobodyExecutes(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		gone := enqueue(w, approval.Task, "c", engine.Retention(time.Second))
		check(t, approval.Wake(t.Context(), w.client, gone.ID(), true))
		if w.nc != nil {
			equal(t, "messages in the queue", w.streams()["ready"].Msgs, 0)
		}
		never, later := enqueue(w, approval.Task, "a"), enqueue(w, approval.Task, "b", engine.Delay(time.Hour))
		for _, h := range []engine.Handle[bool]{never, later} {
			check(t, approval.Wake(t.Context(), w.client, h.ID(), true))
			w.want(h.ID(), engine.Completed)
		}
		pass(time.Hour) // the first record was removed, and must not be needed
		w.executor(workers.Config{})
		pass(2 * time.Hour)
		if _, err := gone.Get(t.Context()); !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("get = %v, want %v: it sleeps again", err, engine.ErrNotFound)
		}
		equal(t, "output", result(w, never), true)
		equal(t, "output", result(w, later), true)
		equal(t, "attempts", len(w.get(later.ID()).History), 0)
		w.quiet()
	})
}

func TestSleepingExecutionsAreCancelled(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		parent := engine.Define[int, engine.Gathered[int]]("parent")
		w.executor(workers.Config{}, engine.BindFanOut(parent, func(_ context.Context, n int, c *engine.Children) (int, error) {
			for range n {
				approval.Spawn(c, "child", engine.Timeout(5*time.Hour))
			}
			return n, nil
		}))
		alone, tree := enqueue(w, approval.Task, "a"), enqueue(w, parent, 3)
		pass(time.Hour)
		w.cancels(alone.ID(), "enough")
		w.cancels(tree.ID(), "enough")
		pass(time.Minute)
		for _, id := range []string{".0", ".1", ".2"} {
			w.want(tree.ID()+id, engine.Cancelled)
		}
		if w.nc != nil {
			equal(t, "messages kept", w.kept(), 1+5+1) // the namespace's record, five records, the expiry of the tree
		}
		w.quiet()
	})
}

func TestSleepingStepAndSleepingFinalize(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ask := engine.DefineSleeping[string, string]("ask")
		publish := engine.Define[string, string]("publish")
		upper := engine.Define[string, string]("upper")
		reviewed := engine.Define[string, string]("reviewed")
		verdict := engine.DefineSleeping[engine.Joined[string, string], string]("verdict")
		w.executor(workers.Config{},
			engine.BindSequence(publish, engine.Then(engine.Then(upper, ask.Task), upper)),
			engine.Bind(upper, func(_ context.Context, in string) (string, error) { return strings.ToUpper(in), nil }),
			engine.BindParentTask(reviewed, func(_ context.Context, in string, c *engine.Children) (string, error) {
				upper.Spawn(c, in)
				return in, nil
			}, verdict.Task))
		s, p := enqueue(w, publish, "draft"), enqueue(w, reviewed, "draft")
		pass(time.Hour)
		check(t, ask.Wake(t.Context(), w.client, s.ID()+".1", "final"))
		check(t, verdict.Wake(t.Context(), w.client, p.ID()+".f", "good"))
		equal(t, "output of the sequence", result(w, s), "FINAL")
		equal(t, "output of the parent", result(w, p), "good")
	})
}

func TestSleepingExecutionOfAnotherClientSleepsWhereItIsBound(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		w.executor(workers.Config{}, engine.BindSleeping(approval))
		m := nats.NewMsg("durable.ready.default.approval.order-42")
		m.Data = []byte(`"order 42"`)
		_, err := w.nc.RequestMsgWithContext(t.Context(), m)
		check(t, err)
		pass(time.Hour)
		w.want("order-42", engine.Running)
		check(t, approval.Wake(t.Context(), w.client, "order-42", true))
		w.want("order-42", engine.Completed)
	})
}

func TestSleepingExecutionOfAnotherClientWaitsForItsDefinition(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		w.executor(workers.Config{}) // it does not know the task, and the message has no policy
		m := nats.NewMsg("durable.ready.default.approval.order-42")
		m.Header.Set(codec.HeaderSleeping, "1")
		_, err := w.nc.RequestMsgWithContext(t.Context(), m)
		check(t, err)
		pass(time.Hour)
		w.want("order-42", engine.Ready)
		w.executor(workers.Config{}, engine.BindSleeping(approval))
		pass(time.Minute)
		w.want("order-42", engine.Running)
	})
}
