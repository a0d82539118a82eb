package semantics_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/workers"
)

// converting has a task of each kind that converts text to a number, by the name of the kind.
// Each doubles the number, so that "21" gives 42.
func converting() (map[string]engine.ConvertedTask[string, int, int], engine.ConvertedPollTask[string, int, int], []engine.Binding) {
	task := func(id string) engine.ConvertedTask[string, int, int] {
		return engine.ConvertInput(engine.Define[string, int](id, engine.Retry{MaxRetries: 3, BaseDelay: time.Second}), strconv.Atoi)
	}
	plain, parent, own, steps := task("plain"), task("parent"), task("own"), task("steps")
	poll := engine.ConvertPollInput(engine.DefinePoll[string, int]("poll", engine.Poll{Every: time.Second}), strconv.Atoi)
	finalize := engine.Define[engine.Joined[string, int], int]("finalize")
	text := engine.Define[int, string]("text")
	double := func(_ context.Context, n int) (int, error) { return 2 * n, nil }
	mid := func(_ context.Context, n int, c *engine.Children) (int, error) {
		plain.Spawn(c, strconv.Itoa(n))
		return n, nil
	}
	return map[string]engine.ConvertedTask[string, int, int]{"plain": plain, "parent": parent, "own": own, "steps": steps}, poll, []engine.Binding{
		engine.Bind(plain, double),
		engine.BindParent(parent, mid, func(_ context.Context, j engine.Joined[int, int]) (int, error) { return j.Input + j.Output, nil }),
		engine.BindParentTask(own, mid, finalize),
		engine.Bind(finalize, func(_ context.Context, j engine.Joined[string, int]) (int, error) {
			n, err := strconv.Atoi(j.Input)
			return n + j.Output, err
		}),
		// The sequence's own conversion feeds its first step; the second step converts that step's output.
		engine.BindSequence(steps, engine.Seq2(text, plain)),
		engine.Bind(text, func(_ context.Context, n int) (string, error) { return strconv.Itoa(n), nil }),
		engine.BindPoll(poll, func(ctx context.Context, n int) (int, bool, error) {
			return 2 * n, engine.FromContext(ctx).Polls == 2, nil
		}),
	}
}

func TestEveryKindOfTaskConvertsItsInput(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		tasks, poll, bindings := converting()
		w.executor(workers.Config{}, bindings...)
		stored := func(id string) (s string) {
			check(t, w.get(id).Input.Decode(&s))
			return s
		}
		for name, task := range tasks {
			h := enqueue(w, task.Task, "21")
			equal(t, name+": output", result(w, h), 42)
			equal(t, name+": stored input", stored(h.ID()), "21")
		}
		h := enqueue(w, poll.Task, "21")
		equal(t, "poll: output", result(w, h), 42)
		equal(t, "poll: stored input", stored(h.ID()), "21")
		equal(t, "poll: polls", w.get(h.ID()).Polls, 2)
	})
}

func TestInputThatCanNotBeConvertedIsRefused(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		tasks, poll, bindings := converting()
		all := map[string]engine.Task[string, int]{"poll": poll.Task}
		for name, task := range tasks {
			all[name] = task.Task
		}
		for name, task := range all {
			if _, err := task.Enqueue(t.Context(), w.client, "x"); !errors.Is(err, engine.ErrInvalidInput) || !errors.Is(err, strconv.ErrSyntax) {
				t.Errorf("%s: error = %v, want ErrInvalidInput and the conversion's error", name, err)
			}
		}
		equal(t, "executions", w.count(), 0)
		w.executor(workers.Config{}, bindings...)
		for name, task := range all { // a client without the conversion
			h := enqueue(w, engine.Define[string, int](task.ID(), engine.Retry{MaxRetries: 3}), "x")
			_, err := h.Wait(w.ctx)
			x := w.want(h.ID(), engine.Failed)
			equal(t, name+": kind", x.Failure.Kind, engine.KindInvalidInput)
			equal(t, name+": attempt", x.Attempt, 0)
			contains(t, name, err.Error(), "invalid syntax", strconv.Quote(name))
		}
	})
}

