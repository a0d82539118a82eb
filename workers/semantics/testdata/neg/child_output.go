// The handle of a child is assigned to a handle with a different output type.
package neg

import (
	"context"

	"github.com/durable-execution/durable/engine"
)

var task = engine.Define[string, int]("task")

func run(_ context.Context, in string, c *engine.Children) (string, error) {
	var child engine.Child[string] = task.Spawn(c, in) // ERROR cannot use task.Spawn
	_ = child
	return "", nil
}
