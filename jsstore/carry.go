package jsstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/message"
	"github.com/durable-execution/durable/jsstore/internal/rpc"
)

// Enqueue implements [engine.Store].
func (s *Store) Enqueue(ctx context.Context, due ...engine.Due) error {
	ms, limit := make([]*nats.Msg, len(due)), s.ns.Limits.Payload
	var errs []error
	for i, err := range s.rpc.PublishEach(ctx, ms, func(i int) (err error) {
		if n := len(due[i].Input.Data); n > limit {
			return fmt.Errorf("%w: input of %d bytes, the limit is %d", engine.ErrTooLarge, n, limit)
		}
		ms[i], err = s.ready(ctx, &due[i])
		return err
	}, message.Exclusive) {
		if err == nil {
			continue
		}
		// The message was sent twice and refused. Nobody else has an id that is not exclusive,
		// so the stored message is our own first one.
		if errors.Is(err, engine.ErrExists) && !due[i].Exclusive && ms[i].Header.Get(codec.HeaderExclusive) != "" {
			continue
		}
		errs = append(errs, &engine.EnqueueError{Index: i, ID: due[i].ID, Err: err})
	}
	return errors.Join(errs...)
}

// ready returns the ready message of an execution. It stores a long input under keys of its
// own.
func (s *Store) ready(ctx context.Context, d *engine.Due) (*nats.Msg, error) {
	input, err := s.keep(ctx, d.ID, d.Input)
	if err != nil {
		return nil, err
	}
	if !input.Equal(d.Input) {
		kept := *d
		kept.Input, d = input, &kept
	}
	return message.ReadyMessage(s.layout, d), nil
}

// Cancel implements [engine.Store]. The message is stored for the one executor that will carry
// it out, and all executors hear it as it passes.
func (s *Store) Cancel(ctx context.Context, c engine.Cancel) error {
	return s.cancel(ctx, []engine.Cancel{c})
}

func (s *Store) cancel(ctx context.Context, list []engine.Cancel) error {
	ms := make([]*nats.Msg, len(list))
	for i, c := range list {
		data, err := engine.EncodeCancel(c)
		if err != nil {
			return err
		}
		ms[i] = &nats.Msg{Subject: s.layout.CancelSubject(c.ID), Data: data}
	}
	return errors.Join(s.rpc.PublishAll(ctx, ms, nil)...)
}

// Carry implements [engine.Store].
func (s *Store) Carry(ctx context.Context, effects ...engine.Effect) error {
	for _, f := range effects {
		if err := s.carry(ctx, f); err != nil {
			return fmt.Errorf("carry out %T: %w", f, err)
		}
	}
	return nil
}

func (s *Store) carry(ctx context.Context, f engine.Effect) error {
	switch f := f.(type) {
	case engine.SpawnChildren:
		return s.spawn(ctx, f)
	case engine.SpawnFinalize:
		return s.enqueueBelow(ctx, []engine.Due{{Execution: *f.Finalize, Exclusive: f.Again}})
	case engine.TellParent:
		var err error
		c := f.Closure
		if c.Output, err = s.keep(ctx, c.Parent, c.Output); err != nil {
			return err
		}
		data, err := engine.EncodeClosure(c)
		if err != nil {
			return err
		}
		_, err = s.rpc.Publish(ctx, &nats.Msg{Subject: s.layout.ClosureSubject(f.Closure.Parent), Data: data}, nil)
		return err
	case engine.CancelBelow:
		return s.cancel(ctx, f.Parent.CancelsBelow())
	case engine.Withdraw:
		return s.withdraw(ctx, *f.Execution)
	case engine.Expire:
		if at, ends := f.LookAt(s.Limits()); ends {
			return s.lookAt(ctx, f.Execution.Root(), at)
		}
		return nil
	case engine.Announce:
		return s.announce(f.Execution)
	case engine.Requeue:
		return nil // the holder of the baton returns it
	}
	return errors.New("not an effect that a store carries out")
}

func (s *Store) spawn(ctx context.Context, f engine.SpawnChildren) error {
	spawns, err := s.Spawns(ctx, *f.Parent)
	if err != nil {
		return err
	}
	children := f.ToCreate(spawns)
	dues := make([]engine.Due, len(children))
	for i, child := range children {
		dues[i] = engine.Due{Execution: child, Exclusive: f.Again}
	}
	return s.enqueueBelow(ctx, dues)
}

// withdraw removes all messages of an id from the queues and the timers: the execution's own,
// and later ones with the same id, whatever their queue or task, because the execution had the
// id first. An executor that already holds such a message has heard of the cancellation.
func (s *Store) withdraw(ctx context.Context, x engine.Execution) error {
	if err := s.remove(ctx, s.layout.Ready(), s.layout.ReadyOf(x.ID)); err != nil {
		return err
	}
	// No consumer takes these subjects, so a purge is safe.
	if err := s.rpc.Change(ctx, "STREAM.PURGE."+s.layout.Timers(), map[string]any{"filter": s.layout.LaterSubject(x.ID)}); err != nil {
		return err
	}
	return s.remove(ctx, s.layout.Timers(), s.layout.DueOf(x.ID))
}

// remove removes all messages of a subject one by one, if a consumer takes that subject. A
// purge would be a single request, but would lose messages of other executions: nats-server
// (2.15.2, consumer.purge) moves the consumer's ack floor up to the purged messages in hand,
// past messages of other subjects that are in hand too, and never redelivers a message below
// the floor.
func (s *Store) remove(ctx context.Context, stream, subject string) error {
	for tried := uint64(0); ; {
		m, err := s.rpc.Last(ctx, stream, subject)
		if errors.Is(err, engine.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		err = s.rpc.Change(ctx, "STREAM.MSG.DELETE."+stream, map[string]any{"seq": m.Sequence, "no_erase": true})
		if err != nil && m.Sequence == tried { // otherwise another process may have been faster
			return fmt.Errorf("%s: %w", subject, err)
		}
		tried = m.Sequence
	}
}

// maxNotice is how many bytes a notice to waiters may have. They read a longer outcome
// themselves.
const maxNotice = 64 << 10

func (s *Store) announce(x *engine.Execution) error {
	if len(x.Spawns) > 0 {
		y := *x
		x, y.Spawns = &y, nil
	}
	// Nobody may be listening, and a notice may get lost: waiters also check the record
	// themselves.
	notice := nats.Msg{Subject: s.layout.EndedSubject(x.ID)}
	var buffer *[]byte
	if len(x.Input.Data)+len(x.Output.Data) <= maxNotice {
		buffer = rpc.TakeBuffer()
		data, err := engine.EncodeRecordIn(*buffer, x)
		if err != nil {
			return err
		}
		if notice.Data = data; len(data) > maxNotice {
			notice.Data, buffer = nil, nil
		}
	}
	s.rpc.Send(notice, buffer)
	return nil
}
