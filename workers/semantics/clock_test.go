package semantics_test

import (
	"testing"
	"time"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/workers"
)

// TestWhatComesFromAClockAheadIsRunAtOnce enqueues executions like those that an executor spawns
// whose clock is an hour ahead.
func TestWhatComesFromAClockAheadIsRunAtOnce(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task")
		w.executor(workers.Config{}, engine.Bind(task, returns[string]("out")))
		ahead := now().Add(time.Hour)
		due := engine.Due{Execution: engine.Execution{
			ID: "x", Task: task.ID(), Queue: engine.DefaultQueue, Status: engine.Ready,
			Policy:    engine.Policy{Timeout: time.Minute},
			CreatedAt: ahead, StartAt: ahead, ChangedAt: ahead,
			Input: codec.Payload{Type: codec.JSON, Data: []byte(`"in"`)}, Validated: true,
		}}
		check(t, w.store.Enqueue(t.Context(), due))
		pass(time.Second)
		w.want("x", engine.Completed)

		// One that such an executor has handed back.
		due.ID = "back"
		handed := due.Execution
		handed.Message = "lost"
		_, err := w.store.Update(t.Context(), handed, 0)
		check(t, err)
		check(t, w.store.Enqueue(t.Context(), engine.Due{Execution: due.Execution, Exclusive: true}))
		pass(time.Second)
		w.want("back", engine.Completed)

		due.ID, due.Policy.Delay, due.StartAt = "later", time.Minute, ahead.Add(time.Minute)
		check(t, w.store.Enqueue(t.Context(), due))
		pass(time.Hour)
		w.want("later", engine.Ready)
		pass(2 * time.Minute)
		w.want("later", engine.Completed)
	})
}
