// The finalize expects an output of the run function that the run function does not return.
package neg

import (
	"context"

	"github.com/durable-execution/durable/engine"
)

var task = engine.Define[string, int]("task")

func run(context.Context, string, *engine.Children) (string, error) { return "", nil }

func finalize(context.Context, engine.Joined[string, int]) (int, error) { return 0, nil }

var _ = engine.BindParent(task, run, finalize) // ERROR Joined[string, int]
