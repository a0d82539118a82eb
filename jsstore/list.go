package jsstore

import (
	"context"
	"errors"
	"iter"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/message"
)

// List implements [engine.Store]. It reads the bucket, the queue and the timers by direct gets,
// which any replica may answer: it is a view.
func (s *Store) List(ctx context.Context, f engine.Filter) iter.Seq2[engine.Record, error] {
	return func(yield func(engine.Record, error) bool) {
		// Read the queue first: an execution that leaves the queue meanwhile is found in the
		// bucket. The bucket counts for executions that are in both.
		queued := map[string]engine.Record{}
		for _, place := range s.ns.QueuedUnder(f.Within()) {
			for m, err := range s.rpc.Scan(ctx, place.Stream, place.Subject) {
				if err != nil {
					yield(engine.Record{}, err)
					return
				}
				if d := message.ParseDue(s.layout, m); message.IsExecution(d) {
					queued[d.Execution.ID] = engine.Record{Execution: d.Execution}
				}
			}
		}
		for m, err := range s.ns.ScanLast(ctx, s.ns.RecordsUnder(f.Within())...) {
			if err == nil && s.ns.IsOwn(m) {
				continue
			}
			var r engine.Record
			if err == nil {
				r, err = s.ns.DecodeRecord(m)
			}
			if q, found := queued[r.ID]; found && errors.Is(err, engine.ErrNotFound) && r.SameLife(&q.Execution) {
				err = nil // gone, except that the message that led to it is still queued
			}
			if errors.Is(err, engine.ErrNotFound) || errors.Is(err, engine.ErrDamaged) {
				continue // deleted or gone; Aside lists the damaged ones
			}
			if err != nil && !errors.Is(err, engine.ErrNewer) {
				yield(engine.Record{}, err)
				return
			}
			delete(queued, r.ID)
			if f.Matches(r.Execution) && !yield(r, nil) {
				return
			}
		}
		for _, r := range queued {
			if f.Matches(r.Execution) && !yield(r, nil) {
				return
			}
		}
	}
}
