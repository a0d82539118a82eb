package workers

import "github.com/durable-execution/durable/engine"

// slots bound how many attempts run at once. Every queue is asked for as many
// executions as there are free slots; what comes beyond them, because several
// queues were asked, waits in hand for a slot, extended like all that is in hand.
type slots struct {
	free   chan struct{} // a token for each
	queues []engine.Feed[engine.Delivery]
}

func newSlots(n int, queues []engine.Feed[engine.Delivery]) *slots {
	s := &slots{free: make(chan struct{}, n), queues: queues}
	for range n {
		s.free <- struct{}{}
	}
	for _, q := range queues {
		q.Request(n)
	}
	return s
}

// release gives a slot back that an execution of queue from has used.
func (s *slots) release(from engine.Feed[engine.Delivery]) {
	s.free <- struct{}{}
	from.Request(1)
}
