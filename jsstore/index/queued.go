package index

import (
	"context"
	"errors"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
)

// lookForQueued looks for some of the executions that are known by a message, and
// next time for others: what is set aside or purged leaves no record. There are few,
// or they move on by themselves.
func (w *writer) lookForQueued(ctx context.Context) error {
	return w.transact(ctx, func(ctx context.Context) error {
		for _, p := range []jsstore.Area{jsstore.Ready, jsstore.Timers} {
			list, err := w.rows("SELECT "+rowColumns+" FROM executions WHERE part = ? AND sequence >= ? ORDER BY sequence LIMIT ?",
				int(p), w.about[looked(p)], lookedFor)
			if err != nil {
				return err
			}
			next := int64(0) // from the beginning again
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

// lookFor writes what became of an execution, if it is not where the index has it.
func (w *writer) lookFor(ctx context.Context, r row) error {
	is, err := lookFor(ctx, w.store, r, w.now)
	if err != nil {
		return err
	}
	switch {
	case is == nil:
		return w.forgetRow(r)
	case is.part == r.part && is.sequence == r.sequence, is.part == jsstore.Records:
		return nil // as it was; or there is a record, which is still to be read
	}
	if err := w.forgetRow(r); err != nil { // whatever the parts are
		return err
	}
	return w.put(ctx, *is)
}

// lookFor returns r as it is now, and nil if it is no longer there. The part and
// the sequence are those of r if it is where it was, and not over.
func lookFor(ctx context.Context, s *jsstore.Store, r row, now int64) (*row, error) {
	if !r.over(now) {
		there, err := s.Holds(ctx, r.part, r.sequence)
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
		r.x, r.part, r.sequence = brief(is.Execution), jsstore.Records, uint64(is.Revision)
		return &r, nil
	}
	p, m, err := s.Queued(ctx, r.x.ID)
	if errors.Is(err, engine.ErrNotFound) {
		return nil, nil // it has just left: there is a record, which is still to be read
	}
	if err != nil {
		return nil, err
	}
	q := queued(p, m)
	q.message = several // it is another than there was, and not for certain the only one
	return &q, nil
}
