// The finalize has a different output type than its parent.
package neg

import (
	"context"

	"github.com/durable-execution/durable/engine"
)

var task = engine.Define[string, int]("task")

func run(context.Context, string, *engine.Children) (string, error) { return "", nil }

func finalize(context.Context, engine.Joined[string, string]) (string, error) { return "", nil }

var _ = engine.BindParent(task, run, finalize) // ERROR (string, error)
