package workers

import (
	"sync"

	"github.com/durable-execution/durable/engine"
)

// A registry has the attempts that run here, by execution, and counts the deliveries that this
// executor is handling.
type registry struct {
	mu      sync.Mutex
	byID    map[string]*attempt
	busy    int           // how many deliveries are being handled
	idle    chan struct{} // closed when busy falls to 0; nil while nobody waits
	closing bool          // the drain time is over
}

// begin counts a delivery until finish is called.
func (r *registry) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy++
}

func (r *registry) finish() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy--; r.busy == 0 && r.idle != nil {
		close(r.idle)
		r.idle = nil
	}
}

// whenIdle returns a channel that is closed when no delivery is being handled.
func (r *registry) whenIdle() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := make(chan struct{})
	if r.busy == 0 {
		close(c)
		return c
	}
	if r.idle == nil {
		r.idle = c
	}
	return r.idle
}

// add adds an attempt. If the drain time is over, add hands the attempt back.
func (r *registry) add(a *attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byID == nil {
		r.byID = map[string]*attempt{}
	}
	r.byID[a.execution.ID] = a
	if r.closing {
		go a.handBack()
	}
}

func (r *registry) remove(a *attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byID[a.execution.ID] == a {
		delete(r.byID, a.execution.ID)
	}
}

func (r *registry) find(id string) *attempt {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byID[id]
}

// inTree returns the attempts below a root, without the root's own.
func (r *registry) inTree(root string) []*attempt {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []*attempt
	for id, a := range r.byID {
		if id != root && engine.RootOf(id) == root {
			list = append(list, a)
		}
	}
	return list
}

func (r *registry) all() []*attempt {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]*attempt, 0, len(r.byID))
	for _, a := range r.byID {
		list = append(list, a)
	}
	return list
}

// handBackAll hands back all attempts and returns their number. Attempts that are still being
// claimed are handed back by add.
func (r *registry) handBackAll() int {
	r.mu.Lock()
	r.closing = true
	r.mu.Unlock()
	list := r.all()
	for _, a := range list {
		go a.handBack()
	}
	return len(list)
}
