// The function has a different output type than the task.
package neg

import (
	"context"

	"github.com/durable-execution/durable/engine"
)

var task = engine.Define[string, int]("task")

var _ = engine.Bind(task, func(context.Context, string) (string, error) { return "", nil }) // ERROR func(context.Context, string) (string, error)
