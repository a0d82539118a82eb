package jsstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/durable-execution/durable/engine"
)

// changesEvery is how often Changes looks: often enough for people who watch.
const changesEvery = 200 * time.Millisecond

// changesShare is how many times as long as an answer took to begin the next look waits.
// Before it answers the server goes through all subjects of the bucket to count what is
// left (nats-server 2.15.2, fileStore.NumPending), and nobody writes meanwhile: who
// watched 350,000 records without a rest took nine tenths of a fleet's speed away.
const changesShare = 10

// everything is the subject that stands for a look at the whole bucket.
const everything = ""

// Changes returns the records of a tree, or of all, that are written from the time it
// returns on, in the order of their writes, until ctx ends, whose cause is then the last
// error. It is a view: of two states that follow each other within a fifth of a second
// it may show the latter alone, or within longer in a large bucket, and it does not tell
// of what is enqueued and of what is deleted. It reads like [Store.Messages] from where
// it was, which leaves nothing on the server, misses nothing while the connection is
// gone, and needs no right but to read.
func (s *Store) Changes(ctx context.Context, root string) (iter.Seq2[engine.Record, error], error) {
	state, err := s.State(ctx, Records)
	if err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	next := map[string]uint64{} // by subject: a write may come between the looks at two
	subjects := []string{everything}
	if root != "" {
		subjects = s.recordsUnder(root)
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
			case time.Since(failing) < Patience:
				err = nil // a server that restarts, or a leader that is elected
			}
			if err != nil {
				yield(engine.Record{}, fmt.Errorf("watch: %w", err))
				return
			}
			select {
			case <-time.After(max(changesEvery, changesShare*counting)):
			case <-s.requests.closed:
			case <-ctx.Done():
			}
		}
	}, nil
}

// changed returns what has been written under each subject since it was looked at, and
// how long answers took to begin.
func (s *Store) changed(ctx context.Context, next map[string]uint64) (list []engine.Record, counting time.Duration, err error) {
	for subject := range next {
		for more := true; more; {
			more = false // what comes while it looks is for the next look
			query := map[string]any{"seq": next[subject], "batch": directBatch, "max_bytes": directBytes}
			if subject != everything {
				query["next_by_subj"] = subject
			}
			asked, first := time.Now(), true
			for m, e := range s.directGet(ctx, s.layout.records(), query) {
				if first {
					counting, first = counting+time.Since(asked), false
				}
				if e != nil {
					err = e
					break
				}
				more, next[subject] = m.left > 0, m.Sequence+1
				// What can't be read, and what is deleted, is no state to show.
				if r := s.messageOf(Records, m).Record; r.ID != "" {
					list = append(list, r)
				}
			}
		}
	}
	slices.SortFunc(list, func(x, y engine.Record) int { return cmp.Compare(x.Revision, y.Revision) })
	return list, counting, err
}
