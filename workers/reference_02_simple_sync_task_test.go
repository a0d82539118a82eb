// Mirrors "Simple sync task". In Go the definition of a task and its code are separate, and a
// function returns an error instead of throwing it.

package workers_test

import (
	"context"
	"time"

	"github.com/durable-execution/durable/engine"
)

func Example_simpleSyncTask() {
	taskA := engine.Define[person, string]("a", engine.Timeout(time.Second))

	ctx, client, stop := serve(
		engine.Bind(taskA, func(_ context.Context, in person) (string, error) {
			// ... do some synchronous work
			return "Hello, " + in.Name + "!", nil
		}))
	defer stop()

	handle, err := taskA.Enqueue(ctx, client, person{"world"})
	must(err)
	show(handle.Wait(ctx))
	// Output: "Hello, world!"
}
