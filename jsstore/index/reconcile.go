package index

import (
	"context"

	"github.com/durable-execution/durable/jsstore/scan"
)

// few is how many messages are read to see which of them exist. Further bisection would take as
// many requests.
const few = 64

// reconcile removes what the bucket no longer holds. A deleted tree, and a key that vanishes
// earlier than the index expects, leave nothing to read; but the bucket counts its keys. If it
// has fewer than the index knows, bisection finds the missing ones: the number of requests is
// the number of gaps times the logarithm of the size. The server counts messages, not keys.
// Older revisions left by a program of an earlier version would hide as many gaps, so with them
// it takes more requests.
func (w *writer) reconcile(ctx context.Context) error {
	// Read the state after the index has read everything it knows: writes since then can only
	// make the number larger.
	state, err := w.store.Scan().State(ctx, scan.Records)
	if err != nil {
		return err
	}
	known, err := w.all(ctx)
	if err != nil || known <= state.Subjects {
		return err
	}
	w.older = state.Messages - min(state.Subjects, state.Messages)
	return w.halve(ctx, 0, uint64(w.about[position(scan.Records)]), known)
}

// all returns how many keys the index expects in the bucket. It does not count the many
// executions each time.
func (w *writer) all(ctx context.Context) (uint64, error) {
	var n int64
	err := w.conn.QueryRowContext(ctx, `SELECT
		(SELECT ifnull(sum(members), 0) FROM classes) - (SELECT count(*) FROM executions WHERE part IN (?, ?)) + (SELECT count(*) FROM keys)`,
		int(scan.Ready), int(scan.Timers)).Scan(&n)
	return uint64(max(n, 0)), err
}

// known returns how many messages the index expects in the bucket from one sequence to another,
// inclusive.
func (w *writer) known(ctx context.Context, first, last uint64) (uint64, error) {
	var n uint64
	err := w.conn.QueryRowContext(ctx, `SELECT
		(SELECT count(*) FROM executions WHERE part = ?1 AND sequence BETWEEN ?2 AND ?3) +
		(SELECT count(*) FROM keys WHERE sequence BETWEEN ?2 AND ?3)`, int(scan.Records), first, last).Scan(&n)
	return n, err
}

// halve searches a range of sequences for those that the bucket has lost; known is how many the
// index knows in that range.
func (w *writer) halve(ctx context.Context, first, last, known uint64) error {
	if known == 0 {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	_, from, err := w.store.Scan().Remaining(ctx, scan.Records, first)
	if err != nil {
		return err
	}
	_, behind, err := w.store.Scan().Remaining(ctx, scan.Records, last+1)
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

// compare reads which sequences of a range the bucket has, and looks up the others that the
// index knows. It asks the leader about each, since the replica that answered may lag behind.
func (w *writer) compare(ctx context.Context, first, last, messages uint64) error {
	there := map[uint64]bool{}
	if messages > 0 {
		for m, err := range w.store.Scan().Messages(ctx, scan.Records, first, few) {
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
		list, err := w.rows("SELECT "+rowColumns+" FROM executions WHERE part = ? AND sequence BETWEEN ? AND ?", int(scan.Records), first, last)
		if err != nil {
			return err
		}
		for _, r := range list {
			if there[r.sequence] {
				continue
			}
			if ctx.Err() != nil {
				return nil // what was removed stays removed
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
