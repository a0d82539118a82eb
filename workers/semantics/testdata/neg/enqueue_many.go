// EnqueueMany gets one input, not a list.
package neg

import (
	"context"

	"github.com/durable-execution/durable/engine"
)

var task = engine.Define[string, int]("task")

func use(ctx context.Context, c *engine.Client) {
	_, _ = task.EnqueueMany(ctx, c, "one") // ERROR cannot use "one"
}
