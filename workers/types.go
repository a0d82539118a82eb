package workers

import (
	"sync"
	"time"

	"github.com/durable-execution/durable/engine"
)

// types has the tasks of the other executors, with their schemas. This executor asks for them
// when it refuses an input, but at most once per fleetFresh.
type types struct {
	mu    sync.Mutex
	asked time.Time
	all   []engine.Answer
}

// readElsewhere reports whether another executor of the queue has a type of the task that accepts
// an input which this executor refused. If the roll call fails, it reports false.
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
