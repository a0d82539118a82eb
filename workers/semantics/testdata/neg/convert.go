// The function takes the stored type of a task that converts its input.
package neg

import (
	"context"
	"strconv"

	"github.com/durable-execution/durable/engine"
)

var task = engine.ConvertInput(engine.Define[string, int]("task"), strconv.Atoi)

var _ = engine.Bind(task, func(context.Context, string) (int, error) { return 0, nil }) // ERROR func(context.Context, string) (int, error)
