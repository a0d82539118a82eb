package semantics_test

import (
	"context"
	"maps"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/workers"
)

func TestMetadataIsSeenByTheCodeAndStaysInTheRecord(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		child := engine.Define[int, int]("child")
		parent := engine.Define[int, engine.Gathered[int]]("parent", engine.Metadata{"team": "blue"}, engine.Retry{MaxRetries: 1, BaseDelay: time.Minute})
		var seen []engine.Metadata
		w.executor(workers.Config{},
			engine.Bind(child, returns[int, int](1)),
			engine.BindFanOut(parent, func(ctx context.Context, _ int, kids *engine.Children) (int, error) {
				r := engine.FromContext(ctx)
				if seen = append(seen, r.Metadata); r.Attempt == 0 {
					return 0, context.DeadlineExceeded // the retry goes through the timers
				}
				child.Spawn(kids, 1)
				child.Spawn(kids, 2, engine.Metadata{"part": "2"})
				return 0, nil
			}))
		h := enqueue(w, parent, 1, engine.Metadata{"order": "42"}, engine.Delay(time.Minute))
		want := engine.Metadata{"team": "blue", "order": "42"}
		if got := w.get(h.ID()).Metadata; !maps.Equal(got, want) {
			t.Errorf("delayed: metadata = %v, want %v", got, want)
		}
		result(w, h)
		if len(seen) != 2 || !maps.Equal(seen[0], want) || !maps.Equal(seen[1], want) {
			t.Errorf("the code saw %v, want %v twice", seen, want)
		}
		for id, want := range map[string]engine.Metadata{h.ID(): want, h.ID() + ".0": nil, h.ID() + ".1": {"part": "2"}} {
			if got := w.get(id).Metadata; !maps.Equal(got, want) {
				t.Errorf("%s: metadata = %v, want %v", id, got, want)
			}
		}
	})
}

func TestMetadataOfAnotherClientIsInHeaders(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		task := engine.Define[int, int]("task", engine.Metadata{"team": "blue", "order": "none"})
		w.executor(workers.Config{}, engine.Bind(task, returns[int, int](1)))
		w.publish(&nats.Msg{Subject: "durable.ready.default.task.good", Data: []byte("1"), Header: nats.Header{"Durable-Meta-order": {"42"}}})
		w.publish(&nats.Msg{Subject: "durable.ready.default.task.bad", Data: []byte("1"), Header: nats.Header{"Durable-Meta-a.b": {"42"}}})
		want := engine.Metadata{"team": "blue", "order": "42"}
		if got := w.ends("good", engine.Completed).Metadata; !maps.Equal(got, want) {
			t.Errorf("metadata = %v, want %v", got, want)
		}
		contains(t, "error", w.ends("bad", engine.Failed).Failure.Message, `metadata key "a.b"`)
	})
}

func TestTreeThatIsStartedAgainKeepsItsMetadata(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[int, int]("task")
		w.executor(workers.Config{}, engine.Bind(task, fails[int, int](context.Canceled)))
		h := enqueue(w, task, 1, engine.Metadata{"order": "42", "try": "1"})
		w.ends(h.ID(), engine.Failed)
		id, err := w.client.Retry(t.Context(), h.ID(), nil, engine.Metadata{"try": "2"})
		check(t, err)
		if got, want := w.ends(id, engine.Failed).Metadata, (engine.Metadata{"order": "42", "try": "2"}); !maps.Equal(got, want) {
			t.Errorf("metadata = %v, want %v", got, want)
		}
	})
}
