package workers

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/durable-execution/durable/engine"
)

const (
	// maxHeard bounds how many cancellations an executor remembers, and how many trees.
	maxHeard = 10_000
	// pulse is how often an executor notes that it runs. One that has not for stalled was
	// stopped: by a signal, by its machine.
	pulse   = time.Second
	stalled = 2 * pulse
	// inHand is how long a message lies in hand, at most, before it is claimed.
	inHand = 5 * time.Second
)

// heard remembers what an executor has heard of cancellations, so that claims know when they
// have to look. A cancellation names an id, and an id may have another life once its tree has
// been removed; clocks differ. So what was heard decides by itself only where the cancellation
// says which life it means; otherwise it is a reason to read the records, which decide.
type heard struct {
	// doubt is for how long a cancellation is a reason to look: two leases. By then somebody
	// has the message that carries it down the tree, and what that asks for is heard again.
	doubt time.Duration

	mu     sync.Mutex
	byID   map[string]engine.Cancel
	ring   []string             // of ids, the oldest at next
	next   int                  // in the ring
	trees  map[string]time.Time // from the root's id to when a cancellation in the tree was heard of
	missed time.Time            // when some may have passed unheard
	beat   atomic.Int64         // when this process ran, in nanoseconds since born
	born   time.Time
}

func newHeard(lease time.Duration) *heard {
	return &heard{
		doubt: 2 * lease, born: time.Now(),
		byID: map[string]engine.Cancel{}, ring: make([]string, maxHeard), trees: map[string]time.Time{},
	}
}

func (h *heard) add(c engine.Cancel) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.addTree(engine.RootOf(c.ID))
	if _, known := h.byID[c.ID]; !known {
		delete(h.byID, h.ring[h.next])
		h.ring[h.next] = c.ID
		h.next = (h.next + 1) % maxHeard
	}
	h.byID[c.ID] = c
}

// addTree is called with the lock held.
func (h *heard) addTree(root string) {
	if len(h.trees) >= maxHeard {
		for root, at := range h.trees {
			if time.Since(at) >= h.doubt {
				delete(h.trees, root)
			}
		}
	}
	if len(h.trees) >= maxHeard {
		h.missed = time.Now() // too many to tell: look at all
		clear(h.trees)
	}
	h.trees[root] = time.Now()
}

// of returns the cancellation of this life of x, if there was one.
func (h *heard) of(x *engine.Execution) (engine.Cancel, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c, ok := h.byID[x.ID]
	return c, ok && !c.Born.IsZero() && c.Means(x)
}

// looks returns how many executions above x are to be looked at before it begins, as far as
// cancellations were heard: none where none was heard, and none can have been missed.
func (h *heard) looks(x *engine.Execution) int {
	h.feel()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.trees) > 0 {
		if at, ok := h.trees[x.Root()]; ok && time.Since(at) < h.doubt {
			return looksInDoubt
		}
	}
	if h.missedWithin(h.doubt) {
		return looksAbove
	}
	return 0
}

// doubts reports whether a message that nobody had before may be about an execution that has
// been cancelled: one with a life of this id was, or it was in hand while nothing was heard.
func (h *heard) doubts(x *engine.Execution) bool {
	h.feel()
	h.mu.Lock()
	defer h.mu.Unlock()
	_, known := h.byID[x.ID]
	return known || h.missedWithin(inHand)
}

func (h *heard) missedWithin(d time.Duration) bool {
	return !h.missed.IsZero() && time.Since(h.missed) < d
}

// lost notes that cancellations may have passed unheard until now.
func (h *heard) lost() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.missed = time.Now()
}

// feel notes that the process runs. If it did not for a while, messages lie in its hands that
// may be somebody else's by now, and cancellations that it has yet to hear of.
func (h *heard) feel() {
	now := int64(time.Since(h.born))
	if before := h.beat.Swap(now); now-before > int64(stalled) {
		h.lost()
	}
}

// keepPulse is the loop that tells a process that was stopped from one that has nothing to do.
func (x *Executor) keepPulse(stop <-chan struct{}) {
	tick := time.NewTicker(pulse)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			x.heard.feel()
		case <-stop:
			return
		}
	}
}
