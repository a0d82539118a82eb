package semantics_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/workers"
)

// grace is how much longer than its retention a tree is kept: two leases.
const grace = 2 * lease

// vanishing is how late the record of a root without children may be removed: the server counts
// the time to live in whole seconds.
const vanishing = time.Second + late

// absent fails if the store knows an execution.
func (w *world) absent(id string) {
	w.t.Helper()
	if x, err := w.client.Get(w.t.Context(), id); !errors.Is(err, engine.ErrNotFound) {
		w.t.Errorf("get %s = %s, %v, want ErrNotFound", id, x.Status, err)
	}
}

// goes fails unless all n executions of the tree exist until d after the end of the root, and
// after that neither they nor any other key of the tree exists.
func (w *world) goes(root string, n int, d time.Duration) {
	w.t.Helper()
	x := w.get(root)
	if !x.Status.Finished() {
		w.t.Fatalf("%s is %s, want it finished", root, x.Status)
	}
	pass(time.Until(x.FinishedAt.Add(d+grace)) - time.Second)
	equal(w.t, "executions of "+root+" before their time", w.tree(root), n)
	pass(time.Second + vanishing)
	equal(w.t, "executions of "+root+" after their time", w.tree(root), 0)
	w.absent(root)
	w.empty(root)
}

// tree returns the number of executions of a tree.
func (w *world) tree(root string) int {
	w.t.Helper()
	n := 0
	for _, err := range w.client.List(w.t.Context(), engine.Filter{Tree: root}) {
		check(w.t, err)
		n++
	}
	return n
}

// empty fails if the bucket has any key of a tree, also one that is not a record. memstore has
// only records.
func (w *world) empty(root string) {
	w.t.Helper()
	if w.nc == nil {
		return
	}
	js, err := jetstream.New(w.nc)
	check(w.t, err)
	pass(vanishing) // the marker of a deletion lasts a second
	for _, key := range []string{root, root + ".>"} {
		s, err := js.Stream(w.t.Context(), "KV_durable-executions")
		check(w.t, err)
		info, err := s.Info(w.t.Context(), jetstream.WithSubjectFilter("$KV.durable-executions."+key))
		check(w.t, err)
		for subject := range info.State.Subjects {
			w.t.Errorf("%s is left in the bucket", subject)
		}
	}
}

func TestSingleRootGoesAfterItsRetentionHoweverItEnded(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[kid, string]("task", engine.Timeout(2*time.Minute))
		w.executor(workers.Config{}, engine.Bind(task, grow))
		for name, c := range map[string]struct {
			in   kid
			end  engine.Status
			with func(id string)
		}{
			"short":     {kid{}, engine.Completed, nil},
			"long":      {kid{After: time.Minute}, engine.Completed, nil},
			"failed":    {kid{Fails: true}, engine.Failed, nil},
			"timed-out": {kid{After: time.Hour}, engine.TimedOut, nil},
			"cancelled": {kid{After: time.Hour}, engine.Cancelled, func(id string) {
				pass(time.Second)
				check(t, w.client.Cancel(t.Context(), id, "enough"))
			}},
		} {
			id := enqueue(w, task, c.in, engine.ID(name), engine.Retention(90*time.Second)).ID()
			if c.with != nil {
				c.with(id)
			}
			w.ends(id, c.end)
			w.goes(id, 1, 90*time.Second)
		}
	})
}

func TestTreeGoesAsAWhole(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		// The retention of a child has no effect.
		middle := engine.Define[string, string]("middle", engine.Retention(time.Second))
		parent := engine.Define[string, string]("parent", engine.Retention(5*time.Second))
		w.executor(workers.Config{}, engine.Bind(kids, grow),
			engine.BindParent(middle, spawns(kid{}, kid{After: time.Hour}), joins),
			engine.BindParent(parent, func(_ context.Context, in string, c *engine.Children) (string, error) {
				kids.Spawn(c, kid{}, engine.Retention(time.Second))
				middle.Spawn(c, in)
				return in, nil
			}, joins))
		h := enqueue(w, parent, "in")
		pass(30 * time.Minute)
		equal(t, "executions while the root waits", w.tree(h.ID()), 5)
		result(w, h)
		w.goes(h.ID(), 7, 5*time.Second)
	})
}

func TestSequenceGoesAsAWhole(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		step := engine.Define[string, string]("step")
		all := engine.Define[string, string]("all")
		w.executor(workers.Config{}, engine.Bind(step, sleeps[string](time.Minute, "out")),
			engine.BindSequence(all, engine.Then(engine.Then(step, step), step)))
		h := enqueue(w, all, "in", engine.Retention(time.Second))
		equal(t, "output", result(w, h), "out")
		w.goes(h.ID(), 4, time.Second)
	})
}

