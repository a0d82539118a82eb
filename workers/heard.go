package workers

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/durable-execution/durable/engine"
)

const (
	// maxHeard bounds how many cancellations, and how many trees, an executor remembers.
	maxHeard = 10_000
	// pulse is how often an executor notes that its process runs. If it has not noted that
	// for stalled, a signal or the machine had stopped the process.
	pulse   = time.Second
	stalled = 2 * pulse
	// maxUnclaimed is the longest time between receiving a message and claiming it.
	maxUnclaimed = 5 * time.Second
)

// heard remembers the cancellations of which the store has notified this executor. With it a
// claim knows whether it must read the records of ancestors.
//
// A cancellation names an id. After its tree has been removed, the id may belong to another
// execution, and clocks differ. So a remembered cancellation ends an execution only if it says
// which of the two it means (see [engine.Cancel.Means]). Any other cancellation is only a
// reason to read the records, which decide.
type heard struct {
	// doubt is how long a cancellation is a reason to read records: two leases. By then some
	// executor holds the message that carries the cancellation down the tree, and each
	// cancellation below is heard in turn.
	doubt time.Duration

	mu     sync.Mutex
	byID   map[string]engine.Cancel
	ring   []string             // the ids in byID; the oldest is at next
	next   int                  // the position in ring of the next id
	trees  map[string]time.Time // by root: when a cancellation in the tree was heard last
	missed time.Time            // when cancellations may last have been missed
	ranAt  atomic.Int64         // when this process was last known to run, in nanoseconds since born
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

// addTree must be called with the lock held.
func (h *heard) addTree(root string) {
	if len(h.trees) >= maxHeard {
		for root, at := range h.trees {
			if time.Since(at) >= h.doubt {
				delete(h.trees, root)
			}
		}
	}
	if len(h.trees) >= maxHeard {
		h.missed = time.Now() // too many trees to remember: doubt every tree
		clear(h.trees)
	}
	h.trees[root] = time.Now()
}

// of returns the cancellation of x, if one was heard that means x and no earlier execution
// with its id.
func (h *heard) of(x *engine.Execution) (engine.Cancel, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c, ok := h.byID[x.ID]
	return c, ok && !c.Born.IsZero() && c.Means(x)
}

// near returns how many of x's nearest ancestors to read before x begins: none if no
// cancellation in its tree was heard and none can have been missed.
func (h *heard) near(x *engine.Execution) int {
	h.noteRunning()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.trees) > 0 {
		if at, ok := h.trees[x.Root()]; ok && time.Since(at) < h.doubt {
			return nearInDoubt
		}
	}
	if h.missedWithin(h.doubt) {
		return nearAncestors
	}
	return 0
}

// doubts reports whether the execution of a message that nobody had before may have been
// cancelled: a cancellation with its id was heard, or this executor may have missed one while
// it held the message.
func (h *heard) doubts(x *engine.Execution) bool {
	h.noteRunning()
	h.mu.Lock()
	defer h.mu.Unlock()
	_, known := h.byID[x.ID]
	return known || h.missedWithin(maxUnclaimed)
}

func (h *heard) missedWithin(d time.Duration) bool {
	return !h.missed.IsZero() && time.Since(h.missed) < d
}

// miss notes that cancellations may have been missed until now.
func (h *heard) miss() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.missed = time.Now()
}

// noteRunning notes that the process runs. If it did not run for a while, other executors may
// hold its messages by now, and it may have missed cancellations.
func (h *heard) noteRunning() {
	now := int64(time.Since(h.born))
	if before := h.ranAt.Swap(now); now-before > int64(stalled) {
		h.miss()
	}
}

// keepPulse is the loop that notes that the process runs. Without it an idle process would
// look like one that was stopped.
func (x *Executor) keepPulse(stop <-chan struct{}) {
	tick := time.NewTicker(pulse)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			x.heard.noteRunning()
		case <-stop:
			return
		}
	}
}
