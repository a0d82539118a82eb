package jsstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"strings"

	"github.com/durable-execution/durable/engine"
)

// One direct get requests at most this many messages and bytes: otherwise the server would send
// more than a slow connection may have pending before the server closes it (max_pending, 64
// MB). For each request the server counts the remaining messages, which takes time in
// proportion to the stream (nats-server 2.15.2, fileStore.NumPending): many small requests take
// quadratic time.
const (
	directBatch = 20_000
	directBytes = 16 << 20
)

// List implements [engine.Store]. It reads the bucket, the queue and the timers by direct gets,
// which any replica may answer: it is a view.
func (s *Store) List(ctx context.Context, f engine.Filter) iter.Seq2[engine.Record, error] {
	return func(yield func(engine.Record, error) bool) {
		// Read the queue first: an execution that leaves the queue meanwhile is found in the
		// bucket. The bucket counts for executions that are in both.
		queued := map[string]engine.Record{}
		for _, place := range s.queuedUnder(f.Within()) {
			for m, err := range s.scan(ctx, place.stream, place.subject) {
				if err != nil {
					yield(engine.Record{}, err)
					return
				}
				if d := parseDue(s.layout, m); isExecution(d) {
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
func (s *Store) isOwn(m *stored) bool {
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

// scan returns the messages of a stream that match a subject, in order.
func (s *Store) scan(ctx context.Context, stream, subject string) iter.Seq2[*stored, error] {
	return s.scanFrom(ctx, stream, subject, 1, 0)
}

// scanFrom returns the messages of a stream at or after a sequence, in order, whose subject
// matches; an empty subject matches all. It requests batch messages at a time; zero means
// directBatch.
func (s *Store) scanFrom(ctx context.Context, stream, subject string, seq uint64, batch int) iter.Seq2[*stored, error] {
	query := map[string]any{"seq": max(seq, 1), "batch": batch, "max_bytes": directBytes}
	if batch == 0 {
		query["batch"] = directBatch
	}
	if subject != "" {
		query["next_by_subj"] = subject
	}
	return func(yield func(*stored, error) bool) {
		for query := maps.Clone(query); ; {
			n := 0
			for m, err := range s.directGet(ctx, stream, query) {
				if err != nil {
					yield(nil, err)
					return
				}
				n, query["seq"] = n+1, m.Sequence+1
				if !yield(m, nil) {
					return
				}
			}
			if n == 0 {
				return
			}
		}
	}
}

// lastOf returns the last message of each of up to 1,024 subjects, in no particular order. It
// leaves out subjects without a message, and some others if all do not fit into one answer.
func (s *Store) lastOf(ctx context.Context, stream string, subjects []string) iter.Seq2[*stored, error] {
	return s.directGet(ctx, stream, map[string]any{"multi_last": subjects, "max_bytes": directBytes})
}

// directGet requests several messages from any replica. If the header block of a message can't
// be trusted and the query starts at a sequence, it gets the message from the leader instead.
// If the query asks for the last messages of several subjects, it leaves the message out.
func (s *Store) directGet(ctx context.Context, stream string, query map[string]any) iter.Seq2[*stored, error] {
	return func(yield func(*stored, error) bool) {
		body, err := json.Marshal(query)
		if err != nil {
			yield(nil, err)
			return
		}
		if err := s.usable(ctx); err != nil {
			yield(nil, err)
			return
		}
		name := s.apiName + "DIRECT.GET." + stream
		answers, err := s.requests.ask(name, body)
		if err != nil {
			yield(nil, s.unanswered(ctx, name, err))
			return
		}
		defer answers.end()
		failed := func(err error) { yield(nil, fmt.Errorf("read %s: %w", stream, err)) }
		subject, _ := query["next_by_subj"].(string)
		from, inOrder := query["seq"].(uint64)
		left := uint64(0) // after the previous message
		for {
			m, err := answers.next(ctx)
			if err == nil {
				err = noResponders(m)
			}
			if err != nil {
				failed(s.unanswered(ctx, name, err))
				return
			}
			a, err := readDirect(m)
			switch {
			case errors.Is(err, errUnsure) && !inOrder:
				continue
			case errors.Is(err, errUnsure):
				a.m, err = s.from(ctx, stream, subject, from)
				if errors.Is(err, engine.ErrNotFound) {
					continue // the message has just been removed
				}
				if err == nil {
					a.m.left = max(left, 1) - 1
				}
			case err == nil && (a.status == "204" || a.status == "404"): // the end; nothing
				return
			case err == nil && a.m == nil:
				err = fmt.Errorf("%s %s", a.status, a.about)
			}
			if err != nil {
				failed(err)
				return
			}
			if inOrder && a.m.Sequence < from {
				continue // the leader returned this one already, because the message before it was removed
			}
			from, left = a.m.Sequence+1, a.m.left
			if !yield(a.m, nil) {
				return
			}
		}
	}
}
