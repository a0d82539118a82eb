package semantics_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/storetest"
	"github.com/durable-execution/durable/workers"
)

// soon bounds how long a cancellation takes to reach a running attempt of any executor.
const soon = 50 * time.Millisecond

// cancels cancels an execution, and fails unless its record is cancelled at once.
func (w *world) cancels(id, reason string) engine.Execution {
	w.t.Helper()
	check(w.t, w.client.Cancel(w.t.Context(), id, reason))
	x := w.want(id, engine.Cancelled)
	equal(w.t, "reason", x.Failure.Message, reason)
	equal(w.t, "kind", x.Failure.Kind, engine.KindCancelled)
	equal(w.t, "finishedAt", x.FinishedAt, now())
	return x
}

// quiet fails if any message is left for executors.
func (w *world) quiet() {
	w.t.Helper()
	queue, err := w.store.Claim(w.t.Context(), engine.DefaultQueue)
	check(w.t, err)
	silent(w.t, "execution", queue)
	closures, err := w.store.Closures(w.t.Context())
	check(w.t, err)
	silent(w.t, "closure", closures)
	cancels, err := w.store.Cancels(w.t.Context())
	check(w.t, err)
	silent(w.t, "cancellation", cancels)
	expiries, err := w.store.Expiries(w.t.Context())
	check(w.t, err)
	silent(w.t, "expiry", expiries)
}

// silent fails if the feed delivers a message, at once or after a lease.
func silent[M any](t *testing.T, what string, f engine.Feed[M]) {
	t.Helper()
	defer f.Close()
	f.Request(1)
	select {
	case m := <-f.Messages():
		t.Errorf("left behind: %s %+v", what, m)
	case <-time.After(2 * lease):
	}
}

func TestCancelledBeforeItStartsNeverStarts(t *testing.T) {
	for name, opts := range map[string][]engine.Option{
		"due":         nil,
		"with own id": {engine.ID("mine")},
		"delayed":     {engine.Delay(time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				var runs journal
				task := engine.Define[string, string]("task")
				h := enqueue(w, task, "in", opts...)
				w.cancels(h.ID(), "enough")
				x := w.executor(workers.Config{}, engine.Bind(task, func(context.Context, string) (string, error) {
					runs.add("run")
					return "", nil
				}))
				pass(2 * time.Hour)
				runs.wants(t)
				w.want(h.ID(), engine.Cancelled)
				x.stop()
				<-x.done
				w.quiet()
			})
		})
	}
}

func TestCancelledWhileItsDelayRunsInAnExecutorsWorldNeverStarts(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var runs journal
		task := engine.Define[string, string]("task")
		x := w.executor(workers.Config{}, engine.Bind(task, func(context.Context, string) (string, error) {
			runs.add("run")
			return "", nil
		}))
		h := enqueue(w, task, "in", engine.Delay(time.Hour))
		pass(30 * time.Minute)
		w.cancels(h.ID(), "enough")
		pass(2 * time.Hour)
		runs.wants(t)
		x.stop()
		<-x.done
		w.quiet()
	})
}

func TestCancelledWhileItWaitsForARetryNeverStartsAgain(t *testing.T) {
	for _, delay := range []time.Duration{500 * time.Millisecond, time.Hour} {
		t.Run(fmt.Sprint(delay), func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				var runs journal
				task := engine.Define[string, string]("task", engine.Retry{MaxRetries: 5, BaseDelay: delay})
				x := w.executor(workers.Config{}, engine.Bind(task, func(context.Context, string) (string, error) {
					runs.add("run")
					return "", errLuck
				}))
				h := enqueue(w, task, "in")
				pass(200 * time.Millisecond)
				w.want(h.ID(), engine.Ready)
				w.cancels(h.ID(), "enough")
				pass(10 * time.Hour)
				runs.wants(t, "run")
				x.stop()
				<-x.done
				w.quiet()
			})
		})
	}
}

