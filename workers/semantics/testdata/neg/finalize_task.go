// The task is not a finalize for this parent.
package neg

import (
	"context"

	"github.com/durable-execution/durable/engine"
)

var task = engine.Define[string, int]("task")

var other = engine.Define[engine.Joined[string, int], int]("other")

func run(context.Context, string, *engine.Children) (string, error) { return "", nil }

var _ = engine.BindParentTask(task, run, other) // ERROR other
