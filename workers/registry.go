package workers

import (
	"sync"

	"github.com/durable-execution/durable/engine"
)

// A registry knows the attempts that run here, by execution, and how many
// deliveries are being seen to.
type registry struct {
	mu      sync.Mutex
	byID    map[string]*attempt
	busy    int
	idle    chan struct{} // closed when busy falls to 0; nil while nobody waits
	closing bool
}

// begin counts a delivery, finish ends it.
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

// whenIdle returns a channel that is closed when no delivery is being seen to.
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

// add makes an attempt known. One that comes after the end of the drain is handed back.
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

func (r *registry) all() []*attempt {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]*attempt, 0, len(r.byID))
	for _, a := range r.byID {
		list = append(list, a)
	}
	return list
}

// handBackAll ends all attempts, and those that are still being claimed.
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

// maxHeard bounds how many cancellations an executor remembers.
const maxHeard = 10_000

// cancelled remembers the latest cancellations that were heard of, so that a
// message that is in hand already, or on its way, does not start. It is a help
// and no promise: the record decides.
type cancelled struct {
	mu   sync.Mutex
	byID map[string]engine.Cancel
	ring []string // of ids, the oldest at next
	next int
}

func (c *cancelled) add(n engine.Cancel) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID == nil {
		c.byID, c.ring = map[string]engine.Cancel{}, make([]string, maxHeard)
	}
	if _, known := c.byID[n.ID]; known {
		return
	}
	delete(c.byID, c.ring[c.next])
	c.ring[c.next] = n.ID
	c.next = (c.next + 1) % maxHeard
	c.byID[n.ID] = n
}

// find returns the cancellation of x, or of one above it, if there was one. A
// cancellation from before x was enqueued is of another life of its id.
func (c *cancelled) find(x engine.Execution) (engine.Cancel, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.byID) == 0 {
		return engine.Cancel{}, false
	}
	if n, ok := c.byID[x.ID]; ok && !n.At.Before(x.CreatedAt) {
		return n, true
	}
	for _, above := range []string{x.Parent, x.Root()} {
		if n, ok := c.byID[above]; ok && above != x.ID && !n.At.Before(x.CreatedAt) {
			return engine.Cancel{ID: x.ID, At: n.At, Parent: above, Reason: "parent " + above + ": cancelled"}, true
		}
	}
	return engine.Cancel{}, false
}