func TestCancelEndsARunningContextOnAnyExecutorWithACause(t *testing.T) {
	for name, after := range map[string]time.Duration{"within the grace": 10 * time.Millisecond, "recorded": time.Minute} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				task := engine.Define[string, string]("task", engine.NoTimeout, engine.Retry{MaxRetries: 5})
				type end struct {
					at    time.Time
					cause error
				}
				ended := make(chan end, 10)
				bound := engine.Bind(task, func(ctx context.Context, in string) (string, error) {
					<-ctx.Done()
					ended <- end{time.Now(), context.Cause(ctx)}
					return "late", nil
				})
				for range 3 {
					w.executor(workers.Config{Slots: 2}, bound)
				}
				var hs []engine.Handle[string]
				for range 6 { // enough that each executor gets some
					hs = append(hs, enqueue(w, task, "in"))
				}
				pass(after)
				for _, h := range hs {
					began := time.Now()
					w.cancels(h.ID(), "enough")
					e := <-ended
					between(t, "end of the context", e.at, began, began.Add(soon))
					equal(t, "cause", e.cause, engine.ErrCancelled)
				}
				pass(time.Hour)
				for _, h := range hs {
					x := w.want(h.ID(), engine.Cancelled) // the result of the code does not matter
					equal(t, "reason", x.Failure.Message, "enough")
				}
			})
		})
	}
}

func TestCancelUnheardReachesTheAttemptWithinTheLease(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task", engine.NoTimeout)
		ended := make(chan time.Time, 1)
		x := w.tapped(workers.Config{}, engine.Bind(task, func(ctx context.Context, in string) (string, error) {
			<-ctx.Done()
			ended <- now()
			return "late", nil
		}))
		x.tap.on(func(call, _ string) error {
			if call == "Notice" {
				return errSkipped
			}
			return nil
		})
		h := enqueue(w, task, "in")
		pass(time.Minute)
		w.cancels(h.ID(), "enough")
		began := now()
		between(t, "end of the context", <-ended, began, began.Add(lease))
		pass(time.Minute)
		w.want(h.ID(), engine.Cancelled)
	})
}

func TestCancelOfAWaitingParentCancelsEverythingBelow(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var runs journal
		root := engine.Define[string, string]("root")
		middle := engine.Define[string, string]("middle")
		leaf := engine.Define[kid, string]("leaf", engine.NoTimeout)
		w.executor(workers.Config{},
			engine.Bind(leaf, func(ctx context.Context, k kid) (string, error) {
				runs.add("leaf")
				return grow(ctx, k)
			}),
			engine.BindParent(middle, func(_ context.Context, in string, c *engine.Children) (string, error) {
				leaf.Spawn(c, kid{After: time.Minute}) // completes before the cancellation
				leaf.Spawn(c, kid{After: 3 * time.Hour})
				leaf.Spawn(c, kid{}, engine.Delay(3*time.Hour))
				return in, nil
			}, joins),
			engine.BindParent(root, func(_ context.Context, in string, c *engine.Children) (string, error) {
				middle.Spawn(c, in)
				leaf.Spawn(c, kid{Fails: true, After: time.Minute}, engine.Retry{MaxRetries: 1, BaseDelay: 3 * time.Hour})
				return in, nil
			}, joins))
		h := enqueue(w, root, "in", engine.ID("r"))
		pass(time.Hour)
		w.want("r", engine.WaitingForChildren)
		began := now()
		w.cancels("r", "enough")
		pass(soon)
		w.want("r.0-0", engine.Completed)
		for id, parent := range map[string]string{"r.0": "r", "r.0-1": "r.0", "r.0-2": "r.0", "r.1": "r"} {
			x := w.want(id, engine.Cancelled)
			contains(t, "reason of "+id, x.Failure.Message, "parent "+parent, "cancelled")
			between(t, "end of "+id, x.FinishedAt, began, began.Add(soon))
		}
		pass(10 * time.Hour)
		equal(t, "closed", w.get("r").Closed, true)
		equal(t, "runs of leaves", runs.count("leaf"), 3)
		equal(t, "executions: no finalize", w.count(), 6)
		_, err := h.Wait(w.ctx)
		equal(t, "wait tells of it", errors.Is(err, engine.ErrCancelled), true)
	})
}

