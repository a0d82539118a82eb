package jsstore

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/message"
)

// enqueueBelow enqueues executions that have derived ids. An execution that exists already
// under such an id is the same one, so this is no error.
//
// The limit of the ready stream is meant for new roots. The server can't tell new roots from
// executions that belong to accepted work, and refuses both. So enqueueBelow puts a refused
// execution into the timers, which have no limit, and makes it due at once: executors take due
// timers along with ready messages, and executors of earlier versions do so too. If the spawn
// waited for room instead, it could wait for ever: the parent's own message takes up room.
func (s *Store) enqueueBelow(ctx context.Context, dues []engine.Due) error {
	ms := make([]*nats.Msg, len(dues))
	errs := s.rpc.PublishEach(ctx, ms, func(i int) (err error) {
		ms[i], err = s.ready(ctx, &dues[i])
		return err
	}, message.Exclusive)
	var refused []*nats.Msg
	for i, err := range errs {
		switch {
		case errors.Is(err, engine.ErrExists):
			errs[i] = nil
		case errors.Is(err, engine.ErrQueueFull):
			errs[i] = nil
			refused = append(refused, message.DueAtOnce(s.layout, ms[i], &dues[i].Execution, time.Now()))
		}
	}
	return errors.Join(append(errs, s.enqueueBeside(ctx, refused)...)...)
}

// enqueueBeside publishes timers without replacing existing ones: a timer that an id has
// already is the same one.
func (s *Store) enqueueBeside(ctx context.Context, timers []*nats.Msg) []error {
	errs := s.rpc.PublishAll(ctx, timers, nil)
	for i, err := range errs {
		if errors.Is(err, engine.ErrConflict) {
			errs[i] = nil
		}
	}
	return errs
}
