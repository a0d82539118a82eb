// Mirrors "Parent task with parallel children and combined output". The finalize gets the output
// of a child through the child's task, so that the output has the right type.

package workers_test

import (
	"context"
	"errors"
	"time"

	"github.com/durable-execution/durable/engine"
)

func Example_combinedOutput() {
	type combined struct {
		ParentOutput string `json:"parentOutput"`
		TaskAOutput  string `json:"taskAOutput"`
		TaskBOutput  string `json:"taskBOutput"`
	}
	taskA := engine.Define[person, string]("a", engine.Timeout(time.Second))
	taskB := engine.Define[person, string]("b", engine.Timeout(time.Second))
	parentTask := engine.Define[person, combined]("parent", engine.Timeout(time.Second))

	ctx, client, stop := serve(
		engine.Bind(taskA, func(_ context.Context, in person) (string, error) {
			return "Hello from task A, " + in.Name + "!", nil
		}),
		engine.Bind(taskB, func(_ context.Context, in person) (string, error) {
			return "Hello from task B, " + in.Name + "!", nil
		}),
		engine.BindParent(parentTask, func(_ context.Context, in person, children *engine.Children) (string, error) {
			taskA.Spawn(children, in)
			taskB.Spawn(children, in)
			return "Hello from parent task, " + in.Name + "!", nil
		}, func(_ context.Context, j engine.Joined[person, string]) (combined, error) {
			a, err1 := taskA.Result(j.Children).Get()
			b, err2 := taskB.Result(j.Children).Get()
			return combined{j.Output, a, b}, errors.Join(err1, err2)
		}, engine.Timeout(time.Second)))
	defer stop()

	handle, err := parentTask.Enqueue(ctx, client, person{"world"})
	must(err)
	show(handle.Wait(ctx))
	// Output:
	// {
	//   "parentOutput": "Hello from parent task, world!",
	//   "taskAOutput": "Hello from task A, world!",
	//   "taskBOutput": "Hello from task B, world!"
	// }
}
