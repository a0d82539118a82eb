package jsstore

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/message"
	"github.com/durable-execution/durable/jsstore/internal/rpc"
	"github.com/durable-execution/durable/jsstore/scan"
)

const (
	// straysEvery is how often an executor scans for messages that no queue's consumer can
	// take. If there are none, a scan is one request.
	straysEvery = time.Minute
	// straysAtOnce limits how many messages one scan reads, and straysPause is the pause
	// between scans while there are more: a queue that nobody serves yet may hold millions.
	straysAtOnce = 20_000
	straysPause  = time.Second
	// straysTogether is how many strays are set aside concurrently. One by one they would take
	// two round trips each: under load that is minutes for a few thousand.
	straysTogether = 64
)

// setStraysAside sets aside messages that can't be delivered to any executor, until ctx ends. A
// client with the right to publish below <ns>.ready may have stored them under subjects without
// a valid queue or task, which no consumer covers. If a stray can't be set aside now, it is
// retried after 1 s, then after twice as long each time, up to a minute.
func (s *Store) setStraysAside(ctx context.Context) {
	examined, failed, failing := uint64(0), uint64(0), time.Duration(0)
	for {
		found, err := s.lookForStrays(ctx, examined)
		examined = found.examined
		if failed == 0 {
			failed = found.failed
		}
		pause := straysEvery
		switch {
		case err == nil && found.more:
			pause = straysPause
		case err != nil || failed > 0:
			failing = min(max(2*failing, time.Second), straysEvery)
			pause = failing
			if failed > 0 {
				examined, failed = failed-1, 0
			}
		default:
			failing = 0
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// A strayLook is the result of one scan for strays.
type strayLook struct {
	examined uint64 // the last sequence that was examined
	failed   uint64 // the first stray that could not be set aside; 0 if there is none
	more     bool   // there are more messages after examined
}

// lookForStrays examines the messages in the ready stream after a sequence, if the stream has
// messages that no consumer counts. The error is one of reading.
func (s *Store) lookForStrays(ctx context.Context, examined uint64) (strayLook, error) {
	found := strayLook{examined: examined}
	state, err := s.scan.State(ctx, scan.Ready)
	if err != nil || state.Messages == 0 || state.Last <= examined {
		return found, err
	}
	queues, err := s.ListQueues(ctx)
	if err != nil || queues.Unserved == 0 {
		return found, err
	}
	var strays []unusable
	n, size := 0, 0
	for m, err := range s.rpc.ScanFrom(ctx, s.layout.Ready(), "", examined+1, 0) {
		if err != nil {
			found.takeOut(ctx, s, strays)
			return found, err
		}
		if n++; n > straysAtOnce {
			found.more = true
			break
		}
		found.examined = m.Sequence
		reason, err := s.strays(ctx, m)
		if err != nil && found.failed == 0 {
			found.failed = m.Sequence
		}
		if reason == nil {
			continue
		}
		strays, size = append(strays, unusable{m, reason}), size+len(m.Data)
		if len(strays) == straysTogether || size >= rpc.MostBytes {
			found.takeOut(ctx, s, strays)
			strays, size = nil, 0
		}
	}
	found.takeOut(ctx, s, strays)
	return found, nil
}

// An unusable is a message that can't be delivered to any executor, and the reason.
type unusable struct {
	*rpc.Stored
	reason error
}

// takeOut sets strays aside concurrently, and notes the first one that failed.
func (l *strayLook) takeOut(ctx context.Context, s *Store, strays []unusable) {
	errs := make([]error, len(strays))
	var all sync.WaitGroup
	for i, m := range strays {
		all.Go(func() { errs[i] = s.ns.TakeOut(ctx, s.layout.Ready(), m.Stored, m.reason.Error()) })
	}
	all.Wait()
	for i, m := range strays {
		if errs[i] != nil && l.failed == 0 {
			l.failed = m.Sequence
		}
	}
}

// strays returns why nobody will ever record anything about a ready message: no queue's
// consumer covers its subject, its id is invalid, or it is a hint whose execution is not
// recorded. It returns nil if an executor may record something. The error is one of reading the
// record.
func (s *Store) strays(ctx context.Context, m *rpc.Stored) (reason, err error) {
	if reason := message.StrayReason(s.layout, m); reason != nil {
		return reason, nil
	}
	d := message.ParseDue(s.layout, m)
	if !d.Hint || d.Invalid != nil {
		return nil, nil
	}
	_, err = s.Get(ctx, d.Execution.ID)
	switch {
	case errors.Is(err, engine.ErrNotFound):
		return message.ErrHint, nil
	case errors.Is(err, engine.ErrNewer), errors.Is(err, engine.ErrDamaged):
		return nil, nil // it is recorded
	}
	return nil, err
}
