package semantics_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/workers"
)

func TestShutdownClaimsNothingMore(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var runs journal
		task := engine.Define[string, string]("task")
		x := w.executor(workers.Config{}, engine.Bind(task, func(ctx context.Context, in string) (string, error) {
			runs.add("%s", in)
			return sleeps[string](10*time.Second, in)(ctx, in)
		}))
		first := enqueue(w, task, "first")
		pass(time.Second)
		x.stop()
		pass(time.Millisecond) // until the executor has noticed
		second := enqueue(w, task, "second")
		check(t, <-x.done)
		pass(time.Hour)
		runs.wants(t, "first")
		equal(t, "output of the first", result(w, first), "first")
		w.want(second.ID(), engine.Ready)
	})
}

func TestShutdownRefusesToEnqueueThroughTheExecutor(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task")
		inside := make(chan error, 1)
		x := w.executor(workers.Config{}, engine.Bind(task, func(ctx context.Context, in string) (string, error) {
			r := engine.FromContext(ctx)
			<-r.Stopping
			_, err := task.Enqueue(ctx, r.Client, "more")
			inside <- err
			return "", nil
		}))
		h, err := task.Enqueue(t.Context(), x.Client(), "in")
		check(t, err)
		pass(time.Second)
		x.stop()
		for _, err := range []error{<-inside, func() error {
			_, err := task.Enqueue(t.Context(), x.Client(), "more")
			return err
		}(), func() error {
			_, err := task.EnqueueMany(t.Context(), x.Client(), []string{"more"})
			return err
		}()} {
			if !errors.Is(err, engine.ErrShutdown) {
				t.Errorf("enqueue: %v, want ErrShutdown", err)
			}
		}
		check(t, <-x.done)
		equal(t, "executions", w.count(), 1)
		result(w, h)
	})
}

func TestShutdownHandsBackWhatItRefusesToEnqueueFor(t *testing.T) {
	for name, before := range map[string]time.Duration{"within the grace": 0, "recorded": time.Second} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				next := engine.Define[string, string]("next")
				task := engine.Define[string, string]("task")
				begun := make(chan struct{}, 2)
				bound := []engine.Binding{engine.Bind(next, returns[string]("")), engine.Bind(task, func(ctx context.Context, in string) (string, error) {
					r := engine.FromContext(ctx)
					begun <- struct{}{}
					select {
					case <-r.Stopping:
					case <-time.After(time.Minute):
					}
					h, err := next.Enqueue(ctx, r.Client, in)
					if err != nil {
						return "", fmt.Errorf("enqueue the next: %w", err)
					}
					return h.ID(), nil
				})}
				x := w.executor(workers.Config{}, bound...)
				h := enqueue(w, task, "in")
				<-begun
				pass(before)
				x.stop()
				check(t, <-x.done)
				w.want(h.ID(), engine.Ready)
				w.executor(workers.Config{}, bound...)
				y := w.ends(h.ID(), engine.Completed)
				equal(t, "attempt", y.Attempt, 0)
				equal(t, "crashes", y.Crashes, 0)
			})
		})
	}
}

func TestShutdownLetsAttemptsFinishForTheDrainTime(t *testing.T) {
	for name, test := range map[string]struct{ config, drain time.Duration }{"default": {0, 30 * time.Second}, "configured": {time.Hour, time.Hour}} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				task := engine.Define[string, string]("task", engine.NoTimeout)
				type sight struct {
					stopping time.Time
					err      error
				}
				saw := make(chan sight, 1)
				x := w.executor(workers.Config{Drain: test.config}, engine.Bind(task, func(ctx context.Context, in string) (string, error) {
					<-engine.FromContext(ctx).Stopping
					stopping := now()
					time.Sleep(test.drain - time.Second)
					saw <- sight{stopping, ctx.Err()}
					return "out", nil
				}))
				h := enqueue(w, task, "in")
				pass(time.Minute)
				began := now()
				x.stop()
				check(t, <-x.done)
				equal(t, "drained in", now().Sub(began), test.drain-time.Second)
				s := <-saw
				equal(t, "stopping seen", s.stopping, began)
				equal(t, "context", s.err, nil)
				w.want(h.ID(), engine.Completed)
				equal(t, "output", result(w, h), "out")
			})
		})
	}
}