func TestTreeGoesThoughItWasCancelledOrFailed(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		middle := engine.Define[string, string]("middle")
		parent := engine.Define[kid, string]("parent", engine.Retention(10*time.Second))
		w.executor(workers.Config{}, engine.Bind(kids, grow),
			engine.BindParent(middle, spawns(kid{After: 5 * time.Hour}, kid{}), joins),
			engine.BindParent(parent, func(_ context.Context, in kid, c *engine.Children) (string, error) {
				kids.Spawn(c, in)
				kids.Spawn(c, kid{After: 5 * time.Hour})
				kids.Spawn(c, kid{}, engine.Delay(5*time.Hour))
				middle.Spawn(c, "")
				return "", nil
			}, func(context.Context, engine.Joined[kid, string]) (string, error) { return "", nil }))
		failing := enqueue(w, parent, kid{After: time.Minute, Fails: true}).ID()
		other := enqueue(w, parent, kid{After: 5 * time.Hour}).ID()
		w.ends(failing, engine.ChildrenFailed)
		w.goes(failing, 7, 10*time.Second)
		equal(t, "executions of the other tree", w.tree(other), 7)
		check(t, w.client.Cancel(t.Context(), other, "enough"))
		w.goes(other, 7, 10*time.Second)
		w.quiet()
	})
}

func TestNamespaceKeepsATreeForAWeek(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		parent := engine.Define[string, string]("parent")
		x := w.executor(workers.Config{}, engine.Bind(kids, grow), engine.BindParent(parent, spawns(kid{}), joins))
		h := enqueue(w, parent, "in")
		single := enqueue(w, kids, kid{})
		forever := enqueue(w, parent, "in", engine.KeepForever)
		for _, h := range []engine.Handle[string]{h, forever} {
			result(w, h)
		}
		result(w, single)
		x.stop() // the removal needs no executor
		pass(7*24*time.Hour + grace - time.Minute)
		equal(t, "executions in the last minute", w.count(), 7)
		pass(2 * time.Minute)
		w.absent(single.ID()) // the server removes it
		w.executor(workers.Config{}, engine.Bind(kids, grow), engine.BindParent(parent, spawns(kid{}), joins))
		pass(time.Minute)
		w.absent(h.ID())
		equal(t, "executions that are left", w.count(), 3)
		w.want(forever.ID()+".0", engine.Completed)
	})
}

func TestChildrenThatEndAfterTheirTreeIsGoneLeaveNothing(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		// The executors die when the tree has just failed: some children run, others are in the
		// queue and in the timers, and their cancellations are on their way.
		middle := engine.Define[string, string]("middle")
		parent := engine.Define[string, string]("parent", engine.Retention(time.Second))
		bound := []engine.Binding{
			engine.Bind(kids, grow),
			engine.BindParent(middle, spawns(kid{After: time.Hour}), joins),
			engine.BindParent(parent, func(_ context.Context, in string, c *engine.Children) (string, error) {
				kids.Spawn(c, kid{After: time.Minute, Fails: true})
				kids.Spawn(c, kid{After: time.Hour})
				kids.Spawn(c, kid{After: time.Hour}, engine.Queue("idle"))
				kids.Spawn(c, kid{}, engine.Delay(time.Hour))
				middle.Spawn(c, in)
				return in, nil
			}, joins),
		}
		x := w.tapped(workers.Config{}, bound...)
		x.tap.on(func(call, id string) error {
			if call == "Announce" && strings.HasSuffix(id, "root") {
				x.tap.kill()
			}
			return nil
		})
		enqueue(w, parent, "in", engine.ID("root"))
		pass(2 * time.Minute)
		w.want("root", engine.ChildrenFailed)
		if n := w.tree("root"); n < 6 {
			t.Fatalf("%d executions when the fleet was lost, want 6 at least", n)
		}
		pass(2 * time.Hour)
		w.executor(workers.Config{Queues: map[string]int{engine.DefaultQueue: 1, "idle": 1}}, bound...)
		pass(3 * time.Hour)
		equal(t, "executions", w.tree("root"), 0)
		w.empty("root")
		w.quiet()
	})
}

func TestChildThatNoCancellationReachesIsRemovedAtItsEnd(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		parent := engine.Define[string, string]("parent", engine.Retention(time.Second))
		x := w.tapped(workers.Config{}, engine.Bind(kids, grow), engine.BindParent(parent, spawns(kid{After: time.Minute, Fails: true}, kid{After: 3 * time.Minute}), joins))
		x.tap.on(func(call, id string) error {
			if call == "CancelBelow" {
				return errSkipped
			}
			return nil
		})
		enqueue(w, parent, "in", engine.ID("root"), engine.Retention(time.Minute))
		pass(time.Minute + time.Second)
		w.want("root", engine.ChildrenFailed)
		w.want("root.1", engine.Running)
		pass(time.Hour)
		w.absent("root")
		w.absent("root.1")
		w.empty("root")
	})
}

