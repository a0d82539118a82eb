package semantics_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/workers"
)

func TestWaitReturnsTheTypedOutput(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[int, order]("task")
		w.executor(workers.Config{}, engine.Bind(task, func(_ context.Context, n int) (order, error) { return order{"tea", n}, nil }))
		h := enqueue(w, task, 3)
		equal(t, "output", result(w, h), order{"tea", 3})
		equal(t, "output, asked again", result(w, task.Handle(engine.NewClient(w.store), h.ID())), order{"tea", 3})
	})
}

func TestWaitReturnsAnExecutionErrorWithStatusTaskIDAndCause(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task")
		w.executor(workers.Config{}, engine.Bind(task, fails[string, string](errLuck)))
		h := enqueue(w, task, "in")
		_, err := h.Wait(w.ctx)
		failed := (*engine.ExecutionError)(nil)
		if !errors.As(err, &failed) {
			t.Fatalf("error = %v, want an ExecutionError", err)
		}
		equal(t, "status", failed.Status, engine.Failed)
		equal(t, "task", failed.Task, "task")
		equal(t, "id", failed.ID, h.ID())
		equal(t, "cause", failed.Cause.Message, "no luck")
		contains(t, "text", err.Error(), h.ID(), `task`, "failed", "no luck")
	})
}

func TestWaitReturnsTheCallersCauseAndTheExecutionGoesOn(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task")
		w.executor(workers.Config{}, engine.Bind(task, sleeps[string](time.Minute, "out")))
		h := enqueue(w, task, "in")
		bored := errors.New("bored")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, bored)
		defer cancel()
		began := now()
		_, err := h.Wait(ctx)
		equal(t, "error", err, bored)
		equal(t, "waited", now().Sub(began), time.Second)
		over, end := context.WithCancelCause(t.Context())
		end(bored)
		_, err = h.Wait(over)
		equal(t, "error of a context that has ended", err, bored)
		equal(t, "output", result(w, h), "out")
	})
}

func TestWaitLearnsOfTheEndAtOnce(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task", engine.NoTimeout)
		parent := engine.Define[string, string]("parent")
		w.executor(workers.Config{}, engine.Bind(kids, grow), engine.Bind(task, sleeps[string](77*time.Minute, "out")),
			engine.BindParent(parent, spawns(kid{After: 77 * time.Minute}), joins))
		began := now()
		var all sync.WaitGroup
		h, p := enqueue(w, task, "in"), enqueue(w, parent, "in")
		for range 5 {
			all.Go(func() { result(w, h) })
			all.Go(func() { result(w, p) })
		}
		all.Wait()
		equal(t, "waited", now().Sub(began), 77*time.Minute)
	})
}

func TestWaitLearnsOfTheEndThoughItsNoticeIsLost(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task", engine.NoTimeout)
		w.executor(workers.Config{}, engine.Bind(task, sleeps[string](10*time.Minute, "out")))
		h := enqueue(w, task, "in")
		deaf := newTap(w.store)
		deaf.on(func(call, _ string) error {
			if call == "Notice" {
				return errSkipped
			}
			return nil
		})
		began := now()
		equal(t, "output", result(w, task.Handle(engine.NewClient(deaf), h.ID())), "out")
		between(t, "end of the wait", now(), began.Add(10*time.Minute), began.Add(10*time.Minute+30*time.Second))
	})
}

func TestWaitGoesOnThroughAStoreThatFails(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task", engine.NoTimeout)
		w.executor(workers.Config{}, engine.Bind(task, sleeps[string](time.Hour, "out")))
		h := enqueue(w, task, "in")
		line := newTap(w.store)
		time.AfterFunc(time.Minute, func() {
			line.on(func(string, string) error { return errors.New("cut") })
		})
		time.AfterFunc(2*time.Hour, func() { line.on(nil) })
		equal(t, "output", result(w, task.Handle(engine.NewClient(line), h.ID())), "out")
	})
}

func TestWaitFetchesAnOutputThatIsTooLongForANotice(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[int, string]("task")
		w.executor(workers.Config{}, engine.Bind(task, func(ctx context.Context, n int) (string, error) {
			time.Sleep(time.Second)
			return strings.Repeat("x", n), nil
		}))
		began := now()
		equal(t, "length", len(result(w, enqueue(w, task, 200<<10))), 200<<10)
		equal(t, "waited", now().Sub(began), time.Second)
	})
}

func TestWaitForAnUnknownIDIsErrNotFound(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task")
		h := task.Handle(w.client, "te_unknown")
		if _, err := h.Wait(w.ctx); !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("wait: %v, want ErrNotFound", err)
		}
		if _, err := h.Get(w.ctx); !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("get: %v, want ErrNotFound", err)
		}
		for _, id := range []string{"", "a b", "a.b.c", "*"} {
			if _, err := task.Handle(w.client, id).Wait(w.ctx); err == nil {
				t.Errorf("wait for %q returned, want it refused", id)
			}
			if _, err := task.Handle(w.client, id).Get(w.ctx); err == nil {
				t.Errorf("get of %q returned, want it refused", id)
			}
		}
	})
}

func TestHandleOfAnotherTasksExecutionIsAConflict(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task")
		other := engine.Define[string, int]("other")
		w.executor(workers.Config{}, engine.Bind(task, returns[string]("out")))
		h := enqueue(w, task, "in")
		result(w, h)
		wrong := other.Handle(w.client, h.ID())
		if _, err := wrong.Wait(w.ctx); !errors.Is(err, engine.ErrIDConflict) {
			t.Errorf("wait: %v, want ErrIDConflict", err)
		}
		if _, err := wrong.Get(w.ctx); !errors.Is(err, engine.ErrIDConflict) {
			t.Errorf("get: %v, want ErrIDConflict", err)
		}
	})
}
