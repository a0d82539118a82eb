package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/api"
	"github.com/durable-execution/durable/jsstore/index"
)

const (
	// indexEvery is how often serve brings its index up to date without a request, so that a
	// request finds few changes to catch up with.
	indexEvery = 5 * time.Second
	// indexShare limits how much these updates cost the fleet: serve waits at least this many
	// times as long as the last update took.
	indexShare = 10
)

// An indexed answers the API's lists from an index that it keeps up to date.
type indexed struct {
	app      *app
	x        *index.Index
	complete atomic.Bool
	rebuild  chan struct{} // asks keep to rebuild the index
}

// serveIndex opens the index in a file and keeps it up to date until stop is called. Until
// the index is built, lists read the whole store.
func (a *app) serveIndex(s *store, file string) (i *indexed, stop func(), err error) {
	x, err := index.Open(s.js, file)
	if err != nil {
		return nil, nil, &exitError{exitStore, err, ""}
	}
	i = &indexed{app: a, x: x, rebuild: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	var keeping sync.WaitGroup
	keeping.Go(func() { i.keep(ctx) })
	return i, func() {
		cancel()
		keeping.Wait()
		_ = x.Close() // each update has been written already
	}, nil
}

// Find implements [api.Index].
func (i *indexed) Find(ctx context.Context, f engine.Filter, after engine.Cursor, limit int) ([]engine.Execution, uint64, error) {
	if !i.complete.Load() {
		return nil, 0, api.ErrNoIndex
	}
	p, err := i.x.CatchUp(ctx, time.Now().Add(catchingUp), nil)
	if err != nil {
		return nil, 0, err
	}
	page, err := i.x.Find(ctx, f, after, limit)
	if errors.Is(err, index.ErrIncomplete) { // the index was damaged, and has been discarded
		i.complete.Store(false)
		select {
		case i.rebuild <- struct{}{}:
		default:
		}
	}
	if err != nil {
		return nil, 0, err
	}
	list := make([]engine.Execution, len(page.Executions))
	for k, r := range page.Executions {
		list[k] = r.Execution
	}
	return list, p.Left, nil
}

// keep builds the index and brings it up to date, until ctx ends.
func (i *indexed) keep(ctx context.Context) {
	said := "" // the last error that was printed: do not repeat it
	for {
		began := time.Now()
		p, err := i.x.CatchUp(ctx, time.Time{}, nil)
		if ctx.Err() != nil {
			return
		}
		fails := ""
		if err != nil {
			fails = err.Error()
		} else if !i.complete.Swap(true) {
			i.app.note("the index is complete: %s read in %s", grouped(int(p.Read)), span(time.Since(began)))
		}
		if fails != "" && fails != said {
			i.app.note("can't update the index, so lists read the whole store: %s", fails)
		}
		said = fails
		select {
		case <-time.After(max(indexEvery, min(indexShare*time.Since(began), time.Minute))):
		case <-i.rebuild:
		case <-ctx.Done():
			return
		}
	}
}
