// The function has a different input type than the task.
package neg

import (
	"context"

	"github.com/durable-execution/durable/engine"
)

var task = engine.Define[string, int]("task")

var _ = engine.Bind(task, func(context.Context, int) (int, error) { return 0, nil }) // ERROR func(context.Context, int) (int, error)
