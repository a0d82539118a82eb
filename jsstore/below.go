package jsstore

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
)

// enqueueBelow enqueues executions whose ids are derived: one that exists is
// the one that is meant.
//
// The limit of the ready stream is for new roots. The server can't tell them from what
// belongs to work that it has accepted, and refuses both. So what is refused here goes
// to the timers, which have no limit, and is due at once: executors take what comes
// from there beside what is ready, and so do those of earlier versions. Were the spawn
// to wait for room instead, the parent's own message would be in the way of it.
func (s *Store) enqueueBelow(ctx context.Context, dues []engine.Due) error {
	ms := make([]*nats.Msg, len(dues))
	errs := s.publishEach(ctx, ms, func(i int) (err error) {
		ms[i], err = s.ready(ctx, &dues[i])
		return err
	}, exclusive)
	var refused []*nats.Msg
	for i, err := range errs {
		switch {
		case errors.Is(err, engine.ErrExists):
			errs[i] = nil
		case errors.Is(err, engine.ErrQueueFull):
			errs[i] = nil
			refused = append(refused, s.layout.dueAtOnce(ms[i], &dues[i].Execution, time.Now()))
		}
	}
	return errors.Join(append(errs, s.enqueueBeside(ctx, refused)...)...)
}

// enqueueBeside publishes timers that are not to take another's place: the one that an
// id has is the one that is meant.
func (s *Store) enqueueBeside(ctx context.Context, timers []*nats.Msg) []error {
	errs := s.publishAll(ctx, timers, nil)
	for i, err := range errs {
		if errors.Is(err, engine.ErrConflict) {
			errs[i] = nil
		}
	}
	return errs
}

// dueAtOnce returns the timer that a ready message becomes for which there is no room. It
// is exclusive: a spawn that is repeated may find room.
func (l layout) dueAtOnce(ready *nats.Msg, x *engine.Execution, now time.Time) *nats.Msg {
	m := &nats.Msg{Subject: l.laterSubject(x.ID), Data: ready.Data, Header: nats.Header{}}
	m.Header.Set(codec.HeaderExclusive, "1")
	schedule(m, later(x.StartAt, now), l.dueSubject(x))
	expectNone(m)
	return m
}
