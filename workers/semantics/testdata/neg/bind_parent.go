// Bind gets a function that spawns children.
package neg

import (
	"context"

	"github.com/durable-execution/durable/engine"
)

var task = engine.Define[string, int]("task")

var _ = engine.Bind(task, func(context.Context, string, *engine.Children) (int, error) { return 0, nil }) // ERROR *engine.Children
