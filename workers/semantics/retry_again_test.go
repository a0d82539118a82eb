package semantics_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/workers"
)

func TestTreeIsStartedAgainAsANewOne(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		well := false
		child := engine.Define[string, string]("child")
		parent := engine.Define[string, string]("parent", engine.Timeout(time.Minute), engine.Delay(time.Hour))
		w.executor(workers.Config{},
			engine.Bind(child, func(_ context.Context, in string) (string, error) {
				if !well {
					return "", errors.New("ill")
				}
				return in, nil
			}),
			engine.BindParent(parent, func(_ context.Context, in string, c *engine.Children) (string, error) {
				child.Spawn(c, in)
				return in, nil
			}, func(_ context.Context, j engine.Joined[string, string]) (string, error) {
				return child.Result(j.Children).Get()
			}))
		h := enqueue(w, parent, "a")
		if _, err := w.client.Retry(t.Context(), h.ID(), nil); !errors.Is(err, engine.ErrActive) || !strings.Contains(err.Error(), "ready") {
			t.Errorf("retry of one that is ready: %v, want %v", err, engine.ErrActive)
		}
		old := w.ends(h.ID(), engine.ChildrenFailed)
		well = true
		begun := time.Now()

		id, err := w.client.Retry(t.Context(), h.ID()+".0", nil) // any execution of the tree
		check(t, err)
		equal(t, "output", result(w, parent.Handle(w.client, id)), "a")
		between(t, "finished", time.Now(), begun, begun.Add(time.Second)) // the delay does not apply again
		x := w.get(id)
		equal(t, "retry of", x.RetryOf, h.ID())
		equal(t, "timeout", x.Policy.Timeout, old.Policy.Timeout)
		equal(t, "the old one", w.get(h.ID()).Status, engine.ChildrenFailed)

		other := codec.Payload{Type: codec.JSON, Data: []byte(`"b"`)}
		for range 2 { // a second Retry with the same id finds the same execution
			id, err = w.client.Retry(t.Context(), h.ID(), &other, engine.ID("second"))
			check(t, err)
			equal(t, "id", id, "second")
		}
		equal(t, "output", result(w, parent.Handle(w.client, id)), "b")

		if _, err := w.client.Retry(t.Context(), id, nil); !errors.Is(err, engine.ErrFinished) || !strings.Contains(err.Error(), "completed") {
			t.Errorf("retry of one that has completed: %v, want %v", err, engine.ErrFinished)
		}
		if _, err := w.client.Retry(t.Context(), "nobody", nil); !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("retry of nobody: %v, want %v", err, engine.ErrNotFound)
		}
	})
}

func TestInputOfARetryIsValidatedByTheExecutor(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[int, int]("task").ValidateInput(func(n int) (int, error) {
			if n < 0 {
				return 0, errors.New("negative")
			}
			return n + 1, nil
		})
		w.executor(workers.Config{}, engine.Bind(task, func(_ context.Context, n int) (int, error) {
			if n < 10 {
				return 0, errors.New("too small")
			}
			return n, nil
		}))
		h := enqueue(w, task, 1)
		w.ends(h.ID(), engine.Failed)
		for text, want := range map[string]engine.Status{"20": engine.Completed, "-1": engine.Failed, `"text"`: engine.Failed} {
			id, err := w.client.Retry(t.Context(), h.ID(), &codec.Payload{Type: codec.JSON, Data: []byte(text)})
			check(t, err)
			x := w.ends(id, want)
			if want == engine.Failed {
				equal(t, "kind", x.Failure.Kind, engine.KindInvalidInput)
			}
		}
	})
}
