// A duration is not an option: it does not say what it limits.
package neg

import (
	"context"
	"time"

	"github.com/durable-execution/durable/engine"
)

var task = engine.Define[string, int]("task", time.Second) // ERROR time.Second

var _ context.Context
