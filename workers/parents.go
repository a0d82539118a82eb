package workers

import (
	"sync"

	"github.com/durable-execution/durable/engine"
)

const (
	// lightRecord is about how long a record may be to be remembered, in bytes. It is less than
	// the length from which a store keeps a list of children outside the record: it would
	// store that list again with each write of a remembered record.
	lightRecord = 7 << 10
	// maxRemembered is about how long all remembered records may be together, in bytes.
	maxRemembered = 16 << 20
)

// parents is a cache of the records of executions that wait for children or a finalize, as this
// executor last wrote them. It saves a read before the next write. If another executor has
// written the record since, the next write fails with a conflict. The more writes fail in that
// way, the fewer records recall returns.
type parents struct {
	mu    sync.Mutex
	byID  map[string]*remembered
	size  int
	score int // from -maxScore to maxScore; while it is negative, recall returns nothing
}

type remembered struct {
	engine.Record
	size int
}

const (
	maxScore = 16
	missCost = 4 // how much a record that was not the latest lowers the score
)

// remember replaces the remembered record of r's execution by r. If r does not wait or is not
// light, it only forgets the old record.
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
	// Forget any record, not the oldest: if all records are used in turn, the oldest is the
	// next one to be used.
	for id := range p.byID {
		if p.size+size <= maxRemembered {
			break
		}
		p.forget(id)
	}
	p.byID[r.ID] = &remembered{r, size}
	p.size += size
}

// forget must be called with the lock held.
func (p *parents) forget(id string) {
	if r, known := p.byID[id]; known {
		delete(p.byID, id)
		p.size -= r.size
	}
}

// sizeOf estimates the length of x's record in bytes.
func sizeOf(x *engine.Execution) int {
	const fields = 1000 // all fields of x except those below
	n := fields + len(x.Input.Data) + len(x.Output.Data)
	for i := range x.Spawns {
		n += x.Spawns[i].Size()
	}
	for i := range x.Steps {
		n += x.Steps[i].Size()
	}
	return n
}

// recall returns the remembered record of an execution, if there is one. A caller that writes
// the next record must call learn once it knows whether this one was the latest.
func (p *parents) recall(id string) (engine.Record, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, known := p.byID[id]
	switch {
	case !known:
		return engine.Record{}, false
	case p.score < 0:
		p.score++
		return engine.Record{}, false
	}
	return r.Record, true
}

// learn adjusts the score: latest says whether the record that recall returned was the latest.
func (p *parents) learn(latest bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if latest {
		p.score = min(p.score+1, maxScore)
		return
	}
	p.score = max(p.score-missCost, -maxScore)
}
