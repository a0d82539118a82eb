package workers

import (
	"sync"
	"time"

	"github.com/durable-execution/durable/engine"
)

// types are the tasks of the other executors with their schemas. They are asked for when an
// input is refused here, and for each fleetFresh at most once, however many are refused.
type types struct {
	mu    sync.Mutex
	asked time.Time
	all   []engine.Answer
}

// readElsewhere reports whether another executor of the queue has the task with another
// type, which reads an input that was refused here. If it can't ask, nobody has.
func (x *Executor) readElsewhere(d *engine.Definition, queue string, in engine.Input) bool {
	t := &x.types
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.asked.IsZero() || time.Since(t.asked) > fleetFresh {
		answers, err := x.store.RollCall(x.kill, engine.RollCall{Schemas: true})
		if err != nil {
			return false
		}
		t.asked, t.all = time.Now(), answers
	}
	var bound []engine.BoundTask
	for i := range t.all {
		if p := &t.all[i]; p.Executor != x.config.Name && p.Serves(queue) {
			bound = append(bound, p.Tasks...)
		}
	}
	return d.ReadElsewhere(in, bound)
}
