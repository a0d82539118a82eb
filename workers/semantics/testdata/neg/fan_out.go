// The output type of a parent without a finalize is not Gathered.
package neg

import (
	"context"

	"github.com/durable-execution/durable/engine"
)

var task = engine.Define[string, int]("task")

func run(context.Context, string, *engine.Children) (int, error) { return 0, nil }

var _ = engine.BindFanOut(task, run) // ERROR Gathered
