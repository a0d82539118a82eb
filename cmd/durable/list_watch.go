package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/durable-execution/durable/engine"
)

// mostListed is how many executions a live list holds: more than a terminal has lines.
const mostListed = 1000

// watchList shows the newest executions of a list and keeps them up to date, until it is
// interrupted or the user types q. Without a terminal it prints a line for each execution, the
// oldest first, and then a line for each change.
func (a *app) watchList(ctx context.Context, s *store, q query) error {
	if s.own {
		return a.nobodyExecutes()
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// Subscribe before reading, so that no change in between is missed.
	changes, err := s.changes(ctx, q.filter.Within())
	if err != nil {
		return err
	}
	q.limit = min(cmp.Or(q.limit, mostListed), mostListed)
	var list []engine.Execution
	if _, err = a.search(ctx, s, q, func(more []engine.Execution) error {
		list = append(list, more...)
		return nil
	}); err != nil {
		return err
	}
	if a.json || !a.out.terminal {
		slices.Reverse(list)
		for c, err := range s.watched(ctx, list, changes, q.filter.Matches) {
			if err == nil {
				err = a.printChange(c)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	l := &listing{list: list, changed: make(chan struct{}, 1)}
	var following sync.WaitGroup
	defer following.Wait()
	defer stop()
	following.Go(func() { l.follow(changes, q.filter.Matches) })
	var lost vigil
	following.Go(func() {
		lost.keep(ctx, s, func() []engine.Execution { list, _ := l.now(); return list }, l.redraw)
	})
	return a.live(ctx, l.changed, func(on *app, v *viewport) (bool, error) {
		list, err := l.now()
		if err == nil {
			on.drawList(list, q.columns, lost.now(), v)
		}
		return false, err
	})
}

// drawList prints a heading and the executions of a live list.
func (a *app) drawList(list []engine.Execution, columns []column, lost engine.LostExecutors, v *viewport) {
	now := time.Now()
	list = slices.DeleteFunc(list, func(x engine.Execution) bool {
		return !v.shows(x.ID, x.Task, x.Queue, string(x.Status), x.Display(now, lost.Of(x) != nil), errorOf(x), pairsOf(x.Metadata))
	})
	fmt.Fprintln(a.out, snip(fmt.Sprintf("the newest %s; q ends, ? for help", grouped(len(list))), a.out.width()))
	table := a.fitting(a.executionsTable(list, columns, now, lost))
	v.head = 1
	if strings.HasPrefix(table, "EXECUTION") || len(columns) > 0 && strings.HasPrefix(table, strings.ToUpper(columns[0].name)) {
		v.head = 2
	}
	fmt.Fprintln(a.out, table)
}

// A listing is the state of a live list.
type listing struct {
	changed chan struct{} // receives a value after each change

	mu   sync.Mutex
	list []engine.Execution
	err  error
}

// now returns the current list, the newest execution first.
func (l *listing) now() ([]engine.Execution, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.list), l.err
}

func (l *listing) follow(changes func(func(engine.Execution, error) bool), matches func(engine.Execution) bool) {
	for x, err := range changes {
		l.mu.Lock()
		if l.err = err; err == nil {
			l.put(bare(x), matches(x))
		}
		l.mu.Unlock()
		l.redraw()
	}
}

// redraw asks for a redraw of the list.
func (l *listing) redraw() {
	select {
	case l.changed <- struct{}{}:
	default: // a redraw is pending already
	}
}

// put inserts an execution into the list, replaces it, or removes it if it does not belong
// there.
func (l *listing) put(x engine.Execution, belongs bool) {
	at, known := slices.BinarySearchFunc(l.list, x, engine.NewestFirst)
	switch {
	case known && belongs:
		l.list[at] = x
	case known:
		l.list = slices.Delete(l.list, at, at+1)
	case belongs && at < mostListed:
		l.list = slices.Insert(l.list, at, x)
		l.list = l.list[:min(len(l.list), mostListed)]
	}
}
