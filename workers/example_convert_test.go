package workers_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/durable-execution/durable/engine"
)

// A conversion is a validator that changes the type: callers enqueue and store text, and the
// code takes a number.
func Example_convertInput() {
	half := engine.ConvertInput(engine.Define[string, int]("half"), strconv.Atoi)

	ctx, client, stop := serve(
		engine.Bind(half, func(_ context.Context, n int) (int, error) { return n / 2, nil }))
	defer stop()

	handle, err := half.Enqueue(ctx, client, "84")
	must(err)
	fmt.Println(handle.Wait(ctx))

	_, err = half.Enqueue(ctx, client, "many")
	fmt.Println(err)
	fmt.Println(errors.Is(err, engine.ErrInvalidInput))
	// Output:
	// 42 <nil>
	// enqueue task "half": invalid input of task "half": strconv.Atoi: parsing "many": invalid syntax
	// true
}
