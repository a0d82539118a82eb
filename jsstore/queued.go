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
)

// Who has an id. The first message of it that the server has accepted, wherever it lies by
// now. While nothing is recorded:
//
//   - What lies in the timers came first, since only what has the id goes there (see
//     [baton.park]), and comes back from there (see Store.settle).
//   - Of what lies in the ready stream, the first message came first.
//
// An execution goes from the ready stream through the timers, and maybe the ready stream
// once more, into the bucket, and is in one of the places at any time: looking in that order
// finds it. The first of the ready stream has the id if it is the first still at the end: what
// came from the timers meanwhile has had it removed.

// queued returns the execution that has an id of which nothing is recorded, or
// ErrNotFound.
func (s *Store) queued(ctx context.Context, id string) (engine.Record, error) {
	ready := place{s.layout.ready(), s.layout.readyOf(id)}
	later, due := place{s.layout.timers(), s.layout.laterSubject(id)}, place{s.layout.timers(), s.layout.dueOf(id)}
	first, firstErr := s.execution(ctx, ready)
	for {
		// One that was due and that nobody could run has gone back to where it had not
		// been before, for a second at least.
		for _, p := range []place{later, due, later} {
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

// execution returns what the first message of a place holds, or ErrNotFound if that is no
// execution.
func (s *Store) execution(ctx context.Context, p place) (engine.Record, error) {
	m, err := s.first(ctx, p.stream, p.subject)
	if err != nil {
		return engine.Record{}, err
	}
	d := s.layout.parse(m)
	if !isExecution(d) {
		return engine.Record{}, engine.ErrNotFound
	}
	r := engine.Record{Execution: d.Execution, Queued: messageName(p.stream, m.Sequence)}
	if errors.Is(d.Invalid, engine.ErrNewer) {
		return r, d.Invalid
	}
	return r, nil
}

// isExecution reports whether a message holds an execution. One that can't be
// understood does, unless its id can't: an executor is about to record why.
func isExecution(d *engine.Delivery) bool {
	return !d.Hint && engine.ValidateID(d.Execution.ID) == nil
}

// messageName is what a delivery calls its message.
func messageName(stream string, sequence uint64) string {
	return stream + " " + strconv.FormatUint(sequence, 10)
}

// park moves a message to the timers, of an execution of which nothing is recorded. It
// reports false for one whose id is another's, which is not to get there, where it would
// count as the first.
func (b *baton) park(ctx context.Context, m *nats.Msg) (bool, error) {
	if b.exclusive {
		if isFirst, err := b.isFirst(ctx); err != nil || !isFirst {
			return false, err
		}
	}
	expectNone(m)
	_, err := b.s.publish(ctx, m, nil)
	if !errors.Is(err, engine.ErrConflict) {
		return err == nil, err
	}
	lies, err := b.s.last(ctx, b.s.layout.timers(), m.Subject)
	if errors.Is(err, engine.ErrNotFound) {
		return false, nil // it has just fired
	}
	if err != nil {
		return false, err
	}
	// An earlier delivery of this message, or an earlier try, has moved it.
	return bytes.Equal(lies.Data, m.Data) && lies.Header.Get(headerScheduleTarget) == m.Header.Get(headerScheduleTarget), nil
}

// isFirst reports whether the message, of which nothing is recorded, has its id. It looks in
// the order in which another goes that may be on its way: a message that went from the timers
// to the ready stream has had this one removed there (see Store.settle), and one that goes
// from there to the timers now is in the way of this one.
func (b *baton) isFirst(ctx context.Context) (bool, error) {
	s, about := b.s, meta(b.m.Reply)
	if about.stream != s.layout.ready() {
		return true, nil // it has been found to be, or it would not have come to the timers
	}
	for _, subject := range []string{s.layout.laterSubject(b.execution.ID), s.layout.dueOf(b.execution.ID)} {
		r, err := s.execution(ctx, place{s.layout.timers(), subject})
		switch {
		case errors.Is(err, engine.ErrNotFound):
		case err != nil && !errors.Is(err, engine.ErrNewer):
			return false, err
		default:
			return !(&engine.Delivery{Execution: *b.execution}).Later(r), nil // it may be a copy of this one
		}
	}
	first, err := s.first(ctx, s.layout.ready(), s.layout.readyOf(b.execution.ID))
	if errors.Is(err, engine.ErrNotFound) {
		return false, nil // it is there no more
	}
	return err == nil && first.Sequence == about.sequence, err
}

// postpone gives a ready message to the timers: clients can't, whose right to
// publish there would be the right to forge. A message that could not be given
// away comes again after the lease. One whose id is another's comes again at once, to be
// claimed early by somebody who finds that out, and can say so.
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

// settle sees to it that a message that came from the timers, and lies in the ready stream
// now, is the first of its id there. It is called before the message is put down that
// came: until then whoever claims another finds that one.
func (s *Store) settle(ctx context.Context, x *engine.Execution, sequence uint64) error {
	for {
		m, err := s.first(ctx, s.layout.ready(), s.layout.readyOf(x.ID))
		switch {
		case errors.Is(err, engine.ErrNotFound):
			return nil
		case err != nil:
			return err
		case m.Sequence >= sequence:
			return nil
		}
		if err := s.deleteMessage(ctx, s.layout.ready(), m.Sequence); err != nil {
			return fmt.Errorf("remove %s, whose id is that of %s: %w", m.Subject, s.layout.readySubject(x), err)
		}
		later := s.layout.parse(m).Execution
		s.log.Warn("message dropped: another with its id was accepted first", "execution", x.ID,
			"task", later.Task, "queue", later.Queue, "first task", x.Task, "first queue", x.Queue)
	}
}
