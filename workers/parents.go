package workers

import (
	"sync"

	"github.com/durable-execution/durable/engine"
)

const (
	// lightRecord is about how many bytes a record may have to be remembered. It is less
	// than what a store keeps beside the record, which it would keep again each time that
	// a remembered one is written.
	lightRecord = 7 << 10
	// maxRemembered is about how many bytes all of them may have.
	maxRemembered = 16 << 20
)

// parents remembers the records of executions that wait for what is below them, as this
// executor has written them last. It is a help and no promise: whoever else has written
// one since makes a write over it fail. In a fleet that happens, and costs that write in
// vain: the more often it does, the less is recalled.
type parents struct {
	mu   sync.Mutex
	byID map[string]*remembered
	size int
	luck int // from -maxLuck to maxLuck; nothing is recalled below 0
}

type remembered struct {
	engine.Record
	size int
}

const (
	maxLuck = 16
	badLuck = 4 // what a write in vain costs
)

// remember keeps r, if it waits and is light, or forgets what it was before.
func (p *parents) remember(r engine.Record) {
	waits := r.Status == engine.WaitingForChildren || r.Status == engine.WaitingForFinalize
	size := sizeOf(&r.Execution)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(r.ID)
	if !waits || size > lightRecord {
		return
	}
	if p.byID == nil {
		p.byID = map[string]*remembered{}
	}
	// Any goes, and not the oldest: it is what is about to be needed where they take turns.
	for id := range p.byID {
		if p.size+size <= maxRemembered {
			break
		}
		p.forget(id)
	}
	p.byID[r.ID] = &remembered{r, size}
	p.size += size
}

// forget is called with the lock held.
func (p *parents) forget(id string) {
	if r, known := p.byID[id]; known {
		delete(p.byID, id)
		p.size -= r.size
	}
}

// sizeOf estimates how many bytes the record of x has.
func sizeOf(x *engine.Execution) int {
	const fields = 1000 // of the execution itself
	n := fields + len(x.Input.Data) + len(x.Output.Data)
	for i := range x.Spawns {
		n += x.Spawns[i].Size()
	}
	for i := range x.Steps {
		n += x.Steps[i].Size()
	}
	return n
}

// recall returns the record of an execution as far as it is remembered. Whoever asks
// tells by learn whether it was the latest.
func (p *parents) recall(id string) (engine.Record, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, known := p.byID[id]
	switch {
	case !known:
		return engine.Record{}, false
	case p.luck < 0:
		p.luck++
		return engine.Record{}, false
	}
	return r.Record, true
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
