// The output is taken for another type.
package neg

import (
	"context"

	"github.com/durable-execution/durable/engine"
)

var task = engine.Define[string, int]("task")

func use(ctx context.Context, c *engine.Client) (string, error) {
	return task.Handle(c, "id").Wait(ctx) // ERROR cannot use
}
