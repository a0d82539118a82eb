package workers

import (
	"sync"

	"github.com/durable-execution/durable/engine"
)

const (
	// maxParents bounds how many records an executor remembers.
	maxParents = 1000
	// lightRecord is about how many bytes a record may have to be remembered. It is less
	// than what a store keeps beside the record, which it would keep again each time that
	// a remembered one is written.
	lightRecord = 7 << 10
)

// parents remembers the records of executions that wait for what is below them, as this
// executor has written them last. It is a help and no promise: whoever else has written
// one since makes a write over it fail. In a fleet that happens, and costs that write in
// vain: the more often it does, the less is recalled.
type parents struct {
	mu   sync.Mutex
	byID map[string]engine.Record
	ring []string // of ids, the oldest at next
	next int
	luck int // from -maxLuck to maxLuck; nothing is recalled below 0
}

const (
	maxLuck = 16
	badLuck = 4 // what a write in vain costs
)

// remember keeps r, if it waits and is light, or forgets what it was before.
func (p *parents) remember(r engine.Record) {
	waits := r.Status == engine.WaitingForChildren || r.Status == engine.WaitingForFinalize
	p.mu.Lock()
	defer p.mu.Unlock()
	if !waits || !light(&r.Execution) {
		delete(p.byID, r.ID)
		return
	}
	if p.byID == nil {
		p.byID, p.ring = map[string]engine.Record{}, make([]string, maxParents)
	}
	if _, known := p.byID[r.ID]; !known {
		delete(p.byID, p.ring[p.next])
		p.ring[p.next] = r.ID
		p.next = (p.next + 1) % maxParents
	}
	p.byID[r.ID] = r
}

func light(x *engine.Execution) bool {
	const fields = 200 // of a child, beside its input
	n := len(x.Input.Data) + len(x.Output.Data)
	for _, s := range x.Spawns {
		n += len(s.Input.Data) + fields
	}
	for _, s := range x.Steps {
		n += len(s.Input.Data) + fields
	}
	return n <= lightRecord
}

// recall returns the record of an execution as far as it is remembered. Whoever asks
// tells by learn whether it was the latest.
func (p *parents) recall(id string) (engine.Record, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, known := p.byID[id]
	if known && p.luck < 0 {
		p.luck++
		return engine.Record{}, false
	}
	return r, known
}

func (p *parents) learn(latest bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if latest {
		p.luck = min(p.luck+1, maxLuck)
		return
	}
	p.luck = max(p.luck-badLuck, -maxLuck)
}
