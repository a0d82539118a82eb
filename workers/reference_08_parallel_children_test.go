// Mirrors "Parent task with parallel children". BindFanOut binds a parent without a finalize, and
// its output is a Gathered, which also has the id and the status of each child. The example sets
// the parent's id so that the output is known.

package workers_test

import (
	"context"
	"fmt"
	"time"

	"github.com/durable-execution/durable/engine"
)

func Example_parallelChildren() {
	taskA := engine.Define[person, string]("a", engine.Timeout(time.Second))
	taskB := engine.Define[person, string]("b", engine.Timeout(time.Second))
	parentTask := engine.Define[person, engine.Gathered[string]]("parent", engine.Timeout(time.Second))

	ctx, client, stop := serve(
		engine.Bind(taskA, func(_ context.Context, in person) (string, error) {
			return "Hello from task A, " + in.Name + "!", nil
		}),
		engine.Bind(taskB, func(_ context.Context, in person) (string, error) {
			return "Hello from task B, " + in.Name + "!", nil
		}),
		engine.BindFanOut(parentTask, func(_ context.Context, in person, children *engine.Children) (string, error) {
			taskA.Spawn(children, in)
			taskB.Spawn(children, in)
			return "Hello from parent task, " + in.Name + "!", nil
		}))
	defer stop()

	handle, err := parentTask.Enqueue(ctx, client, person{"world"}, engine.ID("greetings"))
	must(err)
	out, err := handle.Wait(ctx)
	show(out, err)

	fromA, err := taskA.Result(out.Children).Get() // a string, by the type of taskA
	must(err)
	fmt.Println(fromA)
	// Output:
	// {
	//   "output": "Hello from parent task, world!",
	//   "childrenOutputs": [
	//     {
	//       "index": 0,
	//       "taskId": "a",
	//       "executionId": "greetings.0",
	//       "status": "completed",
	//       "output": "Hello from task A, world!"
	//     },
	//     {
	//       "index": 1,
	//       "taskId": "b",
	//       "executionId": "greetings.1",
	//       "status": "completed",
	//       "output": "Hello from task B, world!"
	//     }
	//   ]
	// }
	// Hello from task A, world!
}
