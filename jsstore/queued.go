package jsstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/message"
	"github.com/durable-execution/durable/jsstore/internal/namespace"
)

// Which message has an id: the first one with that id that the server accepted, wherever it is
// now. While nothing is recorded:
//
//   - A message in the timers came first, since only the message that has the id is moved there (see
//     [baton.park]), and back from there (see Store.settle).
//   - Among the messages in the ready stream, the first one came first.
//
// An execution moves from the ready stream through the timers, and maybe through the ready
// stream once more, into the bucket. It is in one of them at any time, so a search in that
// order finds it. The first message in the ready stream has the id only if it is still the
// first at the end of the search: a message that came back from the timers meanwhile has
// removed it.

// queued returns the execution that has an id about which nothing is recorded, or ErrNotFound.
func (s *Store) queued(ctx context.Context, id string) (engine.Record, error) {
	ready := namespace.Place{Stream: s.layout.Ready(), Subject: s.layout.ReadyOf(id)}
	later, due := namespace.Place{Stream: s.layout.Timers(), Subject: s.layout.LaterSubject(id)}, namespace.Place{Stream: s.layout.Timers(), Subject: s.layout.DueOf(id)}
	first, firstErr := s.execution(ctx, ready)
	for {
		// If a due execution could not be run, it has returned to the first of these subjects,
		// for a second at least.
		for _, p := range []namespace.Place{later, due, later} {
			r, err := s.execution(ctx, p)
			if !errors.Is(err, engine.ErrNotFound) {
				return r, err
			}
		}
		if firstErr != nil && !errors.Is(firstErr, engine.ErrNewer) {
			return engine.Record{}, firstErr
		}
		now, err := s.execution(ctx, ready)
		if err != nil && !errors.Is(err, engine.ErrNewer) && !errors.Is(err, engine.ErrNotFound) {
			return engine.Record{}, err
		}
		if now.Queued == first.Queued {
			return first, firstErr
		}
		first, firstErr = now, err
	}
}

// execution returns the execution in the first message of a place, or ErrNotFound if the
// message holds none.
func (s *Store) execution(ctx context.Context, p namespace.Place) (engine.Record, error) {
	m, err := s.rpc.First(ctx, p.Stream, p.Subject)
	if err != nil {
		return engine.Record{}, err
	}
	d := message.ParseDue(s.layout, m)
	if !message.IsExecution(d) {
		return engine.Record{}, engine.ErrNotFound
	}
	r := engine.Record{Execution: d.Execution, Queued: messageName(p.Stream, m.Sequence)}
	if errors.Is(d.Invalid, engine.ErrNewer) {
		return r, d.Invalid
	}
	return r, nil
}

// messageName returns the name that a delivery has for its message.
func messageName(stream string, sequence uint64) string {
	return stream + " " + strconv.FormatUint(sequence, 10)
}

// park moves the message of an unrecorded execution to the timers. It returns false if the id
// belongs to another message: there, this one would count as the first.
func (b *baton) park(ctx context.Context, m *nats.Msg) (bool, error) {
	if b.exclusive {
		if isFirst, err := b.isFirst(ctx); err != nil || !isFirst {
			return false, err
		}
	}
	message.ExpectNone(m)
	_, err := b.s.rpc.Publish(ctx, m, nil)
	if !errors.Is(err, engine.ErrConflict) {
		return err == nil, err
	}
	lies, err := b.s.rpc.Last(ctx, b.s.layout.Timers(), m.Subject)
	if errors.Is(err, engine.ErrNotFound) {
		return false, nil // the timer has just fired
	}
	if err != nil {
		return false, err
	}
	// An earlier delivery of this message, or an earlier try, has moved it.
	return bytes.Equal(lies.Data, m.Data) && lies.Header.Get(message.HeaderScheduleTarget) == m.Header.Get(message.HeaderScheduleTarget), nil
}

// isFirst reports whether this message of an unrecorded execution has its id. It searches in
// the order in which another message moves. If that one has returned from the timers to the
// ready stream, it has removed this one there (see Store.settle). If it is moving from there to
// the timers now, it precedes this one in the ready stream.
func (b *baton) isFirst(ctx context.Context) (bool, error) {
	s, about := b.s, meta(b.m.Reply)
	if about.stream != s.layout.Ready() {
		return true, nil // that was checked before it came to the timers
	}
	for _, subject := range []string{s.layout.LaterSubject(b.execution.ID), s.layout.DueOf(b.execution.ID)} {
		r, err := s.execution(ctx, namespace.Place{Stream: s.layout.Timers(), Subject: subject})
		switch {
		case errors.Is(err, engine.ErrNotFound):
		case err != nil && !errors.Is(err, engine.ErrNewer):
			return false, err
		default:
			return !(&engine.Delivery{Execution: *b.execution}).Later(r), nil // that one may be a copy of this message
		}
	}
	first, err := s.rpc.First(ctx, s.layout.Ready(), s.layout.ReadyOf(b.execution.ID))
	if errors.Is(err, engine.ErrNotFound) {
		return false, nil // the message is gone
	}
	return err == nil && first.Sequence == about.sequence, err
}

// postpone moves a ready message to the timers. Clients can't publish there: with that right
// they could forge timers. If the move fails, the server redelivers the message after the
// lease. If the id belongs to another message, this one is redelivered at once: an executor
// then claims it early, notices that, and can report it.
func (s *Store) postpone(b *baton, at time.Time) {
	s.errands.run(func() {
		m := b.timerFor(at, false)
		if m == nil {
			_ = s.nak(b.m, time.Until(at))
			return
		}
		ctx := context.Background()
		switch parked, err := b.park(ctx, m); {
		case err != nil:
		case parked:
			_ = b.Done(ctx)
		default:
			s.contested.Store(b.m.Subject, true)
			_ = s.nak(b.m, 0)
		}
	})
}

// settle ensures that a message that came from the timers and is now in the ready stream is the
// first with its id there. Call it before acknowledging the delivered message: until then,
// anybody who claims another message with the id finds that one.
func (s *Store) settle(ctx context.Context, x *engine.Execution, sequence uint64) error {
	for {
		m, err := s.rpc.First(ctx, s.layout.Ready(), s.layout.ReadyOf(x.ID))
		switch {
		case errors.Is(err, engine.ErrNotFound):
			return nil
		case err != nil:
			return err
		case m.Sequence >= sequence:
			return nil
		}
		if err := s.rpc.DeleteMessage(ctx, s.layout.Ready(), m.Sequence); err != nil {
			return fmt.Errorf("remove %s, which has the id of %s: %w", m.Subject, s.layout.ReadySubject(x), err)
		}
		later := message.ParseDue(s.layout, m).Execution
		s.log.Warn("message dropped: another with its id was accepted first", "execution", x.ID,
			"task", later.Task, "queue", later.Queue, "first task", x.Task, "first queue", x.Queue)
	}
}