func TestCancelOfAParentThatWaitsForItsFinalizeCancelsTheFinalize(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		type j0 = engine.Joined[string, string]
		parent := engine.Define[string, string]("parent")
		last := engine.Define[j0, string]("last")
		ended := make(chan error, 1)
		w.executor(workers.Config{}, engine.Bind(kids, func(ctx context.Context, k kid) (string, error) {
			_, err := grow(ctx, k)
			ended <- err
			return "", err
		}), engine.BindParentTask(parent, noChildren, last),
			engine.BindParent(last, func(_ context.Context, _ j0, c *engine.Children) (string, error) {
				kids.Spawn(c, kid{After: time.Hour})
				return "", nil
			}, func(context.Context, engine.Joined[j0, string]) (string, error) { return "", nil }))
		h := enqueue(w, parent, "in", engine.ID("p"))
		pass(time.Minute)
		w.want("p", engine.WaitingForFinalize)
		w.want("p.f", engine.WaitingForChildren)
		w.cancels("p", "enough")
		pass(soon)
		w.want("p.f", engine.Cancelled)
		w.want("p.f-0", engine.Cancelled)
		equal(t, "cause", <-ended, engine.ErrCancelled)
		pass(2 * time.Hour)
		w.want(h.ID(), engine.Cancelled)
		equal(t, "executions", w.count(), 3)
		equal(t, "closed", w.get("p").Closed, true)
	})
}

func TestCancelOfAFinalizeFailsItsParent(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		parent := engine.Define[string, string]("parent")
		w.executor(workers.Config{}, engine.BindParent(parent, noChildren, func(ctx context.Context, _ engine.Joined[string, string]) (string, error) {
			return sleeps[string](time.Hour, "")(ctx, "")
		}))
		h := enqueue(w, parent, "in")
		pass(time.Minute)
		w.cancels(h.ID()+".f", "enough")
		x := w.ends(h.ID(), engine.FinalizeFailed)
		contains(t, "failure", x.Failure.Message, "cancelled", "enough")
	})
}

func TestCancelOfAChildTellsItsParentAndStopsWhatIsBelow(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		root := engine.Define[string, string]("root", engine.WaitAll)
		middle := engine.Define[string, string]("middle")
		w.executor(workers.Config{}, engine.Bind(kids, grow), engine.BindParent(middle, spawns(kid{After: time.Hour}), joins),
			engine.BindParent(root, func(_ context.Context, in string, c *engine.Children) (string, error) {
				middle.Spawn(c, in)
				middle.Spawn(c, in)
				return in, nil
			}, joins))
		h := enqueue(w, root, "in", engine.ID("r"))
		pass(time.Minute)
		w.cancels("r.0", "enough")
		pass(soon)
		w.want("r.0-0", engine.Cancelled)
		w.want("r", engine.WaitingForChildren)
		w.want("r.1-0", engine.Running)
		result(w, h)
		w.want("r.1", engine.Completed)
	})
}

func TestCancelBeforeTheChildrenAreSpawnedKeepsThemFromRunning(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var runs journal
		parent := engine.Define[string, string]("parent")
		x := w.tapped(workers.Config{}, engine.Bind(kids, func(ctx context.Context, k kid) (string, error) {
			runs.add("kid")
			return grow(ctx, k)
		}), engine.BindParent(parent, spawns(kid{}, kid{}, kid{}), joins))
		x.tap.on(func(call, _ string) error {
			if call == "SpawnChildren" {
				time.Sleep(time.Minute)
			}
			return nil
		})
		h := enqueue(w, parent, "in")
		pass(time.Second)
		w.want(h.ID(), engine.WaitingForChildren)
		equal(t, "executions", w.count(), 1)
		w.cancels(h.ID(), "enough")
		pass(time.Hour)
		runs.wants(t)
		for n := range 3 {
			w.want(fmt.Sprintf("%s.%d", h.ID(), n), engine.Cancelled)
		}
		w.want(h.ID(), engine.Cancelled)
	})
}