// A child that was written after its tree was removed, and that no cancellation reaches, is
// removed by the executor that receives its closure.
func TestChildWrittenBelowNothingIsRemovedAtItsEnd(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		middle := engine.Define[string, string]("middle")
		w.executor(workers.Config{}, engine.Bind(kids, grow), engine.BindParent(middle, spawns(kid{After: time.Minute}, kid{}), joins))
		for i, task := range []string{kids.ID(), middle.ID()} {
			id := fmt.Sprint("gone.", i)
			x := engine.Execution{
				ID: id, Parent: "gone", Index: i, Task: task, Queue: engine.DefaultQueue,
				Status: engine.Ready, CreatedAt: now(), StartAt: now(), ChangedAt: now(), Validated: true,
			}
			check(t, w.store.Enqueue(t.Context(), engine.Due{Execution: x}))
		}
		pass(time.Hour)
		equal(t, "executions", w.tree("gone"), 0)
		w.empty("gone")
		w.quiet()
	})
}

// The parent has finished, and the expiry of the tree came before the child was written.
func TestChildThatEndsBelowALateParentIsRemoved(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.executor(workers.Config{}, engine.Bind(kids, grow))
		parent := engine.Execution{
			ID: "gone.0", Parent: "gone", Task: "middle", Queue: engine.DefaultQueue, Status: engine.Cancelled, ParentFinished: true,
			CreatedAt: now(), FinishedAt: now(), Spawned: 1, Failure: &engine.Failure{Kind: engine.KindCancelled},
		}
		child := engine.Execution{
			ID: "gone.0-0", Parent: "gone.0", Task: kids.ID(), Queue: engine.DefaultQueue,
			Status: engine.Ready, CreatedAt: now(), StartAt: now(), ChangedAt: now(), Validated: true,
		}
		_, err := w.store.Update(t.Context(), parent, 0)
		check(t, err)
		check(t, w.store.Enqueue(t.Context(), engine.Due{Execution: child}))
		pass(time.Hour)
		equal(t, "executions", w.tree("gone"), 0)
		w.empty("gone")
	})
}

func TestAttemptWhoseRecordIsGoneStopsWithinALease(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		stopped := make(chan error, 1)
		// Test with a retry, because the message of a first attempt holds the whole execution.
		task := engine.Define[string, string]("task", engine.NoTimeout, engine.Retry{MaxRetries: 1, BaseDelay: 2 * time.Second})
		w.executor(workers.Config{}, engine.Bind(task, func(ctx context.Context, _ string) (string, error) {
			if engine.FromContext(ctx).Attempt == 0 {
				return "", errLuck
			}
			<-ctx.Done()
			stopped <- context.Cause(ctx)
			return "", nil
		}))
		h := enqueue(w, task, "in")
		pass(5 * time.Second)
		r, err := w.store.Get(t.Context(), h.ID())
		check(t, err)
		check(t, w.store.Delete(t.Context(), h.ID(), r.Revision)) // clients never do that
		began := now()
		select {
		case cause := <-stopped:
			equal(t, "cause", cause, engine.ErrCancelled)
		case <-time.After(lease):
			t.Fatalf("it goes on %s later", now().Sub(began))
		}
		pass(time.Hour)
		w.absent(h.ID())
		w.quiet()
	})
}

func TestDeleteRemovesATreeAtOnce(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		parent := engine.Define[string, string]("parent")
		w.executor(workers.Config{}, engine.Bind(kids, grow), engine.BindParent(parent, spawns(kid{}, kid{}), joins))
		h := enqueue(w, parent, "in", engine.ID("one"), engine.KeepForever)
		other := enqueue(w, parent, "in")
		single := enqueue(w, kids, kid{}, engine.KeepForever)
		result(w, h)
		pass(time.Second)
		check(t, w.client.Delete(t.Context(), h.ID()))
		check(t, w.client.Delete(t.Context(), single.ID()))
		equal(t, "executions of the deleted", w.tree("one"), 0)
		equal(t, "executions of the other", w.tree(other.ID()), 4)
		w.absent(single.ID())
		if err := w.client.Delete(t.Context(), h.ID()); !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("delete again: %v, want ErrNotFound", err)
		}
		if _, err := h.Wait(w.ctx); !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("wait: %v, want ErrNotFound", err)
		}
		// The id is free. Late messages of the old tree do not touch the new tree that takes
		// the id.
		again := enqueue(w, parent, "other", engine.ID("one"), engine.KeepForever)
		equal(t, "output", result(w, again), "other, mid of other")
		pass(10 * time.Minute)
		equal(t, "executions of the new one", w.tree("one"), 4)
	})
}