func TestShutdownHandsBackWhatHasNotFinishedAtOnce(t *testing.T) {
	for name, test := range map[string]struct {
		drain time.Duration
		early time.Duration // how long before the shutdown
	}{
		"after the drain time": {20 * time.Second, time.Minute},
		"without a drain":      {workers.NoDrain, time.Minute},
		"within the grace":     {workers.NoDrain, 10 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				task := engine.Define[string, string]("task", engine.Retry{MaxRetries: 3, BaseDelay: time.Hour})
				cause := make(chan error, 1)
				x := w.executor(workers.Config{Drain: test.drain, NoAPI: true}, engine.Bind(task, func(ctx context.Context, in string) (string, error) {
					<-ctx.Done()
					cause <- context.Cause(ctx)
					return "late", nil
				}))
				h := enqueue(w, task, "in")
				pass(test.early)
				began := now()
				x.stop()
				check(t, <-x.done)
				equal(t, "drained in", now().Sub(began), max(test.drain, 0))
				equal(t, "cause", <-cause, engine.ErrShutdown)
				y := w.want(h.ID(), engine.Ready)
				equal(t, "attempt", y.Attempt, 0)
				equal(t, "crashes", y.Crashes, 0)
				equal(t, "executor", y.Executor, "")

				saw := make(chan engine.Run, 1)
				w.executor(workers.Config{}, engine.Bind(task, func(ctx context.Context, in string) (string, error) {
					saw <- engine.FromContext(ctx)
					return "out", nil
				}))
				equal(t, "output", result(w, h), "out")
				equal(t, "now", now(), began.Add(max(test.drain, 0)))
				r := <-saw
				equal(t, "attempt", r.Attempt, 0)
				equal(t, "previous error", r.PrevError, nil)
				y = w.get(h.ID())
				equal(t, "crashes", y.Crashes, 0)
			})
		})
	}
}

func TestShutdownKeepsTheErrorOfTheLastFailedAttempt(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task", engine.Retry{MaxRetries: 1})
		x := w.executor(workers.Config{Drain: workers.NoDrain}, engine.Bind(task, func(ctx context.Context, in string) (string, error) {
			if engine.FromContext(ctx).Attempt == 0 {
				return "", errLuck
			}
			<-ctx.Done()
			return "", context.Cause(ctx)
		}))
		h := enqueue(w, task, "in")
		pass(time.Minute)
		x.stop()
		check(t, <-x.done)
		y := w.want(h.ID(), engine.Ready)
		equal(t, "attempt", y.Attempt, 1)
		equal(t, "failure", y.Failure.Message, "no luck")
		saw := make(chan engine.Run, 1)
		w.executor(workers.Config{}, engine.Bind(task, func(ctx context.Context, in string) (string, error) {
			saw <- engine.FromContext(ctx)
			return "out", nil
		}))
		result(w, h)
		r := <-saw
		equal(t, "attempt", r.Attempt, 1)
		equal(t, "previous error", r.PrevError.Error(), "no luck")
	})
}

func TestShutdownGivesBackWhatHasNotBegun(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task", engine.NoTimeout)
		x := w.executor(workers.Config{Slots: 1, Queues: map[string]int{"a": 1, "b": 1}}, engine.Bind(task, sleeps[string](10*time.Second, "out")))
		enqueue(w, task, "in", engine.Queue("a"))
		pass(time.Second)
		waits := enqueue(w, task, "in", engine.Queue("b"))
		pass(time.Second)
		x.stop()
		pass(0)
		began := now()
		w.executor(workers.Config{Queues: map[string]int{"b": 1}}, engine.Bind(task, returns[string]("elsewhere")))
		equal(t, "output", result(w, waits), "elsewhere")
		equal(t, "at", now(), began)
		check(t, <-x.done)
	})
}

func TestShutdownFlushesEffectsBeforeRunReturns(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		parent := engine.Define[string, string]("parent")
		x := w.tapped(workers.Config{}, engine.Bind(kids, grow), engine.BindParent(parent, spawns(kid{}, kid{}), joins))
		x.tap.on(func(call, _ string) error {
			if call == "SpawnChildren" {
				time.Sleep(5 * time.Second)
			}
			return nil
		})
		h := enqueue(w, parent, "in")
		pass(time.Second)
		w.want(h.ID(), engine.WaitingForChildren)
		x.stop()
		check(t, <-x.done)
		equal(t, "executions once Run has returned", w.count(), 3)
		equal(t, "messages in hand", x.Stats().InHand, 0)

		// Other executors get the rest at once, not after a lease.
		began := now()
		w.executor(workers.Config{}, engine.Bind(kids, grow), engine.BindParent(parent, spawns(), joins))
		result(w, h)
		equal(t, "at", now(), began)
	})
}

func TestNothingStartsAfterRunHasReturned(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var runs journal
		parent := engine.Define[string, string]("parent")
		x := w.executor(workers.Config{Slots: 2}, engine.Bind(kids, func(ctx context.Context, k kid) (string, error) {
			runs.add("kid")
			return grow(ctx, k)
		}), engine.BindParent(parent, spawns(slices.Repeat([]kid{{After: time.Second}}, 20)...), joins))
		h := enqueue(w, parent, "in")
		pass(5500 * time.Millisecond)
		x.stop()
		check(t, <-x.done)
		ran := runs.count("kid")
		equal(t, "messages in hand", x.Stats().InHand, 0)
		equal(t, "running", x.Stats().Running, 0)
		pass(time.Hour)
		equal(t, "runs after Run has returned", runs.count("kid"), ran)
		w.want(h.ID(), engine.WaitingForChildren)
	})
}

