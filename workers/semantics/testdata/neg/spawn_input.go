// The input of a child has the wrong type.
package neg

import (
	"context"

	"github.com/durable-execution/durable/engine"
)

var task = engine.Define[string, int]("task")

func run(_ context.Context, in string, c *engine.Children) (int, error) {
	task.Spawn(c, 42) // ERROR cannot use 42
	return 0, nil
}

var _ = engine.BindFanOut(engine.Define[string, engine.Gathered[int]]("parent"), run)
