package index

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"strings"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/scan"
)

// A row is an execution in the index.
type row struct {
	key      int64
	part     scan.Area
	sequence uint64
	message  uint64 // see tables
	vanishes int64  // when it stops to count; 0 means never
	lies     bool   // then its record stays in the bucket nevertheless, until it is deleted
	class    int64
	x        engine.Execution
}

// over reports whether the execution no longer counts at a time, in milliseconds.
func (r row) over(now int64) bool { return r.vanishes > 0 && r.vanishes <= now }

// unsure reports whether an execution that is over may count nevertheless, or be queued again:
// then the namespace must be asked.
func (r row) unsure() bool { return r.lies && r.message != 0 }

// brief returns what the index keeps of an execution: the fields that lists show, without
// payloads.
func brief(x engine.Execution) engine.Execution {
	x.Input, x.Output = engine.Execution{}.Input, engine.Execution{}.Output
	x.Spawns, x.Steps, x.Finalize, x.History, x.Unknown = nil, nil, nil, nil, nil
	return x
}

// apply writes the content of one message.
func (w *writer) apply(ctx context.Context, p scan.Area, m scan.Message) error {
	x := m.Record.Execution
	switch {
	case p != scan.Records && x.ID == "":
		return nil // a hint about a recorded execution, or a message that starts nothing
	case p != scan.Records:
		return w.put(ctx, queued(p, m))
	case x.ID == "":
		return w.putOther(ctx, m)
	}
	if w.strange[m.Key] {
		if _, err := w.exec("DELETE FROM keys WHERE key = ?", m.Key); err != nil {
			return err
		}
		delete(w.strange, m.Key)
	}
	r := row{part: p, sequence: m.Sequence, vanishes: millis(m.Vanishes), x: x}
	if !m.Gone.IsZero() {
		r.vanishes, r.lies = m.Gone.UnixMilli()+1, true
	}
	return w.put(ctx, r)
}

// several replaces the message of an execution for which more than one was seen. Only the
// namespace knows which of them still exist.
const several = 1

// queued returns the row of an execution that is known by a message.
func queued(p scan.Area, m scan.Message) row {
	return row{part: p, sequence: m.Sequence, message: 2*m.Sequence + uint64(p), x: brief(m.Record.Execution)}
}

// putOther writes a message of the bucket that is not an execution. If the key was an
// execution, that no longer exists.
func (w *writer) putOther(ctx context.Context, m scan.Message) error {
	if !strings.Contains(m.Key, "=") {
		if err := w.forget(ctx, m.Key); err != nil {
			return err
		}
	}
	if m.Deleted && !strings.Contains(m.Key, ".") {
		if err := w.forgetTree(ctx, m.Key, m.Sequence); err != nil {
			return err
		}
	}
	return w.putKey(m.Key, m.Sequence, millis(m.Vanishes))
}

// putKey counts a message of the bucket that is not an execution, or no longer one.
func (w *writer) putKey(key string, sequence uint64, vanishes int64) error {
	_, err := w.exec("INSERT OR REPLACE INTO keys (key, sequence, vanishes) VALUES (?, ?, ?)", key, sequence, null(vanishes))
	if !strings.Contains(key, "=") {
		w.strange[key] = true
	}
	return err
}

