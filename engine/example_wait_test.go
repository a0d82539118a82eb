package engine_test

import (
	"context"
	"fmt"
	"time"

	"github.com/durable-execution/durable/engine"
)

// A poll is one execution whose function runs repeatedly until it reports that it is done.
func ExampleBindPoll() {
	delivery := engine.DefinePoll[string, string]("delivery", engine.Poll{
		Every:    10 * time.Millisecond,
		Deadline: 24 * time.Hour,
	})

	ctx, client, stop := start(
		engine.BindPoll(delivery, func(ctx context.Context, parcel string) (out string, done bool, err error) {
			polls := engine.FromContext(ctx).Polls
			return fmt.Sprintf("%s arrived after %d polls", parcel, polls), polls == 3, nil
		}))
	defer stop()

	handle, err := delivery.Enqueue(ctx, client, "parcel 7")
	must(err)
	fmt.Println(handle.Wait(ctx))
	// Output: parcel 7 arrived after 3 polls <nil>
}

// A sleeping task runs no code. Its execution takes no slot and waits, across restarts of
// all executors, until a program wakes it with the output.
func ExampleSleepingTask_Wake() {
	approval := engine.DefineSleeping[string, bool]("approval", engine.Timeout(72*time.Hour))

	ctx, client, stop := start()
	defer stop()

	handle, err := approval.Enqueue(ctx, client, "order 42")
	must(err)

	// Later, in another process that knows the id:
	must(approval.Wake(ctx, client, handle.ID(), true))

	fmt.Println(handle.Wait(ctx))
	// Output: true <nil>
}
