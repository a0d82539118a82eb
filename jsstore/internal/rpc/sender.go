package rpc

import (
	"runtime"
	"sync"

	"github.com/nats-io/nats.go"
)

// A sender sends the messages of many goroutines together. A connection wakes its flusher with
// each message, so the flusher usually writes only one or two messages, and a write to a socket
// costs as much as everything else about a message. A sender lets all runnable goroutines add
// their messages before it sends any, but it waits for nobody.
type sender struct {
	nc *nats.Conn
	// refused is called for a request that could not be sent.
	refused func(id uint64, err error)

	mu     sync.Mutex
	queue  []outgoing
	spare  []outgoing // an array for reuse as the next queue
	busy   bool       // there is something to send
	closed bool
	more   *sync.Cond // signals busy or closed
	idle   *sync.Cond // signals the end of busy
}

// newSender returns a sender that works until it is closed.
func newSender(nc *nats.Conn, refused func(uint64, error)) *sender {
	s := &sender{nc: nc, refused: refused}
	s.more, s.idle = sync.NewCond(&s.mu), sync.NewCond(&s.mu)
	go s.run()
	return s
}

// An outgoing message waits to be sent.
type outgoing struct {
	m       nats.Msg
	request uint64  // 0 for a message without a request: nobody hears whether it was sent
	buffer  *[]byte // the buffer of the body, if it must be given back
}

// send queues a message, which is sent soon. Neither its body nor its header may change any
// more.
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
		runtime.Gosched() // let other goroutines add their messages first
		list := s.take()
		for i := range list {
			s.publish(&list[i])
		}
		clear(list)
		s.sent(list)
	}
}

// wait waits for something to send. It returns false if nothing will come.
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
		GiveBack(o.buffer, o.m.Data)
	}
}

// close returns when all queued messages have been passed to the connection. Messages that are
// sent after close are passed on immediately.
func (s *sender) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.more.Signal()
	for s.busy {
		s.idle.Wait()
	}
}

// SizeOnWire returns the size that the server compares with the maximum size of a message.
func SizeOnWire(m *nats.Msg) int {
	n := len("NATS/1.0\r\n\r\n") + len(m.Data)
	for name, values := range m.Header {
		for _, v := range values {
			n += len(name) + len(": \r\n") + len(v)
		}
	}
	return n
}

// buffers holds buffers in which records are encoded for sending. The sender copies them.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// keptBuffer is the size up to which a buffer is kept for reuse. Hardly any record is longer.
const keptBuffer = 16 << 10

// GiveBack returns a buffer to the pool, or the longer one that replaced it.
func GiveBack(buffer *[]byte, used []byte) {
	if cap(used) <= keptBuffer {
		*buffer = used
		buffers.Put(buffer)
	}
}

// TakeBuffer returns an empty buffer to encode a message in.
func TakeBuffer() *[]byte { return buffers.Get().(*[]byte) }
