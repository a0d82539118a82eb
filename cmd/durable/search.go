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
	"github.com/durable-execution/durable/jsstore/index"
	"github.com/durable-execution/durable/jsstore/scan"
)

// The values of --via: where list searches.
const (
	viaAuto  = "auto"
	viaIndex = "index"
	viaScan  = "scan"
)

const (
	// large is the number of messages from which on list builds an index of its own accord.
	// Reading a smaller store takes less than half a second.
	large = 20_000
	// silence is how long the command catches up before it tells the user that it takes time.
	silence = time.Second
	// catchingUp is how long a list waits until a complete index is up to date.
	catchingUp = 5 * time.Second
	// indexPage is how many executions one query of the index returns if there is no limit.
	indexPage = 1000
)

// A found summarises the result of a query.
type found struct {
	total    int           // -1 if unknown
	next     engine.Cursor // of the next page; zero on the last
	narrowed bool          // the query did not ask for all executions
}

// search calls show with the executions that the query selects, in the order of the list.
// They come without payloads, so that a long list takes little memory. With an index it may
// call show more than once.
func (a *app) search(ctx context.Context, s *store, q query, show func([]engine.Execution) error) (found, error) {
	f, err := a.lookFor(ctx, s, q, show)
	f.narrowed = q.narrows()
	return f, err
}

func (a *app) lookFor(ctx context.Context, s *store, q query, show func([]engine.Execution) error) (found, error) {
	if q.via == viaScan {
		return searchAll(ctx, s, q, show)
	}
	path, err := a.indexPath()
	if q.via == viaAuto {
		use, e := worthAnIndex(ctx, s, path)
		if e == nil && !use {
			return searchAll(ctx, s, q, show)
		}
		err = cmp.Or(err, e)
	}
	var x *index.Index
	if err == nil {
		x, err = index.Open(s.js, path)
	}
	if err == nil {
		defer func() { _ = x.Close() }() // each update has been written already
		err = a.catchUp(ctx, x)
	}
	if err == nil {
		return a.lookUp(ctx, x, q, show)
	}
	if q.via == viaIndex || ctx.Err() != nil {
		return found{}, &exitError{exitStore, err, "--via scan reads the whole store instead"}
	}
	a.note("can't use the index, reading the whole store: %s", err.Error())
	return searchAll(ctx, s, q, show)
}

// note prints information for the user on stderr.
func (a *app) note(format string, args ...any) {
	fmt.Fprintf(a.err, "%s %s\n", a.err.paint(yellow, "note:"), oneLine(fmt.Sprintf(format, args...)))
}

// searchAll answers the query by reading every execution of the store.
func searchAll(ctx context.Context, s engine.Store, q query, show func([]engine.Execution) error) (found, error) {
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

// lookUp answers the query from the index. If the index turns out to be damaged, lookUp
// rebuilds it once.
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

// worthAnIndex reports whether an index exists, or the store is large enough to build one.
func worthAnIndex(ctx context.Context, s *store, path string) (bool, error) {
	if _, err := os.Stat(path); err == nil {
		return true, nil
	}
	var messages uint64
	for _, p := range []scan.Area{scan.Ready, scan.Timers, scan.Records} {
		state, err := s.js.Scan().State(ctx, p)
		if err != nil {
			return false, err
		}
		messages += state.Messages
	}
	return messages >= large, nil
}

// indexPath returns the file of the store's index: in the store's directory or, for a server
// elsewhere, in the user's cache directory. There the name is a hash of everything that
// selects the namespace, because another account or domain may have a namespace of the same
// name.
func (a *app) indexPath() (string, error) {
	if a.server == "" {
		return filepath.Join(a.dir, "index", a.namespace+".db"), nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a directory for the index: %w", err)
	}
	way := []string{a.server, a.namespace}
	for _, f := range a.login.list() {
		if f.name != "password" { // a new password does not change what the user sees
			way = append(way, *f.value)
		}
	}
	sum := sha256.Sum256([]byte(strings.Join(way, "\n")))
	return filepath.Join(cache, "durable", "index", hex.EncodeToString(sum[:8])+".db"), nil
}

// catchUp brings the index up to date. The first time it takes as long as it needs; later
// it stops after some seconds and notes how far the index is behind.
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
		a.note("the index is %s behind: the list may be out of date", count(int(p.Left), "change", "changes"))
	}
	return nil
}

// build builds the index. It tells the user, because it takes a while: on a terminal with a
// line that it updates.
func (a *app) build(ctx context.Context, x *index.Index) (index.Progress, error) {
	started, said := time.Now(), time.Time{}
	if !a.err.terminal {
		a.note("building the index, which takes a while the first time; --via scan works without it")
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
