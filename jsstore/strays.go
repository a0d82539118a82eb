package jsstore

import (
	"context"
	"strings"
	"time"

	"github.com/durable-execution/durable/engine"
)

const (
	// straysEvery is how often an executor looks for messages that no queue's consumer
	// can take. Idle, it is one request.
	straysEvery = time.Minute
	// straysAtOnce bounds how many messages one look reads.
	straysAtOnce = 20_000
)

// setStraysAside sets messages aside that no executor can be given, as long as ctx lasts:
// a client with the right to publish below <ns>.ready may have stored them under subjects
// with no valid queue, or no task, on which no consumer can be.
func (s *Store) setStraysAside(ctx context.Context) {
	examined := uint64(0)
	for {
		// What fails now is found the next time.
		examined, _ = s.lookForStrays(ctx, examined)
		select {
		case <-time.After(straysEvery):
		case <-ctx.Done():
			return
		}
	}
}

// lookForStrays looks at what lies in the ready stream behind a sequence, if anything lies
// there that no consumer counts, and returns the last sequence that it has looked at.
func (s *Store) lookForStrays(ctx context.Context, examined uint64) (uint64, error) {
	state, err := s.State(ctx, Ready)
	if err != nil || state.Messages == 0 || state.Last <= examined {
		return examined, err
	}
	queues, err := s.ListQueues(ctx)
	if err != nil || queues.Unserved == 0 {
		return examined, err
	}
	n, failed := 0, error(nil)
	for m, err := range s.scanFrom(ctx, s.layout.ready(), "", examined+1, 0) {
		if err != nil {
			return examined, err
		}
		if reason := s.layout.strays(m); reason != nil {
			if err := s.takeOut(ctx, s.layout.ready(), m, reason.Error()); err != nil {
				failed = err // it is tried again the next time, and must not be in the way of others
			}
		}
		if failed == nil {
			examined = m.Sequence
		}
		if n++; n == straysAtOnce {
			break
		}
	}
	return examined, failed
}

// strays says why nobody will ever record anything of a ready message: no queue's consumer
// can be on its subject, or it has no valid id, in whatever queue; nil if somebody may.
func (l layout) strays(m *stored) error {
	_, rest := l.split(m.Subject)
	queue, _, more := strings.Cut(rest, ".")
	d := l.parse(m)
	if !more || engine.ValidateQueue(queue) != nil || engine.ValidateID(d.Execution.ID) != nil {
		return d.Invalid
	}
	return nil
}
