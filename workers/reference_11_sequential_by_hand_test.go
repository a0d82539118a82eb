// Mirrors "Sequential tasks (manually)". A finalize that is a parent itself is a
// task of its own: BindParentTask names it, and BindParent binds it and the
// finalize of the finalize. Its input is a Joined: the document's input, output and
// childrenTasksOutputs.

package workers_test

import (
	"context"
	"time"

	"github.com/durable-execution/durable/engine"
)

func Example_sequentialByHand() {
	type outputsBC struct {
		TaskBOutput string `json:"taskBOutput"`
		TaskCOutput string `json:"taskCOutput"`
	}
	type outputsABC struct {
		TaskAOutput string `json:"taskAOutput"`
		TaskBOutput string `json:"taskBOutput"`
		TaskCOutput string `json:"taskCOutput"`
	}
	type joined = engine.Joined[person, string]
	taskC := engine.Define[person, string]("c", engine.Timeout(time.Second))
	taskB := engine.Define[person, outputsBC]("b", engine.Timeout(time.Second))
	taskBFinalize := engine.Define[joined, outputsBC]("taskBFinalize", engine.Timeout(time.Second))
	taskA := engine.Define[person, outputsABC]("a", engine.Timeout(time.Second))
	taskAFinalize := engine.Define[joined, outputsABC]("taskAFinalize", engine.Timeout(time.Second))

	ctx, client, stop := serve(
		engine.Bind(taskC, func(_ context.Context, in person) (string, error) {
			return "Hello from task C, " + in.Name + "!", nil
		}),

		engine.BindParentTask(taskB, func(_ context.Context, in person, _ *engine.Children) (string, error) {
			return "Hello from task B, " + in.Name + "!", nil
		}, taskBFinalize),
		engine.BindParent(taskBFinalize, func(_ context.Context, j joined, children *engine.Children) (string, error) {
			taskC.Spawn(children, j.Input)
			return j.Output, nil
		}, func(_ context.Context, j engine.Joined[joined, string]) (outputsBC, error) {
			c, err := taskC.Result(j.Children).Get()
			return outputsBC{j.Output, c}, err
		}, engine.Timeout(time.Second)),

		engine.BindParentTask(taskA, func(_ context.Context, in person, _ *engine.Children) (string, error) {
			return "Hello from task A, " + in.Name + "!", nil
		}, taskAFinalize),
		engine.BindParent(taskAFinalize, func(_ context.Context, j joined, children *engine.Children) (string, error) {
			taskB.Spawn(children, j.Input)
			return j.Output, nil
		}, func(_ context.Context, j engine.Joined[joined, string]) (outputsABC, error) {
			bc, err := taskB.Result(j.Children).Get()
			return outputsABC{j.Output, bc.TaskBOutput, bc.TaskCOutput}, err
		}, engine.Timeout(time.Second)))
	defer stop()

	handle, err := taskA.Enqueue(ctx, client, person{"world"})
	must(err)
	show(handle.Wait(ctx))
	// Output:
	// {
	//   "taskAOutput": "Hello from task A, world!",
	//   "taskBOutput": "Hello from task B, world!",
	//   "taskCOutput": "Hello from task C, world!"
	// }
}
