package semantics_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/workers"
)

const lease = 30 * time.Second // the default

func TestLeaseIs30SecondsByDefault(t *testing.T) {
	run(t, func(t *testing.T, w *world) { equal(t, "lease", w.store.Limits().Lease, lease) })
}

func TestLeaseIsASecondAtLeast(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		_, err := jsstore.Open(t.Context(), w.nc, jsstore.Config{Namespace: "short", Lease: 999 * time.Millisecond})
		if err == nil {
			t.Fatal("a lease of 999ms was accepted")
		}
		contains(t, "error", err.Error(), "lease 999ms", "1s")
		s, err := jsstore.Open(t.Context(), w.nc, jsstore.Config{Namespace: "short", Lease: time.Second})
		check(t, err)
		check(t, s.Close())
	})
}

func TestLeaseIsRenewedAsLongAsAnAttemptRuns(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var runs journal
		task := engine.Define[string, string]("task", engine.NoTimeout)
		for range 2 {
			w.executor(workers.Config{}, engine.Bind(task, func(ctx context.Context, in string) (string, error) {
				runs.add("run")
				return sleeps[string](3*time.Hour, "out")(ctx, in)
			}))
		}
		h := enqueue(w, task, "in")
		equal(t, "output", result(w, h), "out")
		runs.wants(t, "run")
		equal(t, "crashes", w.get(h.ID()).Crashes, 0)
	})
}

func TestWhatWaitsInHandForASlotRunsOnce(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var runs journal
		task := engine.Define[string, string]("task", engine.NoTimeout)
		bound := engine.Bind(task, func(ctx context.Context, in string) (string, error) {
			runs.add("run %s", in)
			return sleeps[string](10*time.Minute, "out")(ctx, in)
		})
		w.executor(workers.Config{Slots: 1, Queues: map[string]int{"a": 1, "b": 1}}, bound)
		a := enqueue(w, task, "a", engine.Queue("a"))
		pass(time.Second)
		b := enqueue(w, task, "b", engine.Queue("b"))
		pass(time.Second)
		w.executor(workers.Config{Slots: 1, Queues: map[string]int{"b": 1}}, bound)
		result(w, a)
		result(w, b)
		runs.wants(t, "run a", "run b")
	})
}

// crashes starts an executor of task. The code of the first attempt kills the executor after d.
func crashes(w *world, task engine.Task[string, string], d time.Duration) *executor {
	var x *executor
	x = w.tapped(workers.Config{Name: "dead", Drain: workers.NoDrain}, engine.Bind(task, func(ctx context.Context, in string) (string, error) {
		time.Sleep(d)
		x.tap.kill()
		<-ctx.Done()
		return "from the dead", nil
	}))
	return x
}

func TestCrashIsNoticedWithinTheLeaseHoweverLongTheTimeoutIs(t *testing.T) {
	for _, timeout := range []engine.Timeout{engine.Timeout(time.Hour), engine.NoTimeout} {
		t.Run(fmt.Sprint(time.Duration(timeout)), func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				task := engine.Define[string, string]("task", timeout)
				crashes(w, task, 17*time.Minute)
				h := enqueue(w, task, "in")
				pass(time.Second)
				dies := now().Add(17*time.Minute - time.Second)
				started := make(chan time.Time, 1)
				w.executor(workers.Config{}, engine.Bind(task, func(context.Context, string) (string, error) {
					started <- now()
					return "out", nil
				}))
				equal(t, "output", result(w, h), "out")
				between(t, "start elsewhere", <-started, dies, dies.Add(lease))
			})
		})
	}
}

func TestCrashKeepsTheAttemptNumberAndUsesNoRetry(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task") // no retries
		crashes(w, task, time.Minute)
		h := enqueue(w, task, "in")
		pass(time.Second)
		saw := make(chan engine.Run, 1)
		w.executor(workers.Config{Name: "alive"}, engine.Bind(task, func(ctx context.Context, in string) (string, error) {
			saw <- engine.FromContext(ctx)
			return sleeps[string](time.Minute, "out")(ctx, in)
		}))
		pass(time.Minute + lease)
		x := w.want(h.ID(), engine.Running)
		equal(t, "crashes while running again", x.Crashes, 1)
		equal(t, "executor", x.Executor, "alive")
		r := <-saw
		equal(t, "attempt", r.Attempt, 0)
		equal(t, "previous error", r.PrevError.Error(), "execution expired")

		equal(t, "output", result(w, h), "out")
		x = w.get(h.ID())
		equal(t, "attempt", x.Attempt, 0)
		equal(t, "crashes", x.Crashes, 1)
		equal(t, "attempts", len(x.History), 2)
		equal(t, "lost executor", x.History[0].Executor, "dead")
		equal(t, "failure of the lost attempt", x.History[0].Failure.Kind, engine.KindExpired)
	})
}

