// Mirrors "Sequential tasks". The compiler checks that the input of each task is the output of the
// task before it. The sequence is a task with an id of its own, which the author chooses.

package workers_test

import (
	"context"
	"time"

	"github.com/durable-execution/durable/engine"
)

func Example_sequentialTasks() {
	type afterA struct {
		Name        string `json:"name"`
		TaskAOutput string `json:"taskAOutput"`
	}
	type afterB struct {
		Name        string `json:"name"`
		TaskAOutput string `json:"taskAOutput"`
		TaskBOutput string `json:"taskBOutput"`
	}
	type outputs struct {
		TaskAOutput string `json:"taskAOutput"`
		TaskBOutput string `json:"taskBOutput"`
		TaskCOutput string `json:"taskCOutput"`
	}
	taskA := engine.Define[person, afterA]("a", engine.Timeout(time.Second))
	taskB := engine.Define[afterA, afterB]("b", engine.Timeout(time.Second))
	taskC := engine.Define[afterB, outputs]("c", engine.Timeout(time.Second))
	task := engine.Define[person, outputs]("abc")

	ctx, client, stop := serve(
		engine.Bind(taskA, func(_ context.Context, in person) (afterA, error) {
			return afterA{in.Name, "Hello from task A, " + in.Name + "!"}, nil
		}),
		engine.Bind(taskB, func(_ context.Context, in afterA) (afterB, error) {
			return afterB{in.Name, in.TaskAOutput, "Hello from task B, " + in.Name + "!"}, nil
		}),
		engine.Bind(taskC, func(_ context.Context, in afterB) (outputs, error) {
			return outputs{in.TaskAOutput, in.TaskBOutput, "Hello from task C, " + in.Name + "!"}, nil
		}),
		engine.BindSequence(task, engine.Seq3(taskA, taskB, taskC)))
	defer stop()

	handle, err := task.Enqueue(ctx, client, person{"world"})
	must(err)
	show(handle.Wait(ctx))
	// Output:
	// {
	//   "taskAOutput": "Hello from task A, world!",
	//   "taskBOutput": "Hello from task B, world!",
	//   "taskCOutput": "Hello from task C, world!"
	// }
}
