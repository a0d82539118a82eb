package workers_test

import (
	"context"
	"fmt"
	"time"

	"github.com/durable-execution/durable/engine"
)

// A poll is one execution that is run again until it is done, however long that
// takes: unlike the nested polling of the reference document, it does not grow.
func Example_poll() {
	delivery := engine.DefinePoll[string, string]("delivery", engine.Poll{
		Every:    10 * time.Millisecond,
		Deadline: 24 * time.Hour,
	}, engine.Retry{MaxRetries: 5, BaseDelay: time.Second}) // of a run that fails: each has them all

	ctx, client, stop := serve(
		engine.BindPoll(delivery, func(ctx context.Context, parcel string) (string, bool, error) {
			n := engine.FromContext(ctx).Polls // how often it was not done
			return fmt.Sprintf("%s arrived, seen at look %d", parcel, n+1), n == 4, nil
		}))
	defer stop()

	handle, err := delivery.Enqueue(ctx, client, "parcel 7")
	must(err)
	fmt.Println(handle.Wait(ctx))
	// Output:
	// parcel 7 arrived, seen at look 5 <nil>
}