func TestCancelRepeatedOrOfAFinishedOneSaysSoAndChangesNothing(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[bool, string]("task")
		w.executor(workers.Config{}, engine.Bind(task, func(_ context.Context, bad bool) (string, error) {
			if bad {
				return "", errLuck
			}
			return "out", nil
		}))
		finished := func(id string, status engine.Status) {
			t.Helper()
			before := w.want(id, status)
			err := w.client.Cancel(t.Context(), id, "again")
			if !errors.Is(err, engine.ErrFinished) {
				t.Fatalf("cancel of a %s one: %v, want ErrFinished", status, err)
			}
			contains(t, "error", err.Error(), id, string(status))
			pass(time.Minute)
			after := w.want(id, status)
			equal(t, "finishedAt", after.FinishedAt, before.FinishedAt)
			if before.Failure != nil {
				equal(t, "failure", after.Failure.Message, before.Failure.Message)
			}
		}
		h := enqueue(w, task, false)
		result(w, h)
		finished(h.ID(), engine.Completed)
		h = enqueue(w, task, true)
		w.ends(h.ID(), engine.Failed)
		finished(h.ID(), engine.Failed)
		h = enqueue(w, task, false, engine.Delay(time.Hour))
		w.cancels(h.ID(), "enough")
		finished(h.ID(), engine.Cancelled)
		finished(h.ID(), engine.Cancelled)
	})
}

func TestCancelOfAnUnknownIDIsErrNotFound(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		for _, id := range []string{"te_unknown", "te_unknown.0", "te_unknown.f"} {
			if err := w.client.Cancel(t.Context(), id, "enough"); !errors.Is(err, engine.ErrNotFound) {
				t.Errorf("cancel of %s: %v, want ErrNotFound", id, err)
			}
		}
		for _, id := range []string{"", "a b", "a.b.c", "*", ">"} {
			if err := w.client.Cancel(t.Context(), id, "enough"); err == nil || errors.Is(err, engine.ErrNotFound) {
				t.Errorf("cancel of %q: %v, want it refused as no id", id, err)
			}
		}
		w.quiet()
	})
}

func TestCancelAtTheMomentOfTheEndIsEitherTheOneOrTheOther(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task")
		w.executor(workers.Config{}, engine.Bind(task, func(context.Context, string) (string, error) {
			time.Sleep(time.Second) // whatever its context says
			return "out", nil
		}))
		var all sync.WaitGroup
		for range 50 {
			h := enqueue(w, task, "in")
			all.Go(func() {
				time.Sleep(time.Second)
				err := h.Cancel(t.Context(), "enough")
				_, waited := h.Wait(w.ctx)
				x, got := h.Get(t.Context())
				switch {
				case got != nil:
					t.Error(got)
				case err == nil && (x.Status != engine.Cancelled || waited == nil):
					t.Errorf("cancelled, and status = %s, wait: %v", x.Status, waited)
				case err != nil && (!errors.Is(err, engine.ErrFinished) || x.Status != engine.Completed || waited != nil):
					t.Errorf("cancel: %v, and status = %s, wait: %v", err, x.Status, waited)
				}
			})
		}
		all.Wait()
	})
}

func TestCancelWithoutExecutorsIsCarriedOutByTheNextOne(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var begun journal
		root := engine.Define[string, string]("root")
		middle := engine.Define[string, string]("middle")
		bound := []engine.Binding{
			engine.Bind(kids, func(ctx context.Context, k kid) (string, error) {
				begun.add("%s", engine.FromContext(ctx).ExecutionID)
				return grow(ctx, k)
			}),
			engine.BindParent(middle, spawns(kid{After: 2 * time.Hour}, kid{After: 2 * time.Hour}), joins),
			engine.BindParent(root, func(_ context.Context, in string, c *engine.Children) (string, error) {
				middle.Spawn(c, in)
				return in, nil
			}, joins),
		}
		dead := w.tapped(workers.Config{Drain: workers.NoDrain}, bound...)
		enqueue(w, root, "in", engine.ID("r"))
		pass(time.Minute)
		w.want("r.0-1", engine.Running)
		equal(t, "kids that began", len(begun.all()), 2)
		dead.tap.kill()
		dead.stop() // the code ends with its process
		w.cancels("r", "enough")
		pass(time.Hour)
		w.want("r.0-1", engine.Running) // according to its record

		w.executor(workers.Config{}, bound...)
		pass(time.Minute)
		for _, id := range []string{"r", "r.0", "r.0-0", "r.0-1"} {
			w.want(id, engine.Cancelled)
		}
		// The cancellation goes down the tree step by step: no execution begins before it arrives.
		pass(2 * time.Hour)
		equal(t, "kids that began", len(begun.all()), 2)
		for _, id := range []string{"r", "r.0", "r.0-0", "r.0-1"} {
			w.want(id, engine.Cancelled)
		}
	})
}

