package workers_test

import (
	"context"
	"fmt"
	"time"

	"github.com/durable-execution/durable/engine"
)

// A poll is one execution that runs again and again until it is done, however long that takes.
// Unlike the nested polling of the reference document, it does not grow.
func Example_poll() {
	delivery := engine.DefinePoll[string, string]("delivery", engine.Poll{
		Every:    10 * time.Millisecond,
		Deadline: 24 * time.Hour,
	}, engine.Retry{MaxRetries: 5, BaseDelay: time.Second}) // each run has all five retries

	ctx, client, stop := serve(
		engine.BindPoll(delivery, func(ctx context.Context, parcel string) (string, bool, error) {
			n := engine.FromContext(ctx).Polls // how many runs before this one were not done
			return fmt.Sprintf("%s arrived, seen by poll %d", parcel, n+1), n == 4, nil
		}))
	defer stop()

	handle, err := delivery.Enqueue(ctx, client, "parcel 7")
	must(err)
	fmt.Println(handle.Wait(ctx))
	// Output:
	// parcel 7 arrived, seen by poll 5 <nil>
}
