package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/durable-execution/durable/jsstore"
)

// ErrIncomplete is returned for an index whose first build has not completed.
var ErrIncomplete = errors.New("the index is not complete")

// An Index lists the executions of a namespace in a file. It is safe for concurrent use, in
// one process and in several.
type Index struct {
	store  *jsstore.Store
	path   string
	limits limits

	mu   sync.RWMutex // locked for writing while db is replaced
	db   *sql.DB
	file os.FileInfo // of db, as read by a holder of the lock file; nil before
}

// Open returns the index of a namespace in a file. It creates the file and its directory if
// they are missing. It reads nothing of the namespace: call [Index.CatchUp].
func Open(s *jsstore.Store, path string) (*Index, error) {
	db, err := connect(path)
	if err != nil {
		return nil, fmt.Errorf("open index %s: %w", path, err)
	}
	return &Index{store: s, path: path, limits: defaultLimits, db: db}, nil
}

// Close closes the file.
func (x *Index) Close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.db.Close()
}

// A Progress says how far an index has come.
type Progress struct {
	// Complete means that the index has been built as a whole at least once.
	Complete bool
	// Read is how many messages this call has read.
	Read uint64
	// Left is how many known messages no process has read yet. Zero means that the index
	// was up to date when the call ended.
	Left uint64
	// Elsewhere means that another process was writing, so that this call waited.
	Elsewhere bool
}

// CatchUp reads new messages of the namespace until the index is up to date, or until the
// given time, which is not an error; the zero time means no limit. It calls progress, if not
// nil, every now and then. If the process is killed, the index keeps what CatchUp has read.
//
// CatchUp replaces a file that is damaged, has another schema, or belongs to a namespace
// that was created again since. While another process writes, CatchUp waits.
func (x *Index) CatchUp(ctx context.Context, until time.Time, progress func(Progress)) (Progress, error) {
	ctx, cancel := within(ctx, until)
	defer cancel()
	if progress == nil {
		progress = func(Progress) {}
	}
	p, err := x.catchUp(ctx, progress)
	if err != nil && errors.Is(context.Cause(ctx), errTime) { // whatever error the interrupted call returned
		read, elsewhere := p.Read, p.Elsewhere
		p, err = x.state(context.WithoutCancel(ctx))
		p.Read, p.Elsewhere, p.Left = read, elsewhere, max(p.Left, 1)
	}
	if err != nil {
		return p, fmt.Errorf("index %s: %w", x.path, err)
	}
	return p, nil
}

var errTime = errors.New("time is over")

func within(ctx context.Context, until time.Time) (context.Context, context.CancelFunc) {
	if until.IsZero() {
		return ctx, func() {}
	}
	return context.WithDeadlineCause(ctx, until, errTime)
}

func (x *Index) catchUp(ctx context.Context, progress func(Progress)) (Progress, error) {
	if err := os.MkdirAll(filepath.Dir(x.path), 0o700); err != nil {
		return Progress{}, err
	}
	unlock, elsewhere, err := x.lock(ctx)
	if err != nil {
		return Progress{Elsewhere: elsewhere}, err
	}
	defer unlock()
	p, err := x.write(ctx, progress)
	if damaged(err) || lacking(err) {
		if err = x.replace(ctx); err == nil {
			p, err = x.write(ctx, progress)
		}
	}
	p.Elsewhere = elsewhere
	return p, err
}

// lock waits until no other process writes, and reports whether one did.
func (x *Index) lock(ctx context.Context) (unlock func(), waited bool, err error) {
	lock := flock.New(x.path + ".lock")
	got, err := lock.TryLock()
	if err == nil && !got {
		waited = true
		got, err = lock.TryLockContext(ctx, 20*time.Millisecond)
	}
	if err == nil && !got {
		err = fmt.Errorf("%s.lock is locked", x.path)
	}
	return func() { _ = lock.Unlock() }, waited, err // if this fails, closing the file unlocks it
}

// discard replaces a file that turned out to be damaged by an empty one.
func (x *Index) discard(ctx context.Context) error {
	unlock, _, err := x.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if x.seen() && x.moved() { // another process has replaced it
		return x.follow()
	}
	return x.replace(ctx)
}

// moved reports whether the file is a different one than see has noted, or see has noted none.
func (x *Index) moved() bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	is, err := os.Stat(x.path)
	return x.file == nil || err != nil || !os.SameFile(is, x.file)
}

func (x *Index) seen() bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.file != nil
}

// see notes the identity of the file.
func (x *Index) see() (err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.file, err = os.Stat(x.path)
	return err
}

// follow opens the current file if it is a different one: nobody else would see what is written
// to a removed file. The caller holds the lock.
func (x *Index) follow() error {
	if !x.moved() {
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.reconnect()
}

func (x *Index) reconnect() error {
	db, err := connect(x.path)
	if err != nil {
		return err
	}
	_ = x.db.Close() // its error no longer matters
	x.db, x.file = db, nil
	return nil
}

// write catches up. The caller holds the lock.
func (x *Index) write(ctx context.Context, progress func(Progress)) (Progress, error) {
	if err := x.follow(); err != nil {
		return Progress{}, err
	}
	ok, err := prepared(ctx, x.db)
	if err == nil && !ok {
		err = x.replace(ctx)
	}
	if err != nil {
		return Progress{}, err
	}
	if err := x.see(); err != nil {
		return Progress{}, err
	}
	w, err := x.writer(ctx)
	if err != nil {
		return Progress{}, err
	}
	defer w.close()
	anew, err := w.recognize(ctx)
	if err == nil && anew {
		w.close()
		if err = x.replace(ctx); err == nil {
			return x.write(ctx, progress)
		}
	}
	if err != nil {
		return Progress{}, err
	}
	w.progress = progress
	err = w.catchUp(ctx)
	return w.done, err
}

// replace creates a new file in place of the current one.
func (x *Index) replace(ctx context.Context) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	_ = x.db.Close() // its error no longer matters
	if err := remove(x.path); err != nil {
		return err
	}
	if err := x.reconnect(); err != nil {
		return err
	}
	return prepare(ctx, x.db)
}

// reader returns the database, and a function to call when it is no longer used.
func (x *Index) reader() (*sql.DB, func()) {
	x.mu.RLock()
	return x.db, x.mu.RUnlock
}

// prepared reports whether the database has this schema. It is for callers without the lock: it
// does not open a file that is missing or still empty, because two processes that create a
// database at the same time disturb each other.
func (x *Index) prepared(ctx context.Context, db *sql.DB) (bool, error) {
	if is, err := os.Stat(x.path); err != nil || is.Size() == 0 {
		return false, nil
	}
	return prepared(ctx, db)
}

// state says how far the index has come without writing to it.
func (x *Index) state(ctx context.Context) (Progress, error) {
	db, release := x.reader()
	defer release()
	var p Progress
	ok, err := x.prepared(ctx, db)
	if err != nil || !ok {
		return p, err
	}
	about, err := readAbout(ctx, db)
	if err != nil {
		return p, err
	}
	p.Complete = about[complete] != 0
	for _, part := range parts {
		_, left, err := x.store.Scan().Remaining(ctx, part, uint64(about[position(part)])+1)
		if err != nil {
			return p, err
		}
		p.Left += left
	}
	return p, nil
}
