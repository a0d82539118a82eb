package workers

import (
	"math/rand/v2"
	"time"

	"github.com/durable-execution/durable/engine"
)

// overdueEvery is about how often an executor makes its store look for timers that did not fire.
const overdueEvery = 15 * time.Second

// fireOverdue is the loop that makes the store fire timers that did not fire in time.
func (x *Executor) fireOverdue(stop <-chan struct{}) {
	keeper, ok := x.store.(engine.Timekeeper)
	if !ok {
		return
	}
	const what = "look for overdue timers"
	for {
		// Executors that start together must not all ask at the same time.
		wait := overdueEvery/2 + rand.N(overdueEvery)
		select {
		case <-time.After(wait):
		case <-stop:
			return
		}
		n, err := keeper.FireOverdue(x.kill)
		if n > 0 {
			x.log.Warn("timers set again that had not fired", "timers", n)
		}
		if err != nil {
			x.trouble.failed(what, x, err)
			continue
		}
		x.trouble.over(what, x)
	}
}
