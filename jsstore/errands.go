package jsstore

import "sync"

// mostErrands is how many errands are under way at once.
const mostErrands = 256

// Errands are what takes a request about a message that has just arrived: it is done
// beside the goroutine of its subscription, which must not wait for an answer. More than
// mostErrands wait for each other. A feed gives no credit for a message while the errands
// are crowded, so that those that wait are bounded by its credit.
type errands struct {
	room  chan struct{} // a place for each that is under way
	ended chan struct{}

	mu      sync.Mutex
	over    bool
	running sync.WaitGroup
}

func newErrands(most int) *errands {
	return &errands{room: make(chan struct{}, most), ended: make(chan struct{})}
}

// run has do called when there is room, and returns at once. Once the errands have ended it
// is not called: the message that it is about comes again after the lease.
func (e *errands) run(do func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over {
		return
	}
	e.running.Go(func() {
		select {
		case e.room <- struct{}{}:
		case <-e.ended:
			return
		}
		defer func() { <-e.room }()
		do()
	})
}

// crowded reports whether the next errand has to wait.
func (e *errands) crowded() bool { return len(e.room) == cap(e.room) }

// end drops the errands that wait, and returns when those under way are done, whose calls
// the caller has made fail.
func (e *errands) end() {
	e.mu.Lock()
	if !e.over {
		e.over = true
		close(e.ended)
	}
	e.mu.Unlock()
	e.running.Wait()
}