func TestShutdownEndsThoughTheStoreDoesNotAnswer(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task")
		x := w.tapped(workers.Config{Drain: 20 * time.Second}, engine.Bind(task, sleeps[string](time.Hour, "")))
		h := enqueue(w, task, "in")
		pass(time.Minute)
		x.tap.on(func(call, _ string) error { return errors.New("cut") })
		began := now()
		x.stop()
		check(t, <-x.done)
		between(t, "end of Run", now(), began, began.Add(20*time.Second+15*time.Second))
		// Another executor gets the rest after the lease.
		w.executor(workers.Config{}, engine.Bind(task, returns[string]("out")))
		equal(t, "output", result(w, h), "out")
	})
}

func TestExecutorRunsOnce(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		x := w.executor(workers.Config{})
		if err := x.Run(t.Context()); err == nil {
			t.Error("ran a second time")
		}
		x.stop()
		check(t, <-x.done)
		if err := x.Run(t.Context()); err == nil {
			t.Error("ran again after its end")
		}
	})
}

func TestBadConfigIsRefused(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		for says, c := range map[string]workers.Config{
			"-1 slots":       {Slots: -1},
			"grace -1s":      {Grace: -time.Second},
			"drain -1s":      {Drain: -time.Second},
			"crash cap -1":   {CrashCap: -1},
			`queue "a b"`:    {Queues: map[string]int{"a b": 1}},
			"queue is empty": {Queues: map[string]int{"": 1}},
			"weight 0":       {Queues: map[string]int{"a": 0}},
		} {
			_, err := workers.New(w.store, c)
			if err == nil {
				t.Errorf("%s: accepted, want an error", says)
				continue
			}
			contains(t, "error", err.Error(), says)
		}
		if _, err := workers.New(w.store, workers.Config{}, engine.Binding{}); err == nil {
			t.Error("an empty binding was accepted")
		}
	})
}

func TestShutdownHandsBackThoughTheCodeReturnsAnErrorForIt(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		const n = 300
		task := engine.Define[int, string]("task", engine.Retry{MaxRetries: 1})
		x := w.executor(workers.Config{Slots: n, Drain: workers.NoDrain}, engine.Bind(task, func(ctx context.Context, _ int) (string, error) {
			<-ctx.Done()
			return "", context.Cause(ctx)
		}))
		hs, err := task.EnqueueMany(t.Context(), w.client, make([]int, n))
		check(t, err)
		pass(time.Second)
		x.stop()
		check(t, <-x.done)
		for _, h := range hs {
			y := w.want(h.ID(), engine.Ready)
			equal(t, "attempt", y.Attempt, 0)
			equal(t, "failure", y.Failure, nil)
		}
	})
}

// A context that a signal ends has the signal as its cause. The call that was cut short returns
// either the cause or the context's error.
func TestShutdownBeforeTheStartIsOverIsNoError(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		for _, cause := range []error{nil, errors.New("terminated")} {
			x, err := workers.New(w.store, workers.Config{}, engine.Bind(kids, grow))
			check(t, err)
			ctx, stop := context.WithCancelCause(t.Context())
			stop(cause)
			if err := x.Run(ctx); err != nil {
				t.Errorf("cause %v: %v", cause, err)
			}
		}
	})
}

// While the executor runs, it keeps trying to handle messages whose records it can't read or write,
// or which it can't set aside. They must not delay the shutdown.
func TestShutdownDoesNotWaitForMessagesThatNothingCanBeDoneAbout(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task")
		x := w.tapped(workers.Config{}, engine.Bind(task, returns[string]("out")))
		x.tap.on(func(call, _ string) error {
			if call == "Get" {
				return errors.New("no answer")
			}
			return nil
		})
		var hs []engine.Handle[string]
		for _, id := range []engine.ID{"a", "b", "c", "d"} { // a claim of an id that the caller gave reads the record first
			hs = append(hs, enqueue(w, task, "in", id))
		}
		check(t, w.store.Cancel(t.Context(), engine.Cancel{ID: "e", Reason: "enough"}))
		check(t, w.store.Carry(t.Context(), engine.TellParent{Closure: engine.Closure{Parent: "f", ID: "f.0", Status: engine.Completed}}))
		pass(time.Minute)
		began := now()
		x.stop()
		check(t, <-x.done)
		between(t, "end", now(), began, began.Add(3*time.Second))
		y := w.executor(workers.Config{}, engine.Bind(task, returns[string]("out")))
		for _, h := range hs {
			equal(t, "output", result(w, h), "out")
		}
		pass(time.Minute)
		y.stop()
		<-y.done
		w.quiet()
	})
}
