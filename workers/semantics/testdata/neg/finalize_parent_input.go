// The finalize expects a different input type than its parent has.
package neg

import (
	"context"

	"github.com/durable-execution/durable/engine"
)

var task = engine.Define[string, int]("task")

func run(context.Context, string, *engine.Children) (string, error) { return "", nil }

func finalize(context.Context, engine.Joined[int, string]) (int, error) { return 0, nil }

var _ = engine.BindParent(task, run, finalize) // ERROR Joined[int, string]
