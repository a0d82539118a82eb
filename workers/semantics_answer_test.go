package workers_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/workers"
)

// A mute store makes writes of records that say running, and says that it did not.
type mute struct {
	engine.Store
	answers atomic.Int32 // to be lost
}

func (m *mute) Update(ctx context.Context, x engine.Execution, at engine.Revision) (engine.Revision, error) {
	r, err := m.Store.Update(ctx, x, at)
	if err == nil && x.Status == engine.Running && m.answers.Add(-1) >= 0 {
		return 0, errors.New("no answer, for longer than a store has patience")
	}
	return r, err
}

// TestClaimWhoseAnswerWasLostIsTheExecutorsOwn loses the answer to a claim: that
// which is recorded before the code runs, and that which is recorded after the grace.
func TestClaimWhoseAnswerWasLostIsTheExecutorsOwn(t *testing.T) {
	for name, test := range map[string]struct {
		opts  []engine.Option
		takes time.Duration
	}{
		"before the code":                    {[]engine.Option{engine.ID("given")}, 4 * time.Minute},
		"after the grace":                    {nil, 4 * time.Minute},
		"after the grace, and it ends first": {nil, 100 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				var runs journal
				task := engine.Define[string, string]("task")
				line := &mute{Store: w.store}
				line.answers.Store(1)
				x := w.start(line, workers.Config{}, []engine.Binding{engine.Bind(task, func(ctx context.Context, in string) (string, error) {
					runs.add("attempt %d", engine.FromContext(ctx).Attempt)
					return sleeps[string](test.takes, "out")(ctx, in)
				})})
				h := enqueue(w, task, "in", test.opts...)
				equal(t, "output", result(w, h), "out")
				runs.wants(t, "attempt 0")
				equal(t, "crashes", w.get(h.ID()).Crashes, 0)
				equal(t, "attempts that were lost", x.logged("lease lost: the result of an attempt is discarded"), 0)
				if line.answers.Load() > 0 {
					t.Error("no answer was lost: the test tests nothing")
				}
			})
		})
	}
}