func TestCrashInARetryKeepsItsNumberAndTheRetriesLeft(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var attempts journal
		task := engine.Define[string, string]("task", engine.Retry{MaxRetries: 2})
		note := func(ctx context.Context) int {
			r := engine.FromContext(ctx)
			attempts.add("%d after %v", r.Attempt, r.PrevError)
			return r.Attempt
		}
		var dead *executor
		dead = w.tapped(workers.Config{Drain: workers.NoDrain}, engine.Bind(task, func(ctx context.Context, in string) (string, error) {
			if note(ctx) == 1 {
				time.Sleep(time.Second)
				dead.tap.kill()
			}
			return "", errLuck
		}))
		h := enqueue(w, task, "in")
		pass(2 * time.Second)
		w.executor(workers.Config{}, engine.Bind(task, func(ctx context.Context, in string) (string, error) {
			note(ctx)
			return "", errLuck
		}))
		x := w.ends(h.ID(), engine.Failed)
		equal(t, "attempt", x.Attempt, 2)
		attempts.wants(t, "0 after <nil>", "1 after no luck", "1 after execution expired", "2 after no luck")
	})
}

func TestTaskThatKillsItsProcessFailsPastTheCrashCap(t *testing.T) {
	for name, test := range map[string]struct{ config, cap int }{"default": {0, 10}, "configured": {2, 2}} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				var runs journal
				task := engine.Define[string, string]("killer", engine.Retry{MaxRetries: 100})
				for range test.cap + 2 {
					var x *executor
					x = w.tapped(workers.Config{CrashCap: test.config, Drain: workers.NoDrain}, engine.Bind(task, func(ctx context.Context, _ string) (string, error) {
						runs.add("run")
						time.Sleep(time.Second)
						x.tap.kill()
						<-ctx.Done()
						return "", context.Cause(ctx)
					}))
				}
				x := w.ends(enqueue(w, task, "in").ID(), engine.Failed)
				equal(t, "runs", runs.count("run"), test.cap+1)
				equal(t, "crashes", x.Crashes, test.cap+1)
				equal(t, "attempt", x.Attempt, 0)
				equal(t, "kind", x.Failure.Kind, engine.KindExpired)
				contains(t, "failure", x.Failure.Message, "execution expired", fmt.Sprintf("%d times", test.cap+1), fmt.Sprintf("cap of %d", test.cap))
			})
		})
	}
}

func TestTaskThatKillsItsProcessAtOnceIsCaughtOneRunLater(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var runs journal
		task := engine.Define[string, string]("killer")
		for range 5 {
			var x *executor
			x = w.tapped(workers.Config{CrashCap: 2, Drain: workers.NoDrain}, engine.Bind(task, func(ctx context.Context, _ string) (string, error) {
				runs.add("run")
				x.tap.kill() // before the grace is over: no record says that the attempt began
				<-ctx.Done()
				return "", context.Cause(ctx)
			}))
		}
		x := w.ends(enqueue(w, task, "in").ID(), engine.Failed)
		equal(t, "runs", runs.count("run"), 4)
		equal(t, "crashes", x.Crashes, 3)
	})
}

const leaseLost = "lease lost: the result of an attempt is discarded"

// stall delays every call of an executor for d, like a stopped process.
func (e *executor) stall(d time.Duration) {
	until := time.Now().Add(d)
	e.tap.on(func(string, string) error {
		time.Sleep(time.Until(until))
		return nil
	})
}

func TestStalledExecutorsLateResultIsDiscardedAndLoggedOnce(t *testing.T) {
	for name, second := range map[string]time.Duration{
		"other has completed": 30 * time.Second,
		"other still runs":    10 * time.Minute,
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				task := engine.Define[string, string]("task", engine.NoTimeout)
				stalled := w.tapped(workers.Config{Name: "stalled"}, engine.Bind(task, sleeps[string](2*time.Minute, "late")))
				h := enqueue(w, task, "in")
				pass(time.Second)
				stalled.stall(3 * time.Minute) // longer than the code runs, which does not stall
				w.executor(workers.Config{Name: "other"}, engine.Bind(task, sleeps[string](second, "out")))
				pass(time.Hour)
				x := w.want(h.ID(), engine.Completed)
				equal(t, "output", result(w, h), "out")
				equal(t, "executor", x.Executor, "other")
				equal(t, "crashes", x.Crashes, 1)
				equal(t, "attempt", x.Attempt, 0)
				equal(t, "logged", stalled.logged(leaseLost), 1)
				equal(t, "messages in hand", stalled.Stats().InHand, 0)
				equal(t, "warnings in all", warnings(stalled), 1)
			})
		})
	}
}

