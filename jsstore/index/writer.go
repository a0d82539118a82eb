package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/scan"
)

// The areas in the order in which they must be read: see [scan.Area].
var parts = []scan.Area{scan.Ready, scan.Timers, scan.Records}

// The names in the table about: the sequence up to which an area has been read, its time of
// creation in nanoseconds, and whether everything was read once.
const complete = "complete"

// The limits of the namespace, in milliseconds, are in the table too.
const (
	lease     = "lease"
	retention = "retention"
)

func position(p scan.Area) string { return "position." + p.String() }
func created(p scan.Area) string  { return "created." + p.String() }
func looked(p scan.Area) string   { return "looked." + p.String() }

type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func readAbout(ctx context.Context, db queryer) (map[string]int64, error) {
	rows, err := db.QueryContext(ctx, "SELECT name, value FROM about")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	about := map[string]int64{}
	for rows.Next() {
		var name string
		var value int64
		if err := rows.Scan(&name, &value); err != nil {
			return nil, err
		}
		about[name] = value
	}
	return about, rows.Err()
}

// A writer brings an index up to date. It lives for one call, because another process may
// write before the next call.
type writer struct {
	store    *jsstore.Store
	batch    int // messages in one transaction
	conn     *sql.Conn
	tx       *sql.Tx
	prepared map[string]*sql.Stmt // statements of the transaction, which closes them

	about   map[string]int64
	state   [3]scan.State // by part
	classes *classes
	strange map[string]bool // keys in the table keys that look like ids: graves, and unreadable records
	now     int64
	older   uint64 // revisions in the bucket that are not the last of their keys
	lagging uint64 // parts of which a replica lags behind

	done     Progress
	progress func(Progress)
}

func (x *Index) writer(ctx context.Context) (*writer, error) {
	w := &writer{store: x.store, batch: x.limits.batch, now: time.Now().UnixMilli(), progress: func(Progress) {}}
	var err error
	if w.conn, err = x.db.Conn(ctx); err != nil {
		return nil, err
	}
	if w.about, err = readAbout(ctx, w.conn); err == nil {
		w.classes, err = readClasses(ctx, w.conn)
	}
	if err == nil {
		err = w.readStrange(ctx)
	}
	if err != nil {
		w.close()
		return nil, err
	}
	w.done.Complete = w.about[complete] != 0
	return w, nil
}

func (w *writer) close() {
	_ = w.conn.Close() // returns it to the pool; it may have been closed before
}

// recognize reads the state of the streams, and reports whether the index belongs to another
// namespace of the same name: its streams were created again, or restored from a backup. An
// index with other limits, by which rows reach the end of their time, counts as another's.
func (w *writer) recognize(ctx context.Context) (anew bool, err error) {
	for _, p := range parts {
		if w.state[p], err = w.store.Scan().State(ctx, p); err != nil {
			return false, err
		}
		was, known := w.about[created(p)]
		if known && was != w.state[p].Created.UnixNano() || uint64(w.about[position(p)]) > w.state[p].Last {
			anew = true
		}
	}
	l := w.store.Limits()
	for name, is := range map[string]int64{lease: l.Lease.Milliseconds(), retention: l.Retention.Milliseconds()} {
		was, known := w.about[name]
		if anew = anew || known && was != is; known || anew {
			continue
		}
		if err := w.transact(ctx, func(context.Context) error { return w.set(name, is) }); err != nil {
			return false, err
		}
	}
	return anew, nil
}

// transact runs do in a transaction.
func (w *writer) transact(ctx context.Context, do func(context.Context) error) error {
	// Not with ctx: its end would roll back a transaction that is almost done.
	tx, err := w.conn.BeginTx(context.WithoutCancel(ctx), nil)
	if err != nil {
		return err
	}
	w.tx, w.prepared = tx, map[string]*sql.Stmt{}
	kept := w.classes.clone()
	if err = do(ctx); err == nil {
		err = w.classes.write(w)
	}
	if err == nil {
		err = tx.Commit()
	}
	if err != nil {
		_ = tx.Rollback() // the first error tells more
		w.classes = kept
		return err
	}
	return nil
}

// exec runs a statement, which is prepared only once.
func (w *writer) exec(query string, args ...any) (sql.Result, error) {
	s, err := w.statement(query)
	if err != nil {
		return nil, err
	}
	return s.Exec(args...)
}

func (w *writer) row(query string, args ...any) *sql.Row {
	s, err := w.statement(query)
	if err != nil {
		return w.tx.QueryRow(query, args...) // which fails in the same way
	}
	return s.QueryRow(args...)
}

func (w *writer) statement(query string) (*sql.Stmt, error) {
	if s := w.prepared[query]; s != nil {
		return s, nil
	}
	s, err := w.tx.Prepare(query)
	if err == nil {
		w.prepared[query] = s
	}
	return s, err
}

func (w *writer) set(name string, value int64) error {
	_, err := w.exec("INSERT OR REPLACE INTO about (name, value) VALUES (?, ?)", name, value)
	if err == nil {
		w.about[name] = value
	}
	return err
}

// errDamaged says that a row has an impossible value.
var errDamaged = errors.New("the file is damaged")

// damaged reports whether err says that the file is not an intact database.
func damaged(err error) bool {
	var s *sqlite.Error
	if !errors.As(err, &s) {
		return errors.Is(err, errDamaged)
	}
	switch s.Code() & 0xff {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT:
		return true
	}
	return false
}

// lacking reports whether err says that the database lacks some of its tables.
func lacking(err error) bool {
	var s *sqlite.Error
	return errors.As(err, &s) && s.Code()&0xff == sqlite3.SQLITE_ERROR
}

func (w *writer) readStrange(ctx context.Context) error {
	w.strange = map[string]bool{}
	// The keys of executions have no = in them.
	rows, err := w.conn.QueryContext(ctx, "SELECT key FROM keys WHERE instr(key, '=') = 0")
	if err != nil {
		return fmt.Errorf("read keys: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var key string
		if err := rows.Scan(&key); err != nil {
			return err
		}
		w.strange[key] = true
	}
	return rows.Err()
}
