package workers

import (
	"sync"
	"time"

	"github.com/durable-execution/durable/engine"
)

const (
	// slotPatience is how long an execution waits in hand for a slot before it is
	// given back to whoever has one free.
	slotPatience = time.Second
	// gatherSlot is how long a slot that is free stays so, for all queues to answer
	// that were not asked while none was.
	gatherSlot = 5 * time.Millisecond
	// handful is the part of a queue's share of the slots that may wait in hand, so
	// that the next is there when a slot is free: one in so many.
	handful = 8
)

// slots share what an executor can run at once among its queues, by weight. A queue
// that is alone in having work may use all slots. Each queue is asked for as many
// executions as there are free slots. An executor of several queues also asks for
// a handful more of each, which wait in hand: the slot that comes free goes to the
// queue that has had the least for its weight. An executor of one has nothing wait.
type slots struct {
	mu     sync.Mutex
	free   int
	lanes  []*lane
	clock  float64 // the turn of the lane that had the last slot
	gather *time.Timer
}

// A lane is a queue of an executor.
type lane struct {
	feed    engine.Feed[*engine.Delivery]
	weight  float64
	handful int
	open    int       // requested, and not received
	waiting []*waiter // received, and without a slot; the oldest first
	turn    float64   // slots that it has had by its weight: the least is next
	shy     bool      // something of it waited in vain: it is not asked before a slot is free
}

type waiter struct{ start chan struct{} }

// newSlots shares n slots among feeds by their weights, and asks for as many.
func newSlots(n int, feeds []engine.Feed[*engine.Delivery], weights []int) *slots {
	s := &slots{free: n}
	total := 0
	for _, w := range weights {
		total += w
	}
	for i, f := range feeds {
		l := &lane{feed: f, weight: float64(weights[i])}
		if len(feeds) > 1 {
			l.handful = max(1, n*weights[i]/total/handful)
		}
		s.lanes = append(s.lanes, l)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ask()
	return s
}

// acquire waits until an execution that was received has a slot. It reports false
// if it waited in vain or the executor stops: then the execution is given back.
func (s *slots) acquire(l *lane, stopping <-chan struct{}) bool {
	s.mu.Lock()
	l.open--
	if s.free > 0 && len(l.waiting) == 0 && s.gather == nil {
		s.give(l)
		s.ask()
		s.mu.Unlock()
		return true
	}
	w := &waiter{start: make(chan struct{})}
	if len(l.waiting) == 0 {
		l.turn = max(l.turn, s.clock) // it has saved nothing while it had no work
	}
	l.waiting = append(l.waiting, w)
	s.ask()
	s.mu.Unlock()

	timer := time.NewTimer(slotPatience)
	defer timer.Stop()
	select {
	case <-w.start:
		return true
	case <-timer.C:
	case <-stopping:
	}
	return s.leave(l, w)
}

// leave ends a wait. It reports true if the wait was just over.
func (s *slots) leave(l *lane, w *waiter) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, other := range l.waiting {
		if other == w {
			l.waiting = append(l.waiting[:i:i], l.waiting[i+1:]...)
			l.shy = true
			s.ask()
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
	shy := 0
	for _, l := range s.lanes {
		if l.shy {
			shy++
		}
		l.shy = false
	}
	if shy > 0 && len(s.lanes) > 1 && s.gather == nil {
		// Nothing waits of a queue that may have work: were the slot to go to the first
		// that answers, it would go by chance and not by weight.
		s.gather = time.AfterFunc(gatherSlot, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.gather = nil
			s.start()
		})
	}
	s.start()
}

// start gives the free slots to what waits, and asks for more.
func (s *slots) start() {
	for s.gather == nil && s.free > 0 {
		var next *lane
		for _, l := range s.lanes {
			if len(l.waiting) > 0 && (next == nil || l.turn < next.turn) {
				next = l
			}
		}
		if next == nil {
			break
		}
		close(next.waiting[0].start)
		next.waiting = next.waiting[1:]
		s.give(next)
	}
	s.ask()
}

// give gives a slot to l.
func (s *slots) give(l *lane) {
	s.free--
	l.turn = max(l.turn, s.clock)
	s.clock = l.turn
	l.turn += 1 / l.weight
}

// ask has each queue deliver what there is room for.
func (s *slots) ask() {
	for _, l := range s.lanes {
		want := max(s.free, l.handful)
		if l.shy {
			want = 0
		}
		if n := want - l.open - len(l.waiting); n != 0 && (n > 0 || l.open > 0) {
			n = max(n, -l.open)
			l.open += n
			l.feed.Request(n)
		}
	}
}
