// A duration that does not say of what.
package neg

import (
	"context"
	"time"

	"github.com/durable-execution/durable/engine"
)

var task = engine.Define[string, int]("task", time.Second) // ERROR time.Second

var _ context.Context
