package semantics_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/workers"
)

// A poll and a sleeping task may be any step of a sequence, and a finalize.
func TestEveryKindOfTaskIsAStep(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		double := engine.Define[int, int]("double")
		poll := engine.DefinePoll[int, int]("poll", engine.Poll{Every: time.Second})
		approve := engine.DefineSleeping[int, int]("approve")
		all := engine.Define[int, int]("all")
		w.executor(workers.Config{},
			engine.BindSequence(all, engine.Seq6(poll, double, engine.Seq2(double, poll), approve, double, poll)),
			engine.Bind(double, func(_ context.Context, n int) (int, error) { return 2 * n, nil }),
			engine.BindPoll(poll, func(ctx context.Context, n int) (int, bool, error) {
				return n + 1, engine.FromContext(ctx).Polls == 1, nil
			}))
		h := enqueue(w, all, 1, engine.ID("s"))
		pass(time.Hour)
		check(t, approve.Wake(t.Context(), w.client, "s.4", 100))
		equal(t, "output", result(w, h), 201)
	})
}

func TestAFinalizeMaySleepOrPoll(t *testing.T) {
	type joined = engine.Joined[int, int]
	run(t, func(t *testing.T, w *world) {
		sleeps := engine.DefineSleeping[joined, string]("sleeps")
		polls := engine.DefinePoll[joined, string]("polls", engine.Poll{Every: time.Second})
		a, b := engine.Define[int, string]("a"), engine.Define[int, string]("b")
		code := func(_ context.Context, n int, _ *engine.Children) (int, error) { return n + 1, nil }
		w.executor(workers.Config{}, engine.BindParentTask(a, code, sleeps), engine.BindParentTask(b, code, polls),
			engine.BindPoll(polls, func(ctx context.Context, j joined) (string, bool, error) {
				return fmt.Sprint(j.Input, j.Output), engine.FromContext(ctx).Polls == 2, nil
			}))
		first, second := enqueue(w, a, 1, engine.ID("first")), enqueue(w, b, 1)
		equal(t, "output of the poll", result(w, second), "1 2")
		check(t, sleeps.Wake(t.Context(), w.client, "first.f", "awake"))
		equal(t, "output of the sleeper", result(w, first), "awake")
	})
}

func TestAnExecutionListsItsChildren(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		leaf := engine.Define[int, string]("leaf")
		late := engine.Define[int, string]("late", engine.Delay(time.Hour))
		top := engine.Define[int, string]("top")
		place := func(ctx context.Context) string {
			r := engine.FromContext(ctx)
			return fmt.Sprint(r.Index, r.IsFinalize)
		}
		w.executor(workers.Config{},
			engine.Bind(leaf, func(ctx context.Context, _ int) (string, error) { return place(ctx), nil }),
			engine.Bind(late, func(ctx context.Context, _ int) (string, error) { return place(ctx), nil }),
			engine.BindParent(top, func(_ context.Context, n int, c *engine.Children) (int, error) {
				for i := range n {
					leaf.Spawn(c, i)
				}
				late.Spawn(c, n)
				return n, nil
			}, func(ctx context.Context, j engine.Joined[int, int]) (string, error) {
				for i, r := range leaf.Results(j.Children) {
					if got, err := r.Get(); err != nil || got != fmt.Sprint(i, false) {
						return "", fmt.Errorf("child %d ran at %q: %w", i, got, err)
					}
				}
				return place(ctx), nil
			}))
		h := enqueue(w, top, 12, engine.ID("t"))
		pass(time.Minute)
		wants := func(n int, last engine.Status) {
			t.Helper()
			list, err := h.Children(t.Context())
			check(t, err)
			equal(t, "children", len(list), n)
			for i, x := range list[:13] {
				equal(t, "id", x.ID, fmt.Sprintf("t.%d", i))
			}
			equal(t, "status of the last", list[n-1].Status, last)
		}
		wants(13, engine.Ready) // the last one waits for its timer
		x, err := h.WaitExecution(t.Context())
		check(t, err)
		equal(t, "status", x.Status, engine.Completed)
		equal(t, "the finalize ran at", result(w, h), "0 true")
		wants(14, engine.Completed)
		if _, err := w.client.Children(t.Context(), "nobody"); !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("children of an unknown id: %v, want %v", err, engine.ErrNotFound)
		}
		if list, err := w.client.Children(t.Context(), "t.0"); err != nil || len(list) != 0 {
			t.Errorf("children of a leaf: %v, %v, want none", list, err)
		}
	})
}

func TestWaitExecutionReturnsWhatDidNotComplete(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.DefinePoll[int, int]("poll", engine.Poll{Every: time.Second, Limit: 3})
		w.executor(workers.Config{}, engine.BindPoll(task, func(context.Context, int) (int, bool, error) { return 0, false, nil }))
		h := enqueue(w, task.Task, 1)
		x, err := h.WaitExecution(t.Context())
		check(t, err)
		equal(t, "status", x.Status, engine.Failed)
		if _, err := h.Wait(t.Context()); !errors.Is(err, engine.ErrPollLimit) {
			t.Errorf("error = %v, want %v", err, engine.ErrPollLimit)
		}
	})
}
