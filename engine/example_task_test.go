package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/durable-execution/durable/engine"
)

// A task is defined once, bound by a program that executes it, and enqueued by any program.
func Example() {
	shout := engine.Define[string, string]("shout", engine.Timeout(time.Minute))

	ctx, client, stop := start(
		engine.Bind(shout, func(_ context.Context, word string) (string, error) {
			return strings.ToUpper(word), nil
		}))
	defer stop()

	handle, err := shout.Enqueue(ctx, client, "hello")
	must(err)
	out, err := handle.Wait(ctx)
	must(err)
	fmt.Println(out)
	// Output: HELLO
}

// With an ID, enqueueing again returns a handle to the same execution.
func ExampleID() {
	charge := engine.Define[int, string]("charge")

	ctx, client, stop := start(
		engine.Bind(charge, func(_ context.Context, cents int) (string, error) {
			return fmt.Sprintf("charged %d", cents), nil
		}))
	defer stop()

	for range 2 {
		handle, err := charge.Enqueue(ctx, client, 900, engine.ID("order-42"))
		must(err)
		out, err := handle.Wait(ctx)
		must(err)
		fmt.Println(handle.ID(), out)
	}
	_, err := charge.Enqueue(ctx, client, 1000, engine.ID("order-42"))
	fmt.Println(errors.Is(err, engine.ErrIDConflict))
	// Output:
	// order-42 charged 900
	// order-42 charged 900
	// true
}

// A failed attempt is retried as the policy says, unless the error is Permanent.
func ExampleRetry() {
	fetch := engine.Define[string, string]("fetch", engine.Retry{
		MaxRetries: 5,
		BaseDelay:  10 * time.Millisecond,
		Multiplier: 2,
	})

	ctx, client, stop := start(
		engine.Bind(fetch, func(ctx context.Context, url string) (string, error) {
			attempt := engine.FromContext(ctx).Attempt
			switch {
			case url == "":
				return "", engine.Permanent(errors.New("no URL"))
			case attempt < 2:
				return "", errors.New("unreachable")
			}
			return fmt.Sprintf("fetched %s in attempt %d", url, attempt), nil
		}))
	defer stop()

	for _, url := range []string{"example.com", ""} {
		handle, err := fetch.Enqueue(ctx, client, url)
		must(err)
		out, err := handle.Wait(ctx)
		var failed *engine.ExecutionError
		if errors.As(err, &failed) {
			fmt.Println(failed.Status, "because of", failed.Cause)
			continue
		}
		must(err)
		fmt.Println(out)
	}
	// Output:
	// fetched example.com in attempt 2
	// failed because of no URL
}

// Cancel ends the context of a running attempt, and the execution finishes as cancelled.
func ExampleClient_Cancel() {
	began := make(chan struct{})
	watch := engine.Define[string, string]("watch", engine.NoTimeout)

	ctx, client, stop := start(
		engine.Bind(watch, func(ctx context.Context, _ string) (string, error) {
			close(began)
			<-ctx.Done()
			return "", context.Cause(ctx)
		}))
	defer stop()

	handle, err := watch.Enqueue(ctx, client, "temperature")
	must(err)
	<-began
	must(client.Cancel(ctx, handle.ID(), "no longer needed"))

	_, err = handle.Wait(ctx)
	fmt.Println(errors.Is(err, engine.ErrCancelled))
	execution, err := handle.Get(ctx)
	must(err)
	fmt.Println(execution.Status, "because of:", execution.Failure)
	// Output:
	// true
	// cancelled because of: no longer needed
}
