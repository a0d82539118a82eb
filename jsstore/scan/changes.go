package scan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/rpc"
)

// changesEvery is how often Changes polls: often enough for people who watch.
const changesEvery = 200 * time.Millisecond

// changesShare says how long Changes waits between two polls: this many times the time until
// the first byte of the last answer. Before the server answers, it goes through all subjects of
// the bucket to count the remaining messages (nats-server 2.15.2, fileStore.NumPending), and
// nobody can write meanwhile: watching 350,000 records without a pause made a fleet ten times
// slower.
const changesShare = 10

// everything is the subject that stands for the whole bucket.
const everything = ""

// Changes returns the records of a tree, or of all trees if root is empty, that are written
// after it returns, in the order of their writes. It ends when ctx ends; the last error is then
// ctx's cause. It is a view: if two writes follow each other within a fifth of a second, or
// within longer in a large bucket, it may show the latter alone, and it does not show enqueued
// or deleted executions. It polls like [Scanner.Messages] from its last position. So it leaves
// nothing on the server, misses nothing while the connection is lost, and needs only the right
// to read.
func (s *Scanner) Changes(ctx context.Context, root string) (iter.Seq2[engine.Record, error], error) {
	state, err := s.State(ctx, Records)
	if err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	next := map[string]uint64{} // by subject: a write may come between the polls of two subjects
	subjects := []string{everything}
	if root != "" {
		subjects = s.ns.RecordsUnder(root)
	}
	for _, subject := range subjects {
		next[subject] = state.Last + 1
	}
	return func(yield func(engine.Record, error) bool) {
		failing := time.Time{}
		for {
			changed, counting, err := s.changed(ctx, next)
			for _, r := range changed {
				if !yield(r, nil) {
					return
				}
			}
			switch {
			case ctx.Err() != nil:
				err = context.Cause(ctx)
			case err == nil:
				failing = time.Time{}
			case errors.Is(err, engine.ErrClosed):
			case failing.IsZero():
				failing, err = time.Now(), nil
			case time.Since(failing) < rpc.Patience:
				err = nil // the server restarts, or a leader is being elected
			}
			if err != nil {
				yield(engine.Record{}, fmt.Errorf("watch: %w", err))
				return
			}
			select {
			case <-time.After(max(changesEvery, changesShare*counting)):
			case <-s.rpc.Done():
			case <-ctx.Done():
			}
		}
	}, nil
}

// changed returns the records that have been written under each subject since the last poll,
// and how long it took until the answers began.
func (s *Scanner) changed(ctx context.Context, next map[string]uint64) (list []engine.Record, counting time.Duration, err error) {
	for subject := range next {
		for more := true; more; {
			more = false // records that are written during this poll wait for the next one
			query := map[string]any{"seq": next[subject], "batch": rpc.DirectBatch, "max_bytes": rpc.DirectBytes}
			if subject != everything {
				query["next_by_subj"] = subject
			}
			asked, first := time.Now(), true
			for m, e := range s.rpc.DirectGet(ctx, s.layout.Records(), query) {
				if first {
					counting, first = counting+time.Since(asked), false
				}
				if e != nil {
					err = e
					break
				}
				more, next[subject] = m.Left > 0, m.Sequence+1
				// A damaged or deleted record has no state to show.
				if r := s.messageOf(Records, m).Record; r.ID != "" {
					list = append(list, r)
				}
			}
		}
	}
	slices.SortFunc(list, func(x, y engine.Record) int { return cmp.Compare(x.Revision, y.Revision) })
	return list, counting, err
}
