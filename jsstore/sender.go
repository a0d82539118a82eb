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

	mu    sync.Mutex
	queue []outgoing
	spare []outgoing // an array for the next queue
	busy  bool       // a goroutine sends
	idle  *sync.Cond // nothing is left to send
}

func newSender(nc *nats.Conn, refused func(uint64, error)) *sender {
	s := &sender{nc: nc, refused: refused}
	s.idle = sync.NewCond(&s.mu)
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
	defer s.mu.Unlock()
	s.queue = append(s.queue, o)
	if !s.busy {
		s.busy = true
		go s.run()
	}
}

func (s *sender) run() {
	for {
		runtime.Gosched() // the others first
		list := s.next()
		if len(list) == 0 {
			return
		}
		for i := range list {
			o := &list[i]
			if err := s.nc.PublishMsg(&o.m); err != nil && o.request != 0 {
				s.refused(o.request, err)
			}
			if o.buffer != nil {
				giveBack(o.buffer, o.m.Data)
			}
		}
		clear(list)
		s.mu.Lock()
		s.spare = list[:0]
		s.mu.Unlock()
	}
}

// next takes what there is to send.
func (s *sender) next() []outgoing {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.queue
	if s.busy = len(list) > 0; !s.busy {
		s.idle.Broadcast()
		return nil
	}
	s.queue, s.spare = s.spare, nil
	return list
}

// flush waits until the connection has all that was to be sent.
func (s *sender) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.busy {
		s.idle.Wait()
	}
}
