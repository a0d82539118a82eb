package index

import (
	"context"
	"errors"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/scan"
)

// lookForQueued looks up some of the executions that are known by a message, and others the
// next time: messages that are set aside or purged leave no record. There are few such
// executions, or they move on by themselves.
func (w *writer) lookForQueued(ctx context.Context) error {
	return w.transact(ctx, func(ctx context.Context) error {
		for _, p := range []scan.Area{scan.Ready, scan.Timers} {
			list, err := w.rows("SELECT "+rowColumns+" FROM executions WHERE part = ? AND sequence >= ? ORDER BY sequence LIMIT ?",
				int(p), w.about[looked(p)], lookedFor)
			if err != nil {
				return err
			}
			next := int64(0) // start at the beginning again
			if len(list) == lookedFor {
				next = int64(list[lookedFor-1].sequence) + 1
			}
			for _, r := range list {
				if err := w.lookFor(ctx, r); err != nil {
					return err
				}
			}
			if err := w.set(looked(p), next); err != nil {
				return err
			}
		}
		return nil
	})
}

// lookFor updates an execution if it has left the position that the index has.
func (w *writer) lookFor(ctx context.Context, r row) error {
	is, err := lookFor(ctx, w.store, r, w.now)
	if err != nil {
		return err
	}
	switch {
	case is == nil:
		return w.forgetRow(r)
	case is.part == r.part && is.sequence == r.sequence, is.part == scan.Records:
		return nil // unchanged; or there is a record, which is still to be read
	}
	if err := w.forgetRow(r); err != nil { // whatever the areas are
		return err
	}
	return w.put(ctx, *is)
}

// lookFor returns r in its current state, or nil if it no longer exists. The area and the
// sequence stay the same if it is still there and not over.
func lookFor(ctx context.Context, s *jsstore.Store, r row, now int64) (*row, error) {
	if !r.over(now) {
		there, err := s.Scan().Holds(ctx, r.part, r.sequence)
		if there || err != nil {
			return &r, err
		}
	}
	is, err := s.Get(ctx, r.x.ID)
	switch {
	case errors.Is(err, engine.ErrNotFound), errors.Is(err, engine.ErrDamaged):
		return nil, nil
	case err != nil && !errors.Is(err, engine.ErrNewer):
		return nil, err
	}
	if is.Revision != 0 {
		r.x, r.part, r.sequence = brief(is.Execution), scan.Records, uint64(is.Revision)
		return &r, nil
	}
	p, m, err := s.Scan().Queued(ctx, r.x.ID)
	if errors.Is(err, engine.ErrNotFound) {
		return nil, nil // it has just moved: there is a record, which is still to be read
	}
	if err != nil {
		return nil, err
	}
	q := queued(p, m)
	q.message = several // it is a different one, and perhaps not the only one
	return &q, nil
}