func TestChildThatCanNotBeConvertedIsRefusedWhenItIsSpawned(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		child := engine.ConvertInput(engine.Define[string, int]("child"), strconv.Atoi)
		parent := engine.Define[string, engine.Gathered[string]]("fan")
		w.executor(workers.Config{}, engine.Bind(child, func(_ context.Context, n int) (int, error) { return n, nil }),
			engine.BindFanOut(parent, func(_ context.Context, s string, c *engine.Children) (string, error) {
				child.Spawn(c, s)
				return s, nil
			}))
		h := enqueue(w, parent, "x")
		_, err := h.Wait(w.ctx)
		contains(t, "error", fmt.Sprint(err), "invalid input", "invalid syntax", `"child"`)
		equal(t, "executions", w.count(), 1)
	})
}

func TestFanOutConvertsItsInput(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		fan := engine.ConvertInput(engine.Define[string, engine.Gathered[int]]("fan"), strconv.Atoi)
		w.executor(workers.Config{}, engine.BindFanOut(fan, func(_ context.Context, n int, _ *engine.Children) (int, error) { return 2 * n, nil }))
		equal(t, "output", result(w, enqueue(w, fan.Task, "21")).Output, 42)
	})
}

// A client without the validator stores an input that only the validator's result converts.
func TestFinalizeConvertsAnInputThatNobodyHasValidated(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		trim := func(s string) (string, error) { return strings.TrimSpace(s), nil }
		parent := engine.ConvertInput(engine.Define[string, int]("parent").ValidateInput(trim), strconv.Atoi)
		w.executor(workers.Config{}, engine.BindParent(parent,
			func(_ context.Context, n int, _ *engine.Children) (int, error) { return n, nil },
			func(_ context.Context, j engine.Joined[int, int]) (int, error) { return j.Input + j.Output, nil }))
		id, err := w.client.Enqueue(t.Context(), engine.Request{Task: "parent", Input: codec.Payload{Type: codec.JSON, Data: []byte(`" 21 "`)}})
		check(t, err)
		equal(t, "output", result(w, parent.Handle(w.client, id)), 42)
	})
}

// A step gets what the step before it returned, and a finalize with a binding of its own gets a
// Joined. Both are inputs that the task may convert.
func TestPollAndFinalizeInsideATreeConvertTheirInputs(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		poll := engine.ConvertPollInput(engine.DefinePoll[string, int]("poll", engine.Poll{Every: time.Second}), strconv.Atoi)
		first := engine.Define[int, string]("first")
		seq := engine.Define[int, int]("seq")
		sum := func(j engine.Joined[string, int]) (int, error) {
			n, err := strconv.Atoi(j.Input)
			return n + j.Output, err
		}
		finalize := engine.ConvertInput(engine.Define[engine.Joined[string, int], int]("finalize"), sum)
		parent := engine.ConvertInput(engine.Define[string, int]("parent"), strconv.Atoi)
		w.executor(workers.Config{},
			engine.BindSequence(seq, engine.Seq2(first, poll)),
			engine.Bind(first, func(_ context.Context, n int) (string, error) { return strconv.Itoa(n), nil }),
			engine.BindPoll(poll, func(ctx context.Context, n int) (int, bool, error) {
				return 2 * n, engine.FromContext(ctx).Polls == 1, nil
			}),
			engine.BindParentTask(parent, func(_ context.Context, n int, _ *engine.Children) (int, error) { return n, nil }, finalize),
			engine.Bind(finalize, func(_ context.Context, n int) (int, error) { return n, nil }))
		equal(t, "sequence", result(w, enqueue(w, seq, 21)), 42)
		equal(t, "parent", result(w, enqueue(w, parent.Task, "21")), 42)
	})
}
