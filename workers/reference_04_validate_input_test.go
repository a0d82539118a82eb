// Mirrors "Validate input". The validator belongs to the task, not to its code, so that Enqueue
// refuses an invalid input before it stores anything.

package workers_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/durable-execution/durable/engine"
)

func Example_validateInput() {
	taskA := engine.Define[person, string]("a", engine.Timeout(time.Second)).
		ValidateInput(func(in person) (person, error) {
			if in.Name != "world" {
				return in, errors.New("not the world")
			}
			return in, nil
		})

	ctx, client, stop := serve(
		engine.Bind(taskA, func(_ context.Context, in person) (string, error) {
			// ... do some work
			return "Hello, " + in.Name + "!", nil
		}))
	defer stop()

	handle, err := taskA.Enqueue(ctx, client, person{"world"})
	must(err)
	show(handle.Wait(ctx))

	_, err = taskA.Enqueue(ctx, client, person{"moon"})
	fmt.Println(err)
	fmt.Println(errors.Is(err, engine.ErrInvalidInput))
	// Output:
	// "Hello, world!"
	// enqueue task "a": invalid input of task "a": not the world
	// true
}
