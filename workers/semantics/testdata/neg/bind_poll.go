// A poll is bound as a task that runs once.
package neg

import (
	"context"
	"time"

	"github.com/durable-execution/durable/engine"
)

var poll = engine.DefinePoll[string, int]("poll", engine.Poll{Every: time.Second})

var _ = engine.Bind(poll, func(context.Context, string) (int, error) { return 0, nil }) // ERROR PollTask
