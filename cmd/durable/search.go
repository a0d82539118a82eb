package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/index"
)

// Where a list may be looked for.
const (
	viaAuto  = "auto"
	viaIndex = "index"
	viaScan  = "scan"
)

const (
	// large is how many messages a store has at least for which an index is built
	// unasked: to read fewer each time takes less than half a second.
	large = 20_000
	// silence is how long people wait without a word.
	silence = time.Second
	// catchingUp is how long a list waits for an index that has been complete once.
	catchingUp = 5 * time.Second
	// indexPage is how many executions are asked for at once where all are wanted.
	indexPage = 1000
)

// A found is what a query came to.
type found struct {
	total    int           // -1 if it is not known
	next     engine.Cursor // zero if nothing is left
	narrowed bool          // not all executions were wanted
}

// search gives show what the query selects, in the order of the list, and without
// payloads, so that a long list takes little memory; an index may call it more than
// once.
func (a *app) search(ctx context.Context, s *store, q query, show func([]engine.Execution) error) (found, error) {
	f, err := a.lookFor(ctx, s, q, show)
	f.narrowed = q.narrows()
	return f, err
}

func (a *app) lookFor(ctx context.Context, s *store, q query, show func([]engine.Execution) error) (found, error) {
	if q.via == viaScan {
		return scan(ctx, s, q, show)
	}
	path, err := a.indexPath()
	if q.via == viaAuto {
		use, e := worthAnIndex(ctx, s, path)
		if e == nil && !use {
			return scan(ctx, s, q, show)
		}
		err = cmp.Or(err, e)
	}
	var x *index.Index
	if err == nil {
		x, err = index.Open(s.js, path)
	}
	if err == nil {
		defer func() { _ = x.Close() }() // all that it has to keep is written
		err = a.catchUp(ctx, x)
	}
	if err == nil {
		return a.lookUp(ctx, x, q, show)
	}
	if q.via == viaIndex || ctx.Err() != nil {
		return found{}, &exitError{exitStore, err, "--via scan reads the store itself"}
	}
	a.note("without an index: %s", err.Error())
	return scan(ctx, s, q, show)
}

// note says on stderr what is not wrong and may surprise.
func (a *app) note(format string, args ...any) {
	fmt.Fprintf(a.err, "%s %s\n", a.err.paint(yellow, "note:"), oneLine(fmt.Sprintf(format, args...)))
}

// scan reads all that the store has.
func scan(ctx context.Context, s engine.Store, q query, show func([]engine.Execution) error) (found, error) {
	var list []engine.Execution
	for x, err := range engine.NewClient(s).List(ctx, q.filter) {
		if err != nil {
			return found{}, fmt.Errorf("list executions: %w", err)
		}
		list = append(list, bare(x))
	}
	slices.SortFunc(list, engine.NewestFirst)
	f := found{total: len(list)}
	first := slices.IndexFunc(list, q.cursor.Before)
	if first < 0 {
		first = len(list)
	}
	list = list[first:]
	if q.limit > 0 && len(list) > q.limit {
		list = list[:q.limit]
		f.next = engine.CursorOf(list[q.limit-1])
	}
	return f, show(list)
}

// lookUp asks the index. One that turns out to be damaged is built anew, once.
func (a *app) lookUp(ctx context.Context, x *index.Index, q query, show func([]engine.Execution) error) (found, error) {
	limit := q.limit
	if limit == 0 {
		limit = indexPage
	}
	f, again := found{}, false
	for {
		p, err := x.Find(ctx, q.filter, q.cursor, limit)
		if errors.Is(err, index.ErrIncomplete) && !again {
			if again, err = true, a.catchUp(ctx, x); err == nil {
				continue
			}
		}
		if err != nil {
			return f, err
		}
		if q.limit > 0 || f.total == 0 {
			f.total = p.Total
		}
		list := make([]engine.Execution, len(p.Executions))
		for i, r := range p.Executions {
			list[i] = r.Execution
		}
		if err := show(list); err != nil {
			return f, err
		}
		if q.cursor = p.Next; q.limit > 0 || q.cursor.ID == "" {
			f.next = p.Next
			return f, nil
		}
	}
}

// worthAnIndex reports whether there is an index, or so much in the store that there
// should be one.
func worthAnIndex(ctx context.Context, s *store, path string) (bool, error) {
	if _, err := os.Stat(path); err == nil {
		return true, nil
	}
	var messages uint64
	for _, p := range []jsstore.Area{jsstore.Ready, jsstore.Timers, jsstore.Records} {
		state, err := s.js.State(ctx, p)
		if err != nil {
			return false, err
		}
		messages += state.Messages
	}
	return messages >= large, nil
}

// indexPath is where the index of the store is: in the store's directory, or in that
// of the user's caches for a server elsewhere, by all that leads to the namespace there:
// in another account, or another domain, there is another one of that name.
func (a *app) indexPath() (string, error) {
	if a.server == "" {
		return filepath.Join(a.dir, "index", a.namespace+".db"), nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no directory for an index: %w", err)
	}
	way := []string{a.server, a.namespace}
	for _, f := range a.login.list() {
		if f.name != "password" { // which is of the same user
			way = append(way, *f.value)
		}
	}
	sum := sha256.Sum256([]byte(strings.Join(way, "\n")))
	return filepath.Join(cache, "durable", "index", hex.EncodeToString(sum[:8])+".db"), nil
}

// catchUp brings the index up to date: the first time as long as it takes, later for
// some seconds.
func (a *app) catchUp(ctx context.Context, x *index.Index) error {
	p, err := x.CatchUp(ctx, time.Now().Add(silence), nil)
	switch {
	case err != nil || p.Complete && p.Left == 0:
	case p.Complete:
		p, err = x.CatchUp(ctx, time.Now().Add(catchingUp), nil)
	default:
		p, err = a.build(ctx, x)
	}
	switch {
	case err != nil:
		return err
	case !p.Complete:
		return index.ErrIncomplete
	case p.Left > 0:
		a.note("the index is behind by %s; the list may lack them", count(int(p.Left), "change", "changes"))
	}
	return nil
}

// build builds the index and says so, since it takes a while: on a terminal in a line
// that moves.
func (a *app) build(ctx context.Context, x *index.Index) (index.Progress, error) {
	started, said := time.Now(), time.Time{}
	if !a.err.terminal {
		a.note("building the index, which takes a while once; --via scan does without")
	}
	var before uint64
	p, err := x.CatchUp(ctx, time.Time{}, func(p index.Progress) {
		before = p.Read
		if a.err.terminal && time.Since(said) > frame {
			said = time.Now()
			fmt.Fprintf(a.err, "\r\x1b[Kbuilding the index: %s read, %s to go", grouped(int(p.Read)), grouped(int(p.Left)))
		}
	})
	if a.err.terminal {
		fmt.Fprint(a.err, "\r\x1b[K")
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		return p, err
	}
	if err == nil {
		a.note("built the index: %s read in %s", grouped(int(max(p.Read, before))), span(time.Since(started)))
	}
	return p, err
}