func TestCancelledOneWhoseExecutorDiedNeverStartsAgain(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task")
		dead := crashes(w, task, time.Minute)
		h := enqueue(w, task, "in")
		pass(2 * time.Minute)
		w.cancels(h.ID(), "enough")
		x := w.executor(workers.Config{}, engine.Bind(task, func(context.Context, string) (string, error) {
			t.Error("it runs again")
			return "", nil
		}))
		pass(time.Hour)
		w.want(h.ID(), engine.Cancelled)
		x.stop()
		dead.stop()
		<-x.done
		<-dead.done
		w.quiet()
	})
}

func TestCallerThatDiesInACancelHasCancelledAllOrNothing(t *testing.T) {
	for n := 1; n <= 5; n++ {
		for _, mode := range []storetest.Mode{storetest.Before, storetest.After} {
			t.Run(fmt.Sprintf("%s call %d", mode, n), func(t *testing.T) {
				run(t, func(t *testing.T, w *world) {
					parent := engine.Define[string, string]("parent")
					w.executor(workers.Config{}, engine.Bind(kids, grow), engine.BindParent(parent, spawns(kid{After: time.Hour}), joins))
					h := enqueue(w, parent, "in", engine.ID("p"))
					pass(time.Minute)
					err := engine.NewClient(storetest.Crashing(w.store, n, mode)).Cancel(t.Context(), h.ID(), "enough")
					pass(time.Minute)
					x := w.get("p")
					switch {
					case err == nil, x.Status == engine.Cancelled:
						equal(t, "reason", w.want("p", engine.Cancelled).Failure.Message, "enough")
						w.want("p.0", engine.Cancelled)
					default:
						w.want("p", engine.WaitingForChildren)
						w.want("p.0", engine.Running)
					}
					if n > 2 && x.Status != engine.Cancelled {
						t.Errorf("status = %s, want cancelled: the message was sent", x.Status)
					}
				})
			})
		}
	}
}

func TestCancelFromTheCodeOfATask(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		killer := engine.Define[string, string]("killer")
		victim := engine.Define[string, string]("victim")
		w.executor(workers.Config{}, engine.Bind(victim, sleeps[string](time.Hour, "")),
			engine.Bind(killer, func(ctx context.Context, id string) (string, error) {
				return "", engine.FromContext(ctx).Client.Cancel(ctx, id, "killed")
			}))
		h := enqueue(w, victim, "in")
		pass(time.Second)
		result(w, enqueue(w, killer, h.ID()))
		equal(t, "reason", w.want(h.ID(), engine.Cancelled).Failure.Message, "killed")
	})
}

func TestCancelKeepsItsReasonWhateverErrorTheCodeReturnsForIt(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		const n = 300
		task := engine.Define[int, string]("task", engine.Retry{MaxRetries: 1})
		w.executor(workers.Config{Slots: n}, engine.Bind(task, func(ctx context.Context, i int) (string, error) {
			<-ctx.Done()
			if i%2 == 0 {
				return "", context.Cause(ctx)
			}
			return "", errors.New("interrupted")
		}))
		ins := make([]int, n)
		for i := range ins {
			ins[i] = i
		}
		hs, err := task.EnqueueMany(t.Context(), w.client, ins)
		check(t, err)
		pass(time.Second)
		for _, h := range hs {
			w.cancels(h.ID(), "enough")
		}
		pass(time.Minute)
		for _, h := range hs {
			equal(t, "reason", w.want(h.ID(), engine.Cancelled).Failure.Message, "enough")
		}
	})
}

