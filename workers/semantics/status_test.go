package semantics_test

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/workers"
)

func TestEnqueuedIsReadyAndStartsAfterItsDelay(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("greet")
		begin := now()
		x := w.want(enqueue(w, task, "world", engine.Delay(time.Hour)).ID(), engine.Ready)
		equal(t, "createdAt", x.CreatedAt, begin)
		equal(t, "startAt", x.StartAt, begin.Add(time.Hour))
		equal(t, "startedAt", x.StartedAt, time.Time{})
		equal(t, "finishedAt", x.FinishedAt, time.Time{})
		equal(t, "executor", x.Executor, "")

		started := make(chan time.Time, 1)
		w.executor(workers.Config{}, engine.Bind(task, func(context.Context, string) (string, error) {
			started <- now()
			return "", nil
		}))
		w.ends(x.ID, engine.Completed)
		between(t, "start", <-started, x.StartAt, x.StartAt.Add(late))
	})
}

func TestSpawnedIsReadyAndStartsAfterItsDelay(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		child := engine.Define[string, string]("child")
		parent := engine.Define[string, engine.Gathered[int]]("parent")
		w.executor(workers.Config{},
			engine.Bind(child, returns[string]("out")),
			engine.BindFanOut(parent, func(_ context.Context, in string, c *engine.Children) (int, error) {
				child.Spawn(c, in, engine.Delay(time.Hour))
				return 1, nil
			}))
		h := enqueue(w, parent, "in")
		pass(time.Minute)
		p := w.want(h.ID(), engine.WaitingForChildren)
		c := w.want(h.ID()+".0", engine.Ready)
		equal(t, "createdAt", c.CreatedAt, p.ChangedAt)
		equal(t, "startAt", c.StartAt, p.ChangedAt.Add(time.Hour))
		c = w.ends(c.ID, engine.Completed)
		between(t, "start", c.StartedAt, c.StartAt, c.StartAt.Add(late))
	})
}

func TestFinalizeIsReadyAndStartsAfterItsDelay(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		parent := engine.Define[string, string]("parent")
		w.executor(workers.Config{}, engine.BindParent(parent, noChildren, joins, engine.Delay(time.Hour)))
		h := enqueue(w, parent, "in")
		pass(time.Minute)
		p := w.want(h.ID(), engine.WaitingForFinalize)
		f := w.want(h.ID()+".f", engine.Ready)
		equal(t, "startAt", f.StartAt, p.ChangedAt.Add(time.Hour))
		f = w.ends(f.ID, engine.Completed)
		between(t, "start", f.StartedAt, f.StartAt, f.StartAt.Add(late))
	})
}

// noChildren is the run function of a parent that spawns no children.
func noChildren(_ context.Context, in string, _ *engine.Children) (string, error) {
	return "mid of " + in, nil
}

// joins is a finalize that returns what it was given, as text.
func joins(_ context.Context, j engine.Joined[string, string]) (string, error) {
	return j.Input + ", " + j.Output, nil
}

func TestClaimedIsRunningOnAnExecutorUntilItExpires(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("slow", engine.Timeout(time.Minute))
		x := w.executor(workers.Config{Name: "alpha"}, engine.Bind(task, sleeps[string](10*time.Second, "done")))
		begin := now()
		h := enqueue(w, task, "in")
		pass(time.Second)
		e := w.want(h.ID(), engine.Running)
		equal(t, "startedAt", e.StartedAt, begin)
		equal(t, "expiresAt", e.ExpiresAt, begin.Add(time.Minute))
		equal(t, "executor", e.Executor, x.Name())
		equal(t, "attempt", e.Attempt, 0)
	})
}

func TestReturnedWithNothingToWaitForIsCompleted(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("greet")
		w.executor(workers.Config{}, engine.Bind(task, sleeps[string](time.Second, "done")))
		begin := now()
		x := w.ends(enqueue(w, task, "in").ID(), engine.Completed)
		equal(t, "finishedAt", x.FinishedAt, begin.Add(time.Second))
		equal(t, "failure", x.Failure, nil)
		equal(t, "expiresAt", x.ExpiresAt, time.Time{})
	})
}

func TestReturnedWithFinalizeWaitsForIt(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		parent := engine.Define[string, string]("parent")
		w.executor(workers.Config{}, engine.BindParent(parent, noChildren,
			func(ctx context.Context, j engine.Joined[string, string]) (string, error) {
				return sleeps[string](time.Minute, "joined")(ctx, "")
			}))
		h := enqueue(w, parent, "in")
		pass(time.Second)
		w.want(h.ID(), engine.WaitingForFinalize)
		w.want(h.ID()+".f", engine.Running)
		equal(t, "output", result(w, h), "joined")
		w.want(h.ID(), engine.Completed)
	})
}

