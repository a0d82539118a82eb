package engine_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/durable-execution/durable/engine"
)

// Callers enqueue text, which is also what is stored. The code of the parent and its finalize
// get the duration that the text means.
func ExampleConvertInput() {
	cook := engine.ConvertInput(engine.Define[string, string]("cook"), time.ParseDuration)

	ctx, client, stop := start(
		engine.BindParent(cook,
			func(_ context.Context, d time.Duration, _ *engine.Children) (float64, error) {
				return d.Minutes(), nil
			},
			func(_ context.Context, j engine.Joined[time.Duration, float64]) (string, error) {
				return fmt.Sprintf("%s is %g minutes", j.Input, j.Output), nil
			}))
	defer stop()

	handle, err := cook.Enqueue(ctx, client, "1h30m")
	must(err)
	fmt.Println(handle.Wait(ctx))

	_, err = cook.Enqueue(ctx, client, "a while")
	fmt.Println(errors.Is(err, engine.ErrInvalidInput))
	// Output:
	// 1h30m0s is 90 minutes <nil>
	// true
}
