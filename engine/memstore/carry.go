package memstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/durable-execution/durable/engine"
)

// Carry implements [engine.Store].
func (s *Store) Carry(ctx context.Context, effects ...engine.Effect) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	for _, e := range effects {
		if err := s.carry(e); err != nil {
			return fmt.Errorf("carry %T: %w", e, err)
		}
	}
	return nil
}

func (s *Store) carry(e engine.Effect) error {
	switch e := e.(type) {
	case engine.Requeue: // the holder of the message carries it out, by Return
	case engine.SpawnChildren:
		return s.spawnChildren(e)
	case engine.SpawnFinalize:
		return s.spawn(*e.Finalize, e.Again)
	case engine.TellParent:
		return s.tellParent(e.Closure)
	case engine.CancelBelow:
		for _, c := range e.Parent.CancelsBelow() {
			if err := s.cancel(c); err != nil {
				return err
			}
		}
	case engine.Withdraw:
		for _, r := range slices.Clone(s.ready[e.Execution.ID]) {
			r.message.remove()
		}
	case engine.Expire:
		s.expire(e)
	case engine.Announce:
		return s.announce(*e.Execution)
	default:
		return errors.New("unknown effect")
	}
	return nil
}

func (s *Store) spawnChildren(e engine.SpawnChildren) error {
	list, err := s.children(*e.Parent)
	if err != nil {
		return err
	}
	for _, child := range e.ToCreate(list) {
		if err := s.spawn(child, e.Again); err != nil {
			return err
		}
	}
	return nil
}

// spawn enqueues x. If x is queued already, an earlier call did that. This may happen even if
// again is false, because the answer to that call may have been lost.
func (s *Store) spawn(x engine.Execution, again bool) error {
	err := s.accept(engine.Due{Execution: x, Exclusive: again})
	if err != nil && !errors.Is(err, engine.ErrExists) {
		return fmt.Errorf("spawn %s: %w", x.ID, err)
	}
	return nil
}

func (s *Store) tellParent(c engine.Closure) error {
	if err := s.fits("output", c.Output.Data); err != nil {
		return err
	}
	data, err := engine.EncodeClosure(c)
	if err != nil {
		return err
	}
	if _, err := engine.DecodeClosure(data); err != nil {
		return err
	}
	s.closures.put(time.Time{}, "closures", c.Parent, func(b *baton[engine.ClosureMessage]) engine.ClosureMessage {
		c, _ := engine.DecodeClosure(bytes.Clone(data)) // succeeds, as it did above
		return engine.ClosureMessage{Baton: b, Closure: c, Again: b.delivery > 1, Deliveries: b.delivery}
	})
	return nil
}

// Cancel implements [engine.Store].
func (s *Store) Cancel(ctx context.Context, c engine.Cancel) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	return s.cancel(c)
}

func (s *Store) cancel(c engine.Cancel) error {
	data, err := engine.EncodeCancel(c)
	if err != nil {
		return err
	}
	if c, err = engine.DecodeCancel(data); err != nil { // receivers must get the decoded value
		return err
	}
	s.cancels.put(time.Time{}, "cancels", c.ID, func(b *baton[engine.CancelMessage]) engine.CancelMessage {
		return engine.CancelMessage{Baton: b, Cancel: c, Deliveries: b.delivery}
	})
	s.announceCancel(c)
	return nil
}
