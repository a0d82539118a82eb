// Mirrors "Simple async task". Go has no async functions: a function that waits looks like any
// other, and stops waiting when the context of its attempt ends.

package workers_test

import (
	"context"
	"time"

	"github.com/durable-execution/durable/engine"
)

func Example_simpleAsyncTask() {
	taskA := engine.Define[person, string]("a", engine.Timeout(time.Second))

	ctx, client, stop := serve(
		engine.Bind(taskA, func(ctx context.Context, in person) (string, error) {
			// ... do some asynchronous work
			if err := sleep(ctx, time.Millisecond); err != nil {
				return "", err
			}
			return "Hello, " + in.Name + "!", nil
		}))
	defer stop()

	handle, err := taskA.Enqueue(ctx, client, person{"world"})
	must(err)
	show(handle.Wait(ctx))
	// Output: "Hello, world!"
}
