// Mirrors "Task run context". The fields of the document's ctx are in the context of the attempt.
// An undefined input is struct{} here.

package workers_test

import (
	"context"
	"time"

	"github.com/durable-execution/durable/engine"
)

func Example_runContext() {
	type seen struct {
		TaskID      string `json:"taskId"`
		ExecutionID string `json:"executionId"`
		Attempt     int    `json:"attempt"`
		PrevError   string `json:"prevError,omitempty"`
	}
	taskA := engine.Define[struct{}, seen]("a", engine.Timeout(time.Second))

	ctx, client, stop := serve(
		engine.Bind(taskA, func(ctx context.Context, _ struct{}) (seen, error) {
			run := engine.FromContext(ctx)
			s := seen{TaskID: run.TaskID, ExecutionID: run.ExecutionID, Attempt: run.Attempt}
			if run.PrevError != nil {
				s.PrevError = run.PrevError.Error()
			}
			return s, nil
		}))
	defer stop()

	handle, err := taskA.Enqueue(ctx, client, struct{}{})
	must(err)
	s, err := handle.Wait(ctx)
	s.ExecutionID = s.ExecutionID[:3] + "..." // each run has a different id
	show(s, err)
	// Output:
	// {
	//   "taskId": "a",
	//   "executionId": "te_...",
	//   "attempt": 0
	// }
}
