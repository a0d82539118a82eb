// Mirrors "Polling task". sleepMsBeforeRun is the option Delay. The value is there at the fifth
// poll, not after two seconds, so that the count is certain.

package workers_test

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/durable-execution/durable/engine"
)

func Example_pollingTask() {
	type poll struct {
		PrevCount uint `json:"prevCount"`
	}
	type look struct {
		IsDone bool `json:"isDone"`
		Value  int  `json:"value"`
	}
	type found struct {
		Count uint `json:"count"`
		Value int  `json:"value"`
	}
	pollingTask := engine.Define[poll, found]("polling", engine.Delay(10*time.Millisecond), engine.Timeout(time.Second))

	var looks atomic.Int64
	ctx, client, stop := serve(
		engine.BindParent(pollingTask, func(_ context.Context, in poll, children *engine.Children) (look, error) {
			if looks.Add(1) >= 5 {
				return look{IsDone: true, Value: 10}, nil
			}
			pollingTask.Spawn(children, poll{in.PrevCount + 1})
			return look{}, nil
		}, func(_ context.Context, j engine.Joined[poll, look]) (found, error) {
			if j.Output.IsDone {
				return found{j.Input.PrevCount + 1, j.Output.Value}, nil
			}
			return pollingTask.Result(j.Children).Get()
		}, engine.Timeout(time.Second)))
	defer stop()

	handle, err := pollingTask.Enqueue(ctx, client, poll{0})
	must(err)
	show(handle.Wait(ctx))
	// Output:
	// {
	//   "count": 5,
	//   "value": 10
	// }
}
