package index

import (
	"context"
	"database/sql"
	"errors"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/scan"
)

// slow is how many milliseconds the server may take to remove a message whose time to live has
// ended; usually it takes a quarter of a second. The message is counted for that long.
const slow = 1000

// forgetVanished removes executions whose time has ended.
func (w *writer) forgetVanished(ctx context.Context) error {
	for last := (row{}); ; {
		n := 0
		err := w.transact(ctx, func(ctx context.Context) error {
			gone, err := w.rows("SELECT "+rowColumns+" FROM executions WHERE vanishes <= ? AND (vanishes, key) > (?, ?) ORDER BY vanishes, key LIMIT ?",
				w.now, last.vanishes, last.key, forgotten)
			if err != nil {
				return err
			}
			n = len(gone)
			for _, r := range gone {
				if err := w.vanish(ctx, r); err != nil {
					return err
				}
				last = r
			}
			_, err = w.exec("DELETE FROM keys WHERE vanishes <= ?", w.now-slow)
			return err
		})
		if err != nil {
			return err
		}
		if n < forgotten {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// vanish removes an execution whose time has ended. Its message in the bucket is counted as
// long as it is still there.
func (w *writer) vanish(ctx context.Context, r row) error {
	if !r.lies {
		if err := w.lose(ctx, r); err != nil || r.vanishes+slow <= w.now {
			return err
		}
		return w.putKey(r.x.ID, r.sequence, r.vanishes)
	}
	var is *row
	if r.unsure() {
		var err error
		is, err = lookFor(ctx, w.store, r, w.now)
		if err != nil || is != nil && is.part == scan.Records {
			return err // the message that led to it is still queued
		}
	}
	if err := errors.Join(w.forgetRow(r), w.putKey(r.x.ID, r.sequence, 0)); err != nil || is == nil {
		return err
	}
	return w.put(ctx, *is)
}

// forgetBefore removes executions that are known by a message before the first one of an area.
func (w *writer) forgetBefore(p scan.Area, first uint64) error {
	for first > 1 {
		gone, err := w.rows("SELECT "+rowColumns+" FROM executions WHERE part = ? AND sequence BETWEEN 1 AND ? LIMIT ?", int(p), first-1, forgotten)
		if err != nil {
			return err
		}
		for _, r := range gone {
			if err := w.forgetRow(r); err != nil {
				return err
			}
		}
		if len(gone) < forgotten {
			break
		}
	}
	return nil
}

// forget removes an execution, if the index has its record. The queue may hold another
// execution with the same id, enqueued since.
func (w *writer) forget(ctx context.Context, id string) error {
	r, err := w.get(id)
	if errors.Is(err, sql.ErrNoRows) || err == nil && r.part != scan.Records {
		return nil
	}
	if err != nil {
		return err
	}
	return w.lose(ctx, r)
}

// lose removes an execution whose record is gone. If the message that queued it still exists,
// the execution is queued again: its executor died before the ack and the lease has not ended,
// or the id was enqueued again. If there is another record by now, catchUp has still to read
// it, and the row keeps the message that queued the execution.
func (w *writer) lose(ctx context.Context, r row) error {
	if err := w.forgetRow(r); err != nil || r.message == 0 {
		return err
	}
	if r.message == several {
		p, m, err := w.store.Scan().Queued(ctx, r.x.ID)
		if errors.Is(err, engine.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		is := queued(p, m)
		is.message = several
		return w.put(ctx, is)
	}
	p, sequence := scan.Area(r.message%2), r.message/2
	if sequence < w.state[p].First {
		return nil
	}
	for m, err := range w.store.Scan().Messages(ctx, p, sequence, 1) {
		if err != nil || m.Sequence != sequence {
			return err
		}
		return w.apply(ctx, p, m)
	}
	return nil
}

func (w *writer) forgetRow(r row) error {
	_, err := w.exec("DELETE FROM executions WHERE key = ?", r.key)
	w.classes.count(r.class, -1)
	return errors.Join(err, w.forgetMetadata(r), w.forgetError(r))
}

func (w *writer) forgetMetadata(r row) error {
	for key, value := range r.x.Metadata {
		if _, err := w.exec("DELETE FROM metadata WHERE name = ? AND value = ? AND made = ? AND execution = ?", key, value, r.x.CreatedAt.UnixMilli(), r.key); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) forgetError(r row) error {
	if errorOf(r.x) == "" {
		return nil
	}
	_, err := w.exec("DELETE FROM errors WHERE rowid = ?", r.key)
	return err
}

// forgetTree removes the executions of a deleted tree: those below its root that were recorded
// before the sequence.
func (w *writer) forgetTree(ctx context.Context, root string, before uint64) error {
	from, until := below(root)
	gone, err := w.rows("SELECT "+rowColumns+" FROM executions WHERE id >= ? AND id < ? AND part = ? AND sequence < ?",
		from, until, int(scan.Records), before)
	if err != nil {
		return err
	}
	for _, r := range gone {
		if err := w.lose(ctx, r); err != nil {
			return err
		}
	}
	_, err = w.exec("DELETE FROM keys WHERE key >= ? AND key < ? AND sequence < ?", from, until, before)
	return err
}

// below returns the range of the ids below a root: they have a . after the root's id, and / is
// the next character.
func below(root string) (from, until string) { return root + ".", root + "/" }
