package memstore

import (
	"context"
	"sync"
	"time"

	"github.com/durable-execution/durable/engine"
)

// present is an executor that answers roll calls, one at a time.
type present struct {
	answer func(engine.RollCall) *engine.Presence

	mu      sync.Mutex
	stopped bool
}

// Present implements [engine.Store].
func (s *Store) Present(ctx context.Context, answer func(engine.RollCall) *engine.Presence) (stop func(), err error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	p := &present{answer: answer}
	s.present[p] = true
	return func() {
		s.mu.Lock()
		delete(s.present, p)
		s.mu.Unlock()
		p.mu.Lock()
		p.stopped = true
		p.mu.Unlock()
	}, nil
}

// RollCall implements [engine.Store]. All present executors are in this process, so it calls
// each of them and does not wait for other answers.
func (s *Store) RollCall(ctx context.Context, call engine.RollCall) ([]engine.Answer, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	var all []*present
	for p := range s.present {
		all = append(all, p)
	}
	s.mu.Unlock()
	asked, err := engine.EncodeRollCall(call)
	if err != nil {
		return nil, err
	}
	var answers []engine.Answer
	called := time.Now()
	for _, p := range all {
		said := p.call(engine.DecodeRollCall(asked))
		if said == nil || call.For == engine.NoAnswers {
			continue
		}
		// Encode and decode the answer as on a wire, so that it shares no memory.
		data, err := engine.EncodePresence(*said, s.config.Payload)
		if err != nil {
			return nil, err
		}
		copied, err := engine.DecodePresence(data)
		if err != nil {
			return nil, err
		}
		answers = append(answers, engine.Answer{Presence: copied, CalledAt: called, Took: time.Since(called)})
	}
	return answers, nil
}

func (p *present) call(c engine.RollCall) *engine.Presence {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return nil
	}
	return p.answer(c)
}
