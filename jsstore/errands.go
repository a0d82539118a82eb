package jsstore

import "sync"

// mostErrands is how many errands are under way at once.
const mostErrands = 256

// errands run requests about messages that have just arrived. They run outside the goroutine of
// the subscription, because that must not wait for an answer. At most mostErrands run at once;
// the others wait. While there is no room, a feed gives no credit for further messages, so its
// credit bounds how many errands wait.
type errands struct {
	room  chan struct{} // holds one value for each errand under way
	ended chan struct{}

	mu      sync.Mutex
	over    bool
	running sync.WaitGroup
}

func newErrands(most int) *errands {
	return &errands{room: make(chan struct{}, most), ended: make(chan struct{})}
}

// run calls do once there is room; run itself returns at once. After end, run does not call do:
// the server redelivers the message after the lease.
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

// end drops the errands that wait, and returns when those under way are done. The caller must
// have made their calls fail first.
func (e *errands) end() {
	e.mu.Lock()
	if !e.over {
		e.over = true
		close(e.ended)
	}
	e.mu.Unlock()
	e.running.Wait()
}