func TestReturnedWithChildrenWaitsForThem(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		child := engine.Define[time.Duration, string]("child")
		parent := engine.Define[string, string]("parent")
		nap := func(ctx context.Context, d time.Duration) (string, error) { return sleeps[string](d, "")(ctx, "") }
		w.executor(workers.Config{}, engine.Bind(child, nap),
			engine.BindParent(parent, func(_ context.Context, in string, c *engine.Children) (string, error) {
				child.Spawn(c, time.Minute)
				child.Spawn(c, time.Hour, engine.NoTimeout)
				return in, nil
			}, joins))
		h := enqueue(w, parent, "in")
		pass(time.Second)
		w.want(h.ID(), engine.WaitingForChildren)
		w.want(h.ID()+".0", engine.Running)
		w.want(h.ID()+".1", engine.Running)
		pass(time.Minute)
		w.want(h.ID(), engine.WaitingForChildren)
		w.want(h.ID()+".0", engine.Completed)
		equal(t, "output", result(w, h), "in, in")
	})
}

func TestErrorWithRetriesLeftIsReadyForTheNextAttempt(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("flaky", engine.Retry{MaxRetries: 1, BaseDelay: time.Hour})
		w.executor(workers.Config{}, engine.Bind(task, fails[string, string](errors.New("no luck"))))
		begin := now()
		h := enqueue(w, task, "in")
		pass(time.Second)
		x := w.want(h.ID(), engine.Ready)
		equal(t, "attempt", x.Attempt, 1)
		equal(t, "startAt", x.StartAt, begin.Add(time.Hour))
		equal(t, "error", x.Failure.Message, "no luck")
		equal(t, "executor", x.Executor, "")
		equal(t, "finishedAt", x.FinishedAt, time.Time{})
	})
}

func TestErrorWithoutRetriesIsFailed(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("broken")
		w.executor(workers.Config{}, engine.Bind(task, fails[string, string](errors.New("no luck"))))
		x := w.ends(enqueue(w, task, "in").ID(), engine.Failed)
		equal(t, "error", x.Failure.Message, "no luck")
		equal(t, "kind", x.Failure.Kind, engine.KindError)
		equal(t, "attempt", x.Attempt, 0)
	})
}

func TestErrorThatSaysTimedOutIsTimedOut(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("slow")
		w.executor(workers.Config{}, engine.Bind(task, fails[string, string](engine.ErrTimedOut)))
		w.ends(enqueue(w, task, "in").ID(), engine.TimedOut)
	})
}

func TestErrorThatSaysCancelledIsCancelled(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("resigned", engine.Retry{MaxRetries: 5})
		w.executor(workers.Config{}, engine.Bind(task, fails[string, string](engine.ErrCancelled)))
		x := w.ends(enqueue(w, task, "in").ID(), engine.Cancelled)
		equal(t, "attempt", x.Attempt, 0)
	})
}

func TestLastChildWithoutFinalizeCompletesTheParent(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		child := engine.Define[int, int]("child")
		parent := engine.Define[string, engine.Gathered[string]]("parent")
		w.executor(workers.Config{}, engine.Bind(child, sleeps[int](time.Minute, 1)),
			engine.BindFanOut(parent, func(_ context.Context, in string, c *engine.Children) (string, error) {
				child.Spawn(c, 1)
				return in, nil
			}))
		h := enqueue(w, parent, "in")
		pass(time.Second)
		w.want(h.ID(), engine.WaitingForChildren)
		p := w.ends(h.ID(), engine.Completed)
		equal(t, "finishedAt", p.FinishedAt, w.get(h.ID()+".0").FinishedAt)
	})
}

func TestFinalizeThatDoesNotCompleteFailsTheParent(t *testing.T) {
	for status, err := range map[engine.Status]error{
		engine.Failed: errors.New("no luck"), engine.TimedOut: engine.ErrTimedOut, engine.Cancelled: engine.ErrCancelled,
	} {
		t.Run(string(status), func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				parent := engine.Define[string, string]("parent")
				w.executor(workers.Config{}, engine.BindParent(parent, noChildren,
					func(context.Context, engine.Joined[string, string]) (string, error) { return "", err }))
				h := enqueue(w, parent, "in")
				x := w.ends(h.ID(), engine.FinalizeFailed)
				equal(t, "kind", x.Failure.Kind, engine.KindFinalize)
				equal(t, "error", x.Failure.Message, "finalize parent-finalize "+string(status)+": "+err.Error())
				w.want(h.ID()+".f", status)
			})
		})
	}
}

