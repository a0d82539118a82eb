package workers

import (
	"sync"
	"time"

	"github.com/durable-execution/durable/engine"
)

const (
	// maxSlotWait is how long an execution waits for a slot of this executor. After that
	// the executor returns it, so that an executor with a free slot gets it.
	maxSlotWait = time.Second
	// answerTime is how long a released slot stays free, so that queues that nothing was
	// requested from while no slot was free have time to deliver.
	answerTime = 5 * time.Millisecond
	// prefetchShare bounds how many executions of a queue wait for a slot: one for each
	// prefetchShare slots of the queue's share.
	prefetchShare = 8
)

// slots shares the slots of an executor among its queues by weight, as weighted fair queueing
// does. A queue may use all slots while no other queue has work. From each queue the executor
// requests as many executions as there are free slots. An executor of several queues also
// prefetches a few executions of each queue: when a slot becomes free, it goes to the waiting
// execution of the queue that has used the fewest slots for its weight. An executor of one
// queue prefetches nothing.
type slots struct {
	mu     sync.Mutex
	free   int
	queues []*queue
	vtime  float64     // the virtual time at which the latest slot was given
	delay  *time.Timer // runs while released slots stay free for answerTime; otherwise nil
}

// A queue is a queue that this executor serves.
type queue struct {
	feed      engine.Feed[*engine.Delivery]
	weight    float64
	prefetch  int       // how many executions may wait for a slot
	requested int       // executions requested, and not received yet
	waiting   []*waiter // executions received that have no slot yet; the oldest first
	vtime     float64   // grows by 1/weight with each slot; the queue with the least is next
	paused    bool      // an execution waited in vain: request nothing until a slot is released
}

// A waiter is an execution that waits for a slot. Closing start gives it one.
type waiter struct{ start chan struct{} }

// newSlots shares n slots among feeds by their weights, and requests the first executions.
func newSlots(n int, feeds []engine.Feed[*engine.Delivery], weights []int) *slots {
	s := &slots{free: n}
	total := 0
	for _, w := range weights {
		total += w
	}
	for i, f := range feeds {
		q := &queue{feed: f, weight: float64(weights[i])}
		if len(feeds) > 1 {
			q.prefetch = max(1, n*weights[i]/total/prefetchShare)
		}
		s.queues = append(s.queues, q)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.request()
	return s
}

// acquire waits for a slot for an execution that was received from q. It returns false after
// maxSlotWait, or when the executor stops: the caller then returns the execution.
func (s *slots) acquire(q *queue, stopping <-chan struct{}) bool {
	s.mu.Lock()
	q.requested--
	if s.free > 0 && len(q.waiting) == 0 && s.delay == nil {
		s.give(q)
		s.request()
		s.mu.Unlock()
		return true
	}
	w := &waiter{start: make(chan struct{})}
	if len(q.waiting) == 0 {
		q.vtime = max(q.vtime, s.vtime) // a queue without work saves up no slots
	}
	q.waiting = append(q.waiting, w)
	s.request()
	s.mu.Unlock()

	timer := time.NewTimer(maxSlotWait)
	defer timer.Stop()
	select {
	case <-w.start:
		return true
	case <-timer.C:
	case <-stopping:
	}
	return s.leave(q, w)
}

// leave ends the wait of w. It returns true if w has been given a slot in the meantime.
func (s *slots) leave(q *queue, w *waiter) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, other := range q.waiting {
		if other == w {
			q.waiting = append(q.waiting[:i:i], q.waiting[i+1:]...)
			q.paused = true
			s.request()
			return false
		}
	}
	return true
}

// release takes a slot back.
func (s *slots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free++
	paused := false
	for _, q := range s.queues {
		paused = paused || q.paused
		q.paused = false
	}
	if paused && len(s.queues) > 1 && s.delay == nil {
		// A paused queue may have work, but none of it waits here. If the first queue to
		// deliver got the slot, chance would decide and not the weights.
		s.delay = time.AfterFunc(answerTime, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.delay = nil
			s.start()
		})
	}
	s.start()
}

// start gives the free slots to waiting executions, and requests more.
func (s *slots) start() {
	for s.delay == nil && s.free > 0 {
		var next *queue
		for _, q := range s.queues {
			if len(q.waiting) > 0 && (next == nil || q.vtime < next.vtime) {
				next = q
			}
		}
		if next == nil {
			break
		}
		close(next.waiting[0].start)
		next.waiting = next.waiting[1:]
		s.give(next)
	}
	s.request()
}

// give counts a free slot as used by q.
func (s *slots) give(q *queue) {
	s.free--
	q.vtime = max(q.vtime, s.vtime)
	s.vtime = q.vtime
	q.vtime += 1 / q.weight
}

// request asks each queue for as many executions as there is room for. It takes requests
// back if there is less room than before.
func (s *slots) request() {
	for _, q := range s.queues {
		want := max(s.free, q.prefetch)
		if q.paused {
			want = 0
		}
		if n := want - q.requested - len(q.waiting); n != 0 && (n > 0 || q.requested > 0) {
			n = max(n, -q.requested)
			q.requested += n
			q.feed.Request(n)
		}
	}
}
