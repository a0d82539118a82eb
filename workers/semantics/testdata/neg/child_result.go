// The output of a child is used as a different type.
package neg

import (
	"context"

	"github.com/durable-execution/durable/engine"
)

var task = engine.Define[string, int]("task")

func finalize(_ context.Context, j engine.Joined[string, string]) (string, error) {
	return task.Result(j.Children).Get() // ERROR cannot use
}
