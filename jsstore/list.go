package jsstore

import (
	"context"
	"errors"
	"iter"
	"strings"

	"github.com/durable-execution/durable/jsstore/internal/message"

	"github.com/durable-execution/durable/jsstore/internal/rpc"

	"github.com/durable-execution/durable/engine"
)

// List implements [engine.Store]. It reads the bucket, the queue and the timers by direct gets,
// which any replica may answer: it is a view.
func (s *Store) List(ctx context.Context, f engine.Filter) iter.Seq2[engine.Record, error] {
	return func(yield func(engine.Record, error) bool) {
		// Read the queue first: an execution that leaves the queue meanwhile is found in the
		// bucket. The bucket counts for executions that are in both.
		queued := map[string]engine.Record{}
		for _, place := range s.queuedUnder(f.Within()) {
			for m, err := range s.rpc.Scan(ctx, place.stream, place.subject) {
				if err != nil {
					yield(engine.Record{}, err)
					return
				}
				if d := message.ParseDue(s.layout, m); message.IsExecution(d) {
					queued[d.Execution.ID] = engine.Record{Execution: d.Execution}
				}
			}
		}
		for m, err := range s.scanLast(ctx, s.recordsUnder(f.Within())...) {
			if err == nil && s.isOwn(m) {
				continue
			}
			var r engine.Record
			if err == nil {
				r, err = s.decodeRecord(m)
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

// isOwn reports whether a message of the bucket belongs to the namespace itself and is no
// record.
func (s *Store) isOwn(m *rpc.Stored) bool {
	return strings.HasPrefix(strings.TrimPrefix(m.Subject, s.layout.RecordPrefix()), "=")
}

type place struct{ stream, subject string }

func (s *Store) queuedUnder(root string) []place {
	ids := []string{">"}
	if root != "" {
		ids = []string{root, root + ".*"}
	}
	var list []place
	for _, id := range ids {
		list = append(list,
			place{s.layout.Ready(), s.layout.ReadyOf(id)},
			place{s.layout.Timers(), s.layout.LaterSubject(id)},
			place{s.layout.Timers(), s.layout.DueOf(id)})
	}
	return list
}

// recordsUnder returns the subjects of records: the key of a root has one token, the keys below
// it have two. A longer key is no record.
func (s *Store) recordsUnder(root string) []string {
	if root == "" {
		root = "*"
	}
	return []string{s.layout.RecordSubject(root), s.layout.RecordSubject(root + ".*")}
}
