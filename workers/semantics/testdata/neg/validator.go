// The validator is of another type than the input.
package neg

import (
	"context"

	"github.com/durable-execution/durable/engine"
)

var task = engine.Define[string, int]("task").ValidateInput(func(n int) (int, error) { return n, nil }) // ERROR func(n int) (int, error)

var _ context.Context