func TestCancelOfAnEarlierLifeOfAnIDIsNoneOfTheNext(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		root := engine.Define[string, engine.Gathered[string]]("root")
		w.executor(workers.Config{}, engine.Bind(kids, grow), engine.BindFanOut(root, func(_ context.Context, in string, c *engine.Children) (string, error) {
			kids.Spawn(c, kid{After: time.Minute})
			return in, nil
		}))
		enqueue(w, root, "first", engine.ID("r"))
		pass(time.Second)
		born := w.get("r").CreatedAt
		w.cancels("r", "enough")
		pass(time.Second)
		check(t, w.client.Delete(t.Context(), "r"))
		pass(time.Second)
		enqueue(w, root, "second", engine.ID("r"))
		pass(time.Second)
		// A second message comes from a caller whose clock is ahead.
		check(t, w.store.Cancel(t.Context(), engine.Cancel{ID: "r", At: now().Add(time.Hour), Reason: "enough", Born: born}))
		w.ends("r", engine.Completed)
		w.want("r.0", engine.Completed)
		pass(time.Hour)
		w.quiet()
	})
}

func TestCancelWithAReasonThatIsNotStoredAsItIsSucceeds(t *testing.T) {
	for name, reason := range map[string]string{
		"long": strings.Repeat("long ", 4000), "no UTF-8": "a\xffb", "both": strings.Repeat("\xff", 20_000), "empty": "",
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				task := engine.Define[string, string]("task")
				x := w.tapped(workers.Config{}, engine.Bind(task, sleeps[string](time.Hour, "")))
				h := enqueue(w, task, "in")
				pass(time.Second)
				// The executor is faster than the caller, which then finds the record cancelled.
				line := newTap(w.store)
				line.on(func(call, _ string) error {
					if call == "Update" {
						pass(time.Second)
					}
					return nil
				})
				if err := engine.NewClient(line).Cancel(t.Context(), h.ID(), reason); err != nil {
					t.Errorf("cancel: %v, want nil: it has done it", err)
				}
				w.want(h.ID(), engine.Cancelled)
				x.stop()
			})
		})
	}
}

func TestWakeWithALongErrorSucceeds(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.DefineSleeping[string, string]("sleeps")
		w.executor(workers.Config{})
		h := enqueue(w, task.Task, "in")
		pass(time.Second)
		check(t, task.WakeError(t.Context(), w.client, h.ID(), errors.New(strings.Repeat("\xfflong", 4000))))
		w.want(h.ID(), engine.Failed)
	})
}

// If a caller cancels an attempt before the record says that it runs, the history nevertheless
// gets the attempt.
func TestAnAttemptCancelledWithinTheGraceIsInTheHistory(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task", engine.Retry{MaxRetries: 1, BaseDelay: time.Second})
		var began time.Time
		x := w.executor(workers.Config{Name: "one"}, engine.Bind(task, func(ctx context.Context, in string) (string, error) {
			if in == "fails" && engine.FromContext(ctx).Attempt == 0 {
				return "", errLuck
			}
			began = now()
			<-ctx.Done()
			return "", context.Cause(ctx)
		}))
		for in, attempts := range map[string]int{"runs": 1, "fails": 2} {
			h := enqueue(w, task, in)
			if attempts == 2 {
				pass(time.Second)
			}
			pass(20 * time.Millisecond) // less than the grace
			before := w.cancels(h.ID(), "enough")
			pass(time.Second)
			after := w.want(h.ID(), engine.Cancelled)
			if n := len(after.History); n != attempts {
				t.Fatalf("%s: %d attempts in the history, want %d", in, n, attempts)
			}
			got := after.History[attempts-1]
			equal(t, in+": executor", got.Executor, "one")
			equal(t, in+": number", got.Number, attempts-1)
			equal(t, in+": start", got.StartedAt, began)
			equal(t, in+": kind", got.Failure.Kind, engine.KindCancelled)
			equal(t, in+": reason", got.Failure.Message, "enough")
			equal(t, in+": end", after.FinishedAt, before.FinishedAt)
			equal(t, in+": changed", after.ChangedAt, before.ChangedAt)
			check(t, w.client.Delete(t.Context(), h.ID()))
		}
		x.stop()
		<-x.done
		w.quiet()
	})
}
