// Mirrors "Task tree". A sequence is a task like any other, so that a parent may
// spawn it.

package workers_test

import (
	"context"
	"errors"
	"time"

	"github.com/durable-execution/durable/engine"
)

func Example_taskTree() {
	type afterB1 struct {
		Name         string `json:"name"`
		TaskB1Output string `json:"taskB1Output"`
	}
	type afterB2 struct {
		Name         string `json:"name"`
		TaskB1Output string `json:"taskB1Output"`
		TaskB2Output string `json:"taskB2Output"`
	}
	type outputsB struct {
		TaskB1Output string `json:"taskB1Output"`
		TaskB2Output string `json:"taskB2Output"`
		TaskB3Output string `json:"taskB3Output"`
	}
	type outputsA struct {
		TaskAOutput  string `json:"taskAOutput"`
		TaskA1Output string `json:"taskA1Output"`
		TaskA2Output string `json:"taskA2Output"`
		TaskA3Output string `json:"taskA3Output"`
	}
	type outputs struct {
		RootOutput string `json:"rootOutput"`
		outputsA
		outputsB
	}
	taskB1 := engine.Define[person, afterB1]("b1", engine.Timeout(time.Second))
	taskB2 := engine.Define[afterB1, afterB2]("b2", engine.Timeout(time.Second))
	taskB3 := engine.Define[afterB2, outputsB]("b3", engine.Timeout(time.Second))
	taskB := engine.Define[person, outputsB]("b")
	taskA1 := engine.Define[person, string]("a1", engine.Timeout(time.Second))
	taskA2 := engine.Define[person, string]("a2", engine.Timeout(time.Second))
	taskA3 := engine.Define[person, string]("a3", engine.Timeout(time.Second))
	taskA := engine.Define[person, outputsA]("a", engine.Timeout(time.Second))
	rootTask := engine.Define[person, outputs]("root", engine.Timeout(time.Second))

	ctx, client, stop := serve(
		engine.Bind(taskB1, func(_ context.Context, in person) (afterB1, error) {
			return afterB1{in.Name, "Hello from task B1, " + in.Name + "!"}, nil
		}),
		engine.Bind(taskB2, func(_ context.Context, in afterB1) (afterB2, error) {
			return afterB2{in.Name, in.TaskB1Output, "Hello from task B2, " + in.Name + "!"}, nil
		}),
		engine.Bind(taskB3, func(_ context.Context, in afterB2) (outputsB, error) {
			return outputsB{in.TaskB1Output, in.TaskB2Output, "Hello from task B3, " + in.Name + "!"}, nil
		}),
		engine.BindSequence(taskB, engine.Seq3(taskB1, taskB2, taskB3)),

		engine.Bind(taskA1, func(_ context.Context, in person) (string, error) {
			return "Hello from task A1, " + in.Name + "!", nil
		}),
		engine.Bind(taskA2, func(_ context.Context, in person) (string, error) {
			return "Hello from task A2, " + in.Name + "!", nil
		}),
		engine.Bind(taskA3, func(_ context.Context, in person) (string, error) {
			return "Hello from task A3, " + in.Name + "!", nil
		}),
		engine.BindParent(taskA, func(_ context.Context, in person, children *engine.Children) (string, error) {
			taskA1.Spawn(children, in)
			taskA2.Spawn(children, in)
			taskA3.Spawn(children, in)
			return "Hello from task A, " + in.Name + "!", nil
		}, func(_ context.Context, j engine.Joined[person, string]) (outputsA, error) {
			a1, err1 := taskA1.Result(j.Children).Get()
			a2, err2 := taskA2.Result(j.Children).Get()
			a3, err3 := taskA3.Result(j.Children).Get()
			return outputsA{j.Output, a1, a2, a3}, errors.Join(err1, err2, err3)
		}, engine.Timeout(time.Second)),

		engine.BindParent(rootTask, func(_ context.Context, in person, children *engine.Children) (string, error) {
			taskA.Spawn(children, in)
			taskB.Spawn(children, in)
			return "Hello from root task, " + in.Name + "!", nil
		}, func(_ context.Context, j engine.Joined[person, string]) (outputs, error) {
			a, err1 := taskA.Result(j.Children).Get()
			b, err2 := taskB.Result(j.Children).Get()
			return outputs{j.Output, a, b}, errors.Join(err1, err2)
		}, engine.Timeout(time.Second)))
	defer stop()

	handle, err := rootTask.Enqueue(ctx, client, person{"world"})
	must(err)
	show(handle.Wait(ctx))
	// Output:
	// {
	//   "rootOutput": "Hello from root task, world!",
	//   "taskAOutput": "Hello from task A, world!",
	//   "taskA1Output": "Hello from task A1, world!",
	//   "taskA2Output": "Hello from task A2, world!",
	//   "taskA3Output": "Hello from task A3, world!",
	//   "taskB1Output": "Hello from task B1, world!",
	//   "taskB2Output": "Hello from task B2, world!",
	//   "taskB3Output": "Hello from task B3, world!"
	// }
}
