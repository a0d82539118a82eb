// A parent without a finalize whose output is not gathered.
package neg

import (
	"context"

	"github.com/durable-execution/durable/engine"
)

var task = engine.Define[string, int]("task")

func run(context.Context, string, *engine.Children) (int, error) { return 0, nil }

var _ = engine.BindFanOut(task, run) // ERROR Gathered
