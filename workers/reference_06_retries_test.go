// Mirrors "Retries". The document's maxAttempts is called MaxRetries here, because it counts
// retries. The code needs no counter, because the record also has the attempts.

package workers_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/durable-execution/durable/engine"
)

func Example_retries() {
	type greeting struct {
		TotalAttempts int    `json:"totalAttempts"`
		Output        string `json:"output"`
	}
	taskA := engine.Define[person, greeting]("a", engine.Timeout(time.Second), engine.Retry{
		MaxRetries: 5,
		BaseDelay:  100 * time.Millisecond,
		Multiplier: 1.5,
		MaxDelay:   time.Second,
	})

	var totalAttempts atomic.Int64
	ctx, client, stop := serve(
		engine.Bind(taskA, func(ctx context.Context, in person) (greeting, error) {
			total := totalAttempts.Add(1)
			if engine.FromContext(ctx).Attempt < 2 {
				return greeting{}, errors.New("no luck")
			}
			return greeting{int(total), "Hello, " + in.Name + "!"}, nil
		}))
	defer stop()

	handle, err := taskA.Enqueue(ctx, client, person{"world"})
	must(err)
	show(handle.Wait(ctx))

	execution, err := handle.Get(ctx)
	must(err)
	for _, a := range execution.History {
		if a.Failure != nil {
			fmt.Println("attempt", a.Number, "failed:", a.Failure)
		} else {
			fmt.Println("attempt", a.Number, execution.Status)
		}
	}
	// Output:
	// {
	//   "totalAttempts": 3,
	//   "output": "Hello, world!"
	// }
	// attempt 0 failed: no luck
	// attempt 1 failed: no luck
	// attempt 2 completed
}
