package jsstore

import (
	"runtime"
	"sync"

	"github.com/nats-io/nats.go"
)

// A sender sends the messages of many goroutines together. A connection wakes its flusher
// with each message, which writes what there is: one message or two, as a rule, and a
// write to a socket costs as much as all the rest of a message. A sender lets whoever can
// run add a message before it sends any, and waits for nobody.
type sender struct {
	nc *nats.Conn
	// refused is told of a request that could not be sent.
	refused func(id uint64, err error)

	mu     sync.Mutex
	queue  []outgoing
	spare  []outgoing // an array for the next queue
	busy   bool       // there is something to send
	closed bool
	more   *sync.Cond // busy, or closed
	idle   *sync.Cond // not busy any more
}

// newSender returns a sender that is at work until it is closed.
func newSender(nc *nats.Conn, refused func(uint64, error)) *sender {
	s := &sender{nc: nc, refused: refused}
	s.more, s.idle = sync.NewCond(&s.mu), sync.NewCond(&s.mu)
	go s.run()
	return s
}

// An outgoing message waits to be sent.
type outgoing struct {
	m       nats.Msg
	request uint64  // 0 is none: nobody hears whether it could be sent
	buffer  *[]byte // what the body was written in, if it is to be given back
}

// send has a message sent soon. Neither its body nor its header may change any more.
func (s *sender) send(o outgoing) {
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.queue = append(s.queue, o)
		if !s.busy {
			s.busy = true
			s.more.Signal()
		}
	}
	s.mu.Unlock()
	if closed {
		s.publish(&o)
	}
}

func (s *sender) run() {
	for s.wait() {
		runtime.Gosched() // the others first
		list := s.take()
		for i := range list {
			s.publish(&list[i])
		}
		clear(list)
		s.sent(list)
	}
}

// wait waits for something to send; false says that nothing will come.
func (s *sender) wait() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.busy && !s.closed {
		s.more.Wait()
	}
	return s.busy
}

func (s *sender) take() []outgoing {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.queue
	s.queue, s.spare = s.spare, nil
	return list
}

func (s *sender) sent(list []outgoing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spare = list[:0]
	if s.busy = len(s.queue) > 0; !s.busy {
		s.idle.Broadcast()
	}
}

func (s *sender) publish(o *outgoing) {
	if err := s.nc.PublishMsg(&o.m); err != nil && o.request != 0 {
		s.refused(o.request, err)
	}
	if o.buffer != nil {
		giveBack(o.buffer, o.m.Data)
	}
}

// close returns when the connection has all that was to be sent. What is sent afterwards
// it has at once.
func (s *sender) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.more.Signal()
	for s.busy {
		s.idle.Wait()
	}
}
