package index

import (
	"context"

	"github.com/durable-execution/durable/jsstore"
)

// few is how many messages are read to see which of them are there, where halving
// further would ask as much.
const few = 64

// reconcile removes what the bucket no longer holds. A tree that is deleted, and a
// key that vanishes otherwise than the index thinks, leaves nothing to be read; but
// the bucket counts its keys. Where it has fewer than the index knows of, the
// missing ones are found by counting halves: so many requests as there are gaps,
// times the logarithm of the size. Messages are what is counted there: where a program of
// an earlier version has left older revisions, which would hide as many gaps, it takes more.
func (w *writer) reconcile(ctx context.Context) error {
	// After all that the index knows of was read, so that what was written since can
	// only make the number larger.
	state, err := w.store.State(ctx, jsstore.Records)
	if err != nil {
		return err
	}
	known, err := w.all(ctx)
	if err != nil || known <= state.Subjects {
		return err
	}
	w.older = state.Messages - min(state.Subjects, state.Messages)
	return w.halve(ctx, 0, uint64(w.about[position(jsstore.Records)]), known)
}

// all returns how many keys the index takes to be in the bucket. It does not
// count the many that there are each time.
func (w *writer) all(ctx context.Context) (uint64, error) {
	var n int64
	err := w.conn.QueryRowContext(ctx, `SELECT
		(SELECT ifnull(sum(members), 0) FROM classes) - (SELECT count(*) FROM executions WHERE part IN (?, ?)) + (SELECT count(*) FROM keys)`,
		int(jsstore.Ready), int(jsstore.Timers)).Scan(&n)
	return uint64(max(n, 0)), err
}

// known returns how many messages of a range of sequences, both ends included, the
// index takes to be in the bucket.
func (w *writer) known(ctx context.Context, first, last uint64) (uint64, error) {
	var n uint64
	err := w.conn.QueryRowContext(ctx, `SELECT
		(SELECT count(*) FROM executions WHERE part = ?1 AND sequence BETWEEN ?2 AND ?3) +
		(SELECT count(*) FROM keys WHERE sequence BETWEEN ?2 AND ?3)`, int(jsstore.Records), first, last).Scan(&n)
	return n, err
}

// halve looks in a range of sequences, of which the index knows some, for those that
// the bucket has lost.
func (w *writer) halve(ctx context.Context, first, last, known uint64) error {
	if known == 0 {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	_, from, err := w.store.Remaining(ctx, jsstore.Records, first)
	if err != nil {
		return err
	}
	_, behind, err := w.store.Remaining(ctx, jsstore.Records, last+1)
	if err != nil {
		return err
	}
	switch there := from - min(behind, from); {
	case there >= known+w.older:
		return nil
	case there == 0, there <= few || first == last:
		return w.compare(ctx, first, last, there)
	}
	middle := first + (last-first)/2
	half, err := w.known(ctx, first, middle)
	if err != nil {
		return err
	}
	if err := w.halve(ctx, first, middle, half); err != nil {
		return err
	}
	return w.halve(ctx, middle+1, last, known-half)
}

// compare reads which sequences of a range the bucket has, and looks for what the
// index has besides. It asks the leader for each, since who answered may lag behind.
func (w *writer) compare(ctx context.Context, first, last, messages uint64) error {
	there := map[uint64]bool{}
	if messages > 0 {
		for m, err := range w.store.Messages(ctx, jsstore.Records, first, few) {
			if err != nil {
				return err
			}
			if m.Sequence > last {
				break
			}
			there[m.Sequence] = true
		}
	}
	return w.transact(ctx, func(ctx context.Context) error {
		list, err := w.rows("SELECT "+rowColumns+" FROM executions WHERE part = ? AND sequence BETWEEN ? AND ?", int(jsstore.Records), first, last)
		if err != nil {
			return err
		}
		for _, r := range list {
			if there[r.sequence] {
				continue
			}
			if ctx.Err() != nil {
				return nil // what is removed is removed
			}
			if err := w.lookFor(ctx, r); err != nil {
				return err
			}
		}
		return w.forgetKeys(first, last, there)
	})
}

func (w *writer) forgetKeys(first, last uint64, there map[uint64]bool) error {
	s, err := w.statement("SELECT key, sequence FROM keys WHERE sequence BETWEEN ? AND ?")
	if err != nil {
		return err
	}
	rows, err := s.Query(first, last)
	if err != nil {
		return err
	}
	defer rows.Close()
	var gone []string
	for rows.Next() {
		var key string
		var sequence uint64
		if err := rows.Scan(&key, &sequence); err != nil {
			return err
		}
		if !there[sequence] {
			gone = append(gone, key)
		}
	}
	for _, key := range gone {
		if _, err := w.exec("DELETE FROM keys WHERE key = ?", key); err != nil {
			return err
		}
		delete(w.strange, key)
	}
	return rows.Err()
}
