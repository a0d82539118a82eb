// Mirrors "Validate input with schema". The schema is a JSON Schema. The schema of the document
// need not be written in Go: it is inferred from the input's type. A schema that is given with
// InputSchema may demand more.

package workers_test

import (
	"context"
	"fmt"
	"time"

	"github.com/durable-execution/durable/engine"
)

func Example_inputSchema() {
	taskA := engine.Define[person, string]("a", engine.Timeout(time.Second))
	show(taskA.Schema(), nil)

	taskA = taskA.InputSchema(`{
		"type": "object",
		"properties": {"name": {"type": "string", "minLength": 1}},
		"required": ["name"]
	}`)

	ctx, client, stop := serve(
		engine.Bind(taskA, func(_ context.Context, in person) (string, error) {
			// ... do some work
			return "Hello, " + in.Name + "!", nil
		}))
	defer stop()

	handle, err := taskA.Enqueue(ctx, client, person{"world"})
	must(err)
	show(handle.Wait(ctx))

	_, err = taskA.Enqueue(ctx, client, person{""})
	fmt.Println(err)
	// Output:
	// {
	//   "type": "object",
	//   "properties": {
	//     "name": {
	//       "type": "string"
	//     }
	//   },
	//   "required": [
	//     "name"
	//   ]
	// }
	// "Hello, world!"
	// enqueue task "a": invalid input of task "a": validating root: validating /properties/name: minLength: "" contains 0 Unicode code points, fewer than 1
}
