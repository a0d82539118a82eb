package jsstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/message"
)

// lookAt sets the timer that starts the next check of a tree. A root has one such timer: the
// latest call decides.
func (s *Store) lookAt(ctx context.Context, root string, at time.Time) error {
	if _, err := s.rpc.Publish(ctx, message.LookMessage(s.layout, root, at), nil); err != nil {
		return fmt.Errorf("timer for the tree of %s: %w", root, err)
	}
	return nil
}

// Expiries implements [engine.Store].
func (s *Store) Expiries(ctx context.Context) (engine.Feed[engine.ExpiryMessage], error) {
	return newFeed(ctx, s, func(m *nats.Msg, _ bool) (engine.ExpiryMessage, bool) {
		root, err := s.layout.RootToLookAt(m.Subject)
		if err != nil {
			s.layAside(m, err)
			return engine.ExpiryMessage{}, false
		}
		return engine.ExpiryMessage{Baton: &look{baton{s: s, m: m}, root}, Root: root, Deliveries: meta(m.Reply).deliveries}, true
	}, s.layout.ExpirySource())
}

// A look is the baton of an expiry message.
type look struct {
	baton
	root string
}

// Return implements [engine.Baton]. A check that is due much later waits in the timers and not
// in hand.
func (l *look) Return(ctx context.Context, at time.Time, recorded bool) error {
	if time.Until(at) < longNak {
		return l.baton.Return(ctx, at, recorded)
	}
	if err := l.s.lookAt(ctx, l.root, at); err != nil {
		return err
	}
	return l.Done(ctx)
}

// Delete implements [engine.Store]. The bucket has no consumers, so a purge is safe.
func (s *Store) Delete(ctx context.Context, root string, at engine.Revision) error {
	if err := engine.ValidateID(root); err != nil {
		return err
	}
	grave, err := s.putOver(ctx, message.GraveMessage(s.layout, root, message.GraveTTL), at, nil)
	if err != nil {
		return fmt.Errorf("delete %s: %w", root, err)
	}
	return s.purgeBelow(ctx, root, ">", grave)
}

// purgeBelow removes the keys below a root up to a revision.
func (s *Store) purgeBelow(ctx context.Context, root, which string, upTo engine.Revision) error {
	err := s.rpc.Change(ctx, "STREAM.PURGE."+s.layout.Records(), map[string]any{
		"filter": s.layout.RecordSubject(root) + "." + which, "seq": uint64(upTo),
	})
	if err != nil {
		return fmt.Errorf("delete the records below %s: %w", root, err)
	}
	return nil
}

// putOver is putMsg with one difference: it replaces a grave, and a record that should have
// been removed by now, unless that is the record of x itself, whose message was redelivered. A
// nil x means that m is a grave.
func (s *Store) putOver(ctx context.Context, m *nats.Msg, at engine.Revision, x *engine.Execution) (engine.Revision, error) {
	r, err := s.ns.PutMsg(ctx, m, at)
	if at != 0 || !errors.Is(err, engine.ErrConflict) {
		return r, err
	}
	last, lookErr := s.rpc.Last(ctx, s.layout.Records(), m.Subject)
	switch {
	case errors.Is(lookErr, engine.ErrNotFound):
		return s.ns.PutMsg(ctx, m, 0) // the grave has just vanished
	case lookErr != nil:
		return 0, lookErr
	case message.IsGrave(last) && (x == nil || last.Header.Get(jetstream.MsgTTLHeader) == message.GraveTTL):
		return s.ns.PutMsg(ctx, m, last.Revision())
	case message.IsGrave(last):
		return s.putOnGrave(ctx, m, x, last.Revision())
	}
	earlier, lookErr := message.DecodeRecord(last)
	switch {
	case lookErr != nil || !s.ns.Outlived(last, &earlier.Execution):
		return 0, err
	case x == nil:
		return s.ns.PutMsg(ctx, m, last.Revision())
	case earlier.SameLife(x):
		return 0, err
	}
	// In the order of Delete. This grave stays until a message that is still in hand must have
	// been redelivered.
	grave, err := s.ns.PutMsg(ctx, message.GraveMessage(s.layout, x.ID, message.Seconds(3*s.ns.Limits.Lease)), last.Revision())
	if err != nil {
		return 0, err
	}
	return s.putOnGrave(ctx, m, x, grave)
}

// putOnGrave writes the first record of a root whose id was used before. It removes the records
// below the earlier root, which would count as this root's children. It keeps the payloads,
// which may belong to this root: its input is stored before its message. They are deleted with
// this tree.
func (s *Store) putOnGrave(ctx context.Context, m *nats.Msg, x *engine.Execution, grave engine.Revision) (engine.Revision, error) {
	if err := s.purgeBelow(ctx, x.ID, "*", grave); err != nil {
		return 0, err
	}
	if err := s.lookAt(ctx, x.ID, time.Now().Add(strayPages)); err != nil {
		return 0, err
	}
	return s.ns.PutMsg(ctx, m, grave)
}
