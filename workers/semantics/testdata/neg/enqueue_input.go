// The input is not of the task's type.
package neg

import (
	"context"

	"github.com/durable-execution/durable/engine"
)

var task = engine.Define[string, int]("task")

func use(ctx context.Context, c *engine.Client) {
	_, _ = task.Enqueue(ctx, c, 42) // ERROR cannot use 42
}