func TestDeleteRefusesWhatIsActiveAndWhatIsNoRoot(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		parent := engine.Define[string, string]("parent")
		x := w.tapped(workers.Config{}, engine.Bind(kids, grow), engine.BindParent(parent, spawns(kid{After: time.Minute, Fails: true}, kid{After: time.Hour}), joins))
		refused := func(id string, want error, says ...string) {
			t.Helper()
			err := w.client.Delete(t.Context(), id)
			if !errors.Is(err, want) {
				t.Errorf("delete %s: %v, want %v", id, err, want)
				return
			}
			contains(t, "refusal", err.Error(), says...)
		}
		h := enqueue(w, parent, "in")
		later := enqueue(w, kids, kid{}, engine.Delay(time.Hour))
		refused("nosuch", engine.ErrNotFound, "nosuch")
		refused(later.ID(), engine.ErrActive, "ready")
		pass(time.Second)
		refused(h.ID(), engine.ErrActive, "waiting_for_children_tasks")
		refused(h.ID()+".0", engine.ErrNotRoot, h.ID())
		x.tap.on(func(call, id string) error { // delay the cancellation of the executions below
			if call == "CancelBelow" {
				time.Sleep(10 * time.Second)
			}
			return nil
		})
		pass(time.Minute)
		w.want(h.ID(), engine.ChildrenFailed)
		refused(h.ID(), engine.ErrActive, "children_tasks_failed", "below")
		equal(t, "executions", w.tree(h.ID()), 3)
		pass(time.Minute)
		check(t, w.client.Delete(t.Context(), h.ID()))
		equal(t, "executions of the deleted", w.tree(h.ID()), 0)
	})
}

func TestDeleteThatIsCutShortIsFinished(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		parent := engine.Define[string, string]("parent", engine.KeepForever)
		w.executor(workers.Config{}, engine.Bind(kids, grow), engine.BindParent(parent, spawns(kid{}, kid{}), joins))
		h := enqueue(w, parent, "in")
		result(w, h)
		// The process dies after removing the root's record, and before removing those below.
		line := newTap(w.store)
		line.on(func(call, id string) error {
			if call == "Delete" {
				line.kill()
			}
			return nil
		})
		if err := engine.NewClient(line).Delete(t.Context(), h.ID()); !errors.Is(err, errDead) {
			t.Fatalf("delete: %v, want %v", err, errDead)
		}
		js, err := jetstream.New(w.nc)
		check(t, err)
		s, err := js.Stream(t.Context(), "KV_durable-executions")
		check(t, err)
		check(t, s.Purge(t.Context(), jetstream.WithPurgeSubject("$KV.durable-executions."+h.ID())))
		equal(t, "executions that are left", w.tree(h.ID()), 3)
		pass(5 * time.Minute)
		equal(t, "executions in the end", w.tree(h.ID()), 0)
	})
}

func TestWaiterLearnsThatTheExecutionIsGone(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		x := w.tapped(workers.Config{}, engine.Bind(kids, grow))
		x.tap.on(func(call, _ string) error {
			if call == "Announce" {
				return errSkipped // the notice is lost
			}
			return nil
		})
		h := enqueue(w, kids, kid{After: 61 * time.Second}, engine.Retention(time.Second))
		// By then the waiter reads every half minute: this read comes after the removal.
		line := newTap(w.store)
		line.on(func(call, _ string) error {
			if call == "Get" {
				time.Sleep(10 * time.Minute)
			}
			return nil
		})
		_, err := h.Wait(w.ctx)
		check(t, err)
		if _, err = kids.Handle(engine.NewClient(line), h.ID()).Wait(w.ctx); !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("wait: %v, want ErrNotFound", err)
		}
	})
}

// TestWhatWasDeletedDoesNotRunAgain deletes an execution whose executor has died between recording
// the outcome and acknowledging the message. The message is redelivered after the lease.
func TestWhatWasDeletedDoesNotRunAgain(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var runs journal
		task := engine.Define[string, string]("task")
		bound := engine.Bind(task, func(context.Context, string) (string, error) {
			runs.add("run")
			return "out", nil
		})
		x := w.tapped(workers.Config{}, bound)
		x.tap.on(func(call, _ string) error {
			if call == "Done" {
				x.tap.kill()
			}
			return nil
		})
		h := enqueue(w, task, "in")
		w.ends(h.ID(), engine.Completed)
		check(t, w.client.Delete(t.Context(), h.ID()))
		if _, err := w.client.Get(t.Context(), h.ID()); !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("get: %v, want ErrNotFound at once", err)
		}
		w.executor(workers.Config{}, bound)
		pass(10 * lease)
		runs.wants(t, "run")
		equal(t, "executions", w.count(), 0)
	})
}