func TestStalledExecutorPutsDownNothingThatAnotherHolds(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task", engine.NoTimeout)
		stalled := w.tapped(workers.Config{Name: "stalled", Slots: 1}, engine.Bind(task, returns[string]("late")))
		stalled.stall(3 * time.Minute)
		h := enqueue(w, task, "in", engine.ID("order-1")) // an id that the caller gives makes the claim exclusive
		pass(time.Second)
		second := w.tapped(workers.Config{Name: "second", Drain: workers.NoDrain}, engine.Bind(task, sleeps[string](time.Hour, "late")))
		pass(lease)
		equal(t, "executor", w.want(h.ID(), engine.Running).Executor, "second")
		pass(5 * time.Minute) // the first executor has woken with a message that the second one holds
		equal(t, "executor", w.want(h.ID(), engine.Running).Executor, "second")
		equal(t, "crashes", w.get(h.ID()).Crashes, 0)
		second.tap.kill()
		died := now()
		w.executor(workers.Config{Name: "third"}, engine.Bind(task, returns[string]("out")))
		result(w, h)
		x := w.get(h.ID())
		between(t, "start after the crash", x.StartedAt, died, died.Add(lease))
		equal(t, "crashes", x.Crashes, 1)
	})
}

// warnings counts the log lines of x from WARN up.
func warnings(x *executor) int {
	n := 0
	for _, l := range x.logs.All() {
		if l.Level >= zapWarn {
			n++
		}
	}
	return n
}

func TestExecutorThatCantRenewLosesTheAttemptAndEndsItsContext(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task", engine.NoTimeout)
		cause := make(chan error, 1)
		mute := w.tapped(workers.Config{Name: "mute"}, engine.Bind(task, func(ctx context.Context, _ string) (string, error) {
			<-ctx.Done()
			cause <- context.Cause(ctx)
			return "late", nil
		}))
		mute.tap.on(func(call, _ string) error {
			if call == "Extend" {
				return errSkipped
			}
			return nil
		})
		h := enqueue(w, task, "in")
		pass(time.Second)
		w.executor(workers.Config{Name: "other"}, engine.Bind(task, sleeps[string](time.Hour, "out")))
		pass(3 * lease)
		equal(t, "cause", (<-cause).Error(), "execution cancelled")
		equal(t, "executor", w.want(h.ID(), engine.Running).Executor, "other")
		equal(t, "output", result(w, h), "out")
		equal(t, "logged", mute.logged(leaseLost), 1)
		equal(t, "warnings in all", warnings(mute), 1)
	})
}

func TestUnknownTaskWaitsForAnExecutorThatKnowsIt(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		known := engine.Define[string, string]("known")
		unknown := engine.Define[string, string]("unknown")
		x := w.executor(workers.Config{Slots: 1}, engine.Bind(known, returns[string]("out")))
		h := enqueue(w, unknown, "in")
		pass(time.Hour)
		y := w.want(h.ID(), engine.Ready)
		equal(t, "attempt", y.Attempt, 0)
		equal(t, "crashes", y.Crashes, 0)
		equal(t, "output of a known one", result(w, enqueue(w, known, "in")), "out")
		equal(t, "warnings", warnings(x), 0)

		began := now()
		w.executor(workers.Config{}, engine.Bind(unknown, returns[string]("out")))
		equal(t, "output", result(w, h), "out")
		// The other executor may get it once more, because it requested first.
		between(t, "start", w.get(h.ID()).StartedAt, began, began.Add(61*time.Second))
	})
}

func TestUnknownTaskIsLeftToTheOneOfTwoThatKnowsIt(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		one := engine.Define[string, string]("one")
		two := engine.Define[string, string]("two")
		w.executor(workers.Config{}, engine.Bind(one, returns[string]("1")))
		w.executor(workers.Config{}, engine.Bind(two, returns[string]("2")))
		for range 20 {
			equal(t, "output", result(w, enqueue(w, one, "in")), "1")
			equal(t, "output", result(w, enqueue(w, two, "in")), "2")
		}
	})
}