// put writes an execution. Most executions are new.
func (w *writer) put(ctx context.Context, r row) error {
	r.x = brief(r.x)
	r.class = w.classes.number(classOf(r.x))
	kept := r.x
	if !kept.Status.Valid() {
		kept.Status = engine.Ready // the status of a later version; the class has it
	}
	data, err := engine.EncodeRecord(kept)
	if err != nil {
		return err
	}
	columns := []any{r.x.ID, int(r.part), r.sequence, r.message, r.class, r.x.CreatedAt.UnixMilli(), null(millis(r.x.StartedAt)), null(millis(r.x.FinishedAt)),
		null(r.vanishes), r.lies, nullText(r.x.Parent), sql.NullInt64{Int64: 1, Valid: r.x.Failure != nil}, data}
	done, err := w.exec(`INSERT OR IGNORE INTO executions
		(id, part, sequence, message, class, created, started, finished, vanishes, lies, parent, failed, record) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, columns...)
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); n == 1 || err != nil {
		r.key, err = done.LastInsertId()
		return errors.Join(err, w.putBeside(r, nil))
	}
	was, err := w.get(r.x.ID)
	if err != nil {
		return err
	}
	if r.part < was.part && was.part != scan.Records || r.part == was.part && r.sequence < was.sequence {
		// If one id has two messages, the one in the later area counts, as in a scan.
		there, err := w.store.Scan().Holds(ctx, was.part, was.sequence)
		if there && r.message != 0 {
			_, err = w.exec("UPDATE executions SET message = ? WHERE key = ?", several, was.key)
		}
		if there || err != nil {
			return err
		}
	}
	if r.part != scan.Records && was.part == scan.Records {
		// The message of an execution that is under way, or of an id that was enqueued again.
		// In the second case the earlier record may be gone.
		recorded := !was.x.Status.Finished()
		if !recorded {
			now, err := w.store.Get(ctx, r.x.ID)
			if err != nil && !errors.Is(err, engine.ErrNotFound) && !errors.Is(err, engine.ErrDamaged) && !errors.Is(err, engine.ErrNewer) {
				return err
			}
			recorded = now.Revision != 0
		}
		if recorded {
			message := r.message
			if was.message != 0 && was.message != r.message {
				message = several
			}
			_, err := w.exec("UPDATE executions SET message = ? WHERE key = ?", message, was.key)
			return err
		}
		if was.lies {
			if err := w.putKey(was.x.ID, was.sequence, 0); err != nil {
				return err
			}
		}
	}
	switch {
	case r.message == 0:
		columns[3] = was.message
	case was.message == several, was.part == scan.Records && was.message != 0 && was.message != r.message:
		columns[3] = several
	case was.part != scan.Records && was.message != r.message: // usually, it has moved from one area to the next
		there, err := w.store.Scan().Holds(ctx, was.part, was.sequence)
		if err != nil {
			return err
		}
		if there {
			columns[3] = several
		}
	}
	_, err = w.exec(`UPDATE executions SET id = ?, part = ?, sequence = ?, message = ?, class = ?, created = ?, started = ?, finished = ?, vanishes = ?, lies = ?,
		parent = ?, failed = ?, record = ? WHERE key = ?`, append(columns, was.key)...)
	r.key = was.key
	return errors.Join(err, w.putBeside(r, &was))
}

// putBeside writes what the other tables hold about an execution. was is the previous row, or
// nil.
func (w *writer) putBeside(r row, was *row) error {
	w.classes.count(r.class, 1)
	var old row
	if was != nil {
		old = *was
		w.classes.count(old.class, -1)
	}
	if !maps.Equal(old.x.Metadata, r.x.Metadata) || !old.x.CreatedAt.Equal(r.x.CreatedAt) {
		if err := w.forgetMetadata(old); err != nil {
			return err
		}
		for key, value := range r.x.Metadata {
			if _, err := w.exec("INSERT INTO metadata (name, value, made, execution) VALUES (?, ?, ?, ?)", key, value, r.x.CreatedAt.UnixMilli(), r.key); err != nil {
				return err
			}
		}
	}
	if before, after := errorOf(old.x), errorOf(r.x); before != after {
		if err := w.forgetError(old); err != nil {
			return err
		}
		if after != "" {
			if _, err := w.exec("INSERT INTO errors (rowid, text) VALUES (?, ?)", r.key, after); err != nil {
				return err
			}
		}
	}
	return nil
}

// errorOf returns the text by which an execution is found.
func errorOf(x engine.Execution) string {
	if x.Failure == nil {
		return ""
	}
	return strings.ToLower(x.Failure.Message)
}

const rowColumns = "key, part, sequence, message, ifnull(vanishes, 0), lies, class, record"

func (w *writer) get(id string) (row, error) {
	return w.classes.row(w.row("SELECT "+rowColumns+" FROM executions WHERE id = ?", id).Scan)
}

func (w *writer) rows(query string, args ...any) ([]row, error) {
	s, err := w.statement(query)
	if err != nil {
		return nil, err
	}
	found, err := s.Query(args...)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var list []row
	for found.Next() {
		r, err := w.classes.row(found.Scan)
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, found.Err()
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func null(n int64) sql.NullInt64       { return sql.NullInt64{Int64: n, Valid: n != 0} }
func nullText(s string) sql.NullString { return sql.NullString{String: s, Valid: s != ""} }