func TestFinishedNeverChanges(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		child := engine.Define[bool, string]("child")
		parent := engine.Define[string, engine.Gathered[string]]("parent")
		w.executor(workers.Config{}, engine.Bind(child, func(ctx context.Context, bad bool) (string, error) {
			if bad {
				return "", errors.New("no luck")
			}
			return sleeps[bool](time.Hour, "late")(ctx, bad)
		}), engine.BindFanOut(parent, func(_ context.Context, in string, c *engine.Children) (string, error) {
			child.Spawn(c, true)
			child.Spawn(c, false)
			return in, nil
		}))
		h := enqueue(w, parent, "in")
		w.ends(h.ID(), engine.ChildrenFailed)
		pass(time.Minute)
		before, err := w.store.Get(t.Context(), h.ID())
		check(t, err)

		// Closures of children and a finalize come late, more than once, and with other outcomes.
		for _, c := range []engine.Closure{
			{Parent: h.ID(), ID: h.ID() + ".1", Task: "child", Index: 1, Status: engine.Completed},
			{Parent: h.ID(), ID: h.ID() + ".0", Task: "child", Index: 0, Status: engine.Failed, Message: "again"},
			{Parent: h.ID(), ID: h.ID() + ".f", Task: "parent-finalize", IsFinalize: true, Status: engine.Completed},
		} {
			check(t, w.store.Carry(t.Context(), engine.TellParent{Closure: c}))
		}
		// A cancellation comes, and then the message that enqueued the execution.
		check(t, w.store.Cancel(t.Context(), engine.Cancel{ID: h.ID(), At: now(), Reason: "too late"}))
		again := before.Execution
		again.Status = engine.Ready
		check(t, w.store.Enqueue(t.Context(), engine.Due{Execution: again, Exclusive: true}))
		pass(time.Hour)

		after, err := w.store.Get(t.Context(), h.ID())
		check(t, err)
		if !reflect.DeepEqual(after, before) {
			t.Errorf("after late events: %+v\nbefore: %+v", after, before)
		}
	})
}

func TestDuplicateEventsAreNoOps(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var runs journal
		child := engine.Define[time.Duration, string]("child")
		parent := engine.Define[string, engine.Gathered[string]]("parent")
		x := w.executor(workers.Config{}, engine.Bind(child, func(ctx context.Context, d time.Duration) (string, error) {
			time.Sleep(d)
			runs.add("child of %s", d)
			return "out", nil
		}), engine.BindFanOut(parent, func(_ context.Context, in string, c *engine.Children) (string, error) {
			runs.add("parent")
			child.Spawn(c, time.Second)
			child.Spawn(c, time.Minute)
			return in, nil
		}))
		h := enqueue(w, parent, "in")
		pass(2 * time.Second)
		first := w.want(h.ID()+".0", engine.Completed)
		for range 3 {
			check(t, w.store.Carry(t.Context(), engine.TellParent{Closure: engine.Closure{
				Parent: h.ID(), ID: first.ID, Task: "child", Index: 0, Status: engine.Completed,
			}}))
			again := first
			again.Status = engine.Ready
			check(t, w.store.Enqueue(t.Context(), engine.Due{Execution: again, Exclusive: true}))
			check(t, w.store.Carry(t.Context(), engine.SpawnChildren{Parent: new(w.get(h.ID())), Again: true}))
			pass(time.Second)
		}
		w.want(h.ID(), engine.WaitingForChildren)
		equal(t, "children's outputs", len(result(w, h).Children), 2)
		runs.wants(t, "parent", "child of 1s", "child of 1m0s")
		if f := x.Stats().Failures; len(f) > 0 {
			t.Errorf("failures = %v, want none: duplicates are no errors", f)
		}
	})
}

func TestFinishedIsClosedOnceTheParentKnowsAndNothingBelowIsActive(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		child := engine.Define[bool, string]("child")
		parent := engine.Define[string, engine.Gathered[string]]("parent")
		x := w.tapped(workers.Config{}, engine.Bind(child, func(ctx context.Context, bad bool) (string, error) {
			if bad {
				return "", errors.New("no luck")
			}
			return sleeps[bool](time.Hour, "")(ctx, bad)
		}), engine.BindFanOut(parent, func(_ context.Context, in string, c *engine.Children) (string, error) {
			child.Spawn(c, true)
			child.Spawn(c, false)
			return in, nil
		}))
		x.tap.on(func(call, id string) error {
			if call == "TellParent" || call == "CancelBelow" {
				time.Sleep(time.Minute)
			}
			return nil
		})
		h := enqueue(w, parent, "in")
		pass(time.Second)
		equal(t, "closed before the parent knows", w.want(h.ID()+".0", engine.Failed).Closed, false)
		pass(time.Minute)
		equal(t, "closed once the parent knows", w.want(h.ID()+".0", engine.Failed).Closed, true)
		equal(t, "closed before what is below has ended", w.want(h.ID(), engine.ChildrenFailed).Closed, false)
		w.want(h.ID()+".1", engine.Running)
		pass(time.Minute)
		w.want(h.ID()+".1", engine.Cancelled)
		equal(t, "closed once what is below has ended", w.want(h.ID(), engine.ChildrenFailed).Closed, true)
	})
}
