// Mirrors "Multiple parent tasks with parallel children run sequentially". The document leaves out
// the sequence; here it is the last binding. Where the document spreads an object, Go embeds a
// struct.

package workers_test

import (
	"context"
	"errors"
	"time"

	"github.com/durable-execution/durable/engine"
)

func Example_parentsRunSequentially() {
	type afterA struct {
		Name         string `json:"name"`
		TaskAOutput  string `json:"taskAOutput"`
		TaskA1Output string `json:"taskA1Output"`
		TaskA2Output string `json:"taskA2Output"`
	}
	type runB struct {
		TaskAOutput  string `json:"taskAOutput"`
		TaskA1Output string `json:"taskA1Output"`
		TaskA2Output string `json:"taskA2Output"`
		TaskBOutput  string `json:"taskBOutput"`
	}
	type outputs struct {
		runB
		TaskB1Output string `json:"taskB1Output"`
		TaskB2Output string `json:"taskB2Output"`
	}
	taskA1 := engine.Define[person, string]("a1", engine.Timeout(time.Second))
	taskA2 := engine.Define[person, string]("a2", engine.Timeout(time.Second))
	taskB1 := engine.Define[person, string]("b1", engine.Timeout(time.Second))
	taskB2 := engine.Define[person, string]("b2", engine.Timeout(time.Second))
	taskA := engine.Define[person, afterA]("a", engine.Timeout(time.Second))
	taskB := engine.Define[afterA, outputs]("b", engine.Timeout(time.Second))
	task := engine.Define[person, outputs]("ab")

	ctx, client, stop := serve(
		engine.Bind(taskA1, func(_ context.Context, in person) (string, error) {
			return "Hello from task A1, " + in.Name + "!", nil
		}),
		engine.Bind(taskA2, func(_ context.Context, in person) (string, error) {
			return "Hello from task A2, " + in.Name + "!", nil
		}),
		engine.Bind(taskB1, func(_ context.Context, in person) (string, error) {
			return "Hello from task B1, " + in.Name + "!", nil
		}),
		engine.Bind(taskB2, func(_ context.Context, in person) (string, error) {
			return "Hello from task B2, " + in.Name + "!", nil
		}),

		engine.BindParent(taskA, func(_ context.Context, in person, children *engine.Children) (string, error) {
			taskA1.Spawn(children, in)
			taskA2.Spawn(children, in)
			return "Hello from task A, " + in.Name + "!", nil
		}, func(_ context.Context, j engine.Joined[person, string]) (afterA, error) {
			a1, err1 := taskA1.Result(j.Children).Get()
			a2, err2 := taskA2.Result(j.Children).Get()
			return afterA{j.Input.Name, j.Output, a1, a2}, errors.Join(err1, err2)
		}, engine.Timeout(time.Second)),

		engine.BindParent(taskB, func(_ context.Context, in afterA, children *engine.Children) (runB, error) {
			taskB1.Spawn(children, person{in.Name})
			taskB2.Spawn(children, person{in.Name})
			return runB{in.TaskAOutput, in.TaskA1Output, in.TaskA2Output, "Hello from task B, " + in.Name + "!"}, nil
		}, func(_ context.Context, j engine.Joined[afterA, runB]) (outputs, error) {
			b1, err1 := taskB1.Result(j.Children).Get()
			b2, err2 := taskB2.Result(j.Children).Get()
			return outputs{j.Output, b1, b2}, errors.Join(err1, err2)
		}, engine.Timeout(time.Second)),

		engine.BindSequence(task, engine.Then(taskA, taskB)))
	defer stop()

	handle, err := task.Enqueue(ctx, client, person{"world"})
	must(err)
	show(handle.Wait(ctx))
	// Output:
	// {
	//   "taskAOutput": "Hello from task A, world!",
	//   "taskA1Output": "Hello from task A1, world!",
	//   "taskA2Output": "Hello from task A2, world!",
	//   "taskBOutput": "Hello from task B, world!",
	//   "taskB1Output": "Hello from task B1, world!",
	//   "taskB2Output": "Hello from task B2, world!"
	// }
}
