package rpc

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// A series is a request with several answers. It holds them until next takes them, however long
// that takes: an unread answer must not hold up the answers to other requests. A subscription
// for each request would cost the server work, and would need a channel of 65,536 slots here
// (nats.DefaultMaxChanLen).
type series struct {
	r  *requests
	id uint64

	mu   sync.Mutex
	list []*nats.Msg
	lost error         // why no more answers come
	more chan struct{} // of capacity 1: signals that list or lost has changed
}

// ask sends a request whose answers form a series. The caller must call end.
func (r *requests) ask(subject string, body []byte) (*series, error) {
	s := &series{r: r, more: make(chan struct{}, 1)}
	r.mu.Lock()
	if err := r.reason; err != nil {
		r.mu.Unlock()
		return nil, err
	}
	r.next++
	s.id = r.next
	r.series[s.id] = s
	r.mu.Unlock()
	if err := r.nc.PublishRequest(subject, r.reply(s.id), body); err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

func (s *series) end() {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	delete(s.r.series, s.id)
}

func (s *series) add(m *nats.Msg) {
	s.mu.Lock()
	s.list = append(s.list, m)
	s.mu.Unlock()
	s.tell()
}

func (s *series) lose(reason error) {
	s.mu.Lock()
	s.lost = reason
	s.mu.Unlock()
	s.tell()
}

func (s *series) tell() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// next returns the next answer. It returns the same errors as requests.wait.
func (s *series) next(ctx context.Context) (*nats.Msg, error) {
	if m, err := s.take(); m != nil || err != nil {
		return m, err
	}
	timer := time.NewTimer(AnswerTimeout)
	defer timer.Stop()
	for {
		select {
		case <-s.more:
		case <-timer.C:
			return nil, ErrNoAnswer
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if m, err := s.take(); m != nil || err != nil {
			return m, err
		}
	}
}

// take returns an answer that has arrived, or nil.
func (s *series) take() (*nats.Msg, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(s.list) > 0:
		m := s.list[0]
		s.list[0] = nil // otherwise the array would keep it
		s.list = s.list[1:]
		return m, nil
	case s.lost != nil:
		return nil, s.lost
	}
	return nil, nil
}
