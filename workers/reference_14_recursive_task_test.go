// Mirrors "Recursive task". A task does not contain its code, so the code can simply use the task.
// An integer of at least 0 is a uint, so that the inferred schema demands it. An undefined
// output is struct{}.

package workers_test

import (
	"context"
	"time"

	"github.com/durable-execution/durable/engine"
)

func Example_recursiveTask() {
	type position struct {
		Index uint `json:"index"`
	}
	type counted struct {
		Count int `json:"count"`
	}
	recursiveTask := engine.Define[position, counted]("recursive", engine.Timeout(time.Second))

	ctx, client, stop := serve(
		engine.BindParent(recursiveTask, func(ctx context.Context, in position, children *engine.Children) (struct{}, error) {
			if err := sleep(ctx, time.Millisecond); err != nil {
				return struct{}{}, err
			}
			if in.Index < 9 {
				recursiveTask.Spawn(children, position{in.Index + 1})
			}
			return struct{}{}, nil
		}, func(_ context.Context, j engine.Joined[position, struct{}]) (counted, error) {
			sum := counted{1}
			for _, r := range recursiveTask.Results(j.Children) {
				child, err := r.Get()
				if err != nil {
					return counted{}, err
				}
				sum.Count += child.Count
			}
			return sum, nil
		}, engine.Timeout(time.Second)))
	defer stop()

	handle, err := recursiveTask.Enqueue(ctx, client, position{0})
	must(err)
	show(handle.Wait(ctx))
	// Output:
	// {
	//   "count": 10
	// }
}
