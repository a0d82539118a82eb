package main

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/durable-execution/durable/engine"
)

// lost returns which executors are lost among those that run executions of the list. It
// returns none if it can't ask: a view without them is better than no view.
func (s *store) lost(ctx context.Context, list []engine.Execution) engine.LostExecutors {
	lost, err := s.lookout.Find(ctx, list)
	if err != nil {
		return nil
	}
	return lost
}

// lostOf is lost for all that runs, where the roll was called already.
func (s *store) lostOf(ctx context.Context, present []engine.Answer) (engine.LostExecutors, error) {
	running, err := s.js.Running(ctx)
	if err != nil {
		return nil, err
	}
	lost, err := s.lookout.FindAmong(ctx, running, present)
	if err != nil && ctx.Err() == nil {
		return nil, nil // as above
	}
	return lost, err
}

// A vigil looks every second which executors are lost while a view is shown.
type vigil struct {
	found atomic.Pointer[engine.LostExecutors]
}

// now returns what was found last.
func (v *vigil) now() engine.LostExecutors {
	if l := v.found.Load(); l != nil {
		return *l
	}
	return nil
}

// keep looks until ctx ends, at what shown returns, and calls changed after each look.
func (v *vigil) keep(ctx context.Context, s *store, shown func() []engine.Execution, changed func()) {
	for ctx.Err() == nil {
		began := time.Now()
		lost := s.lost(ctx, shown())
		v.found.Store(&lost)
		changed()
		_ = pause(ctx, liveEvery-time.Since(began)) // the loop's condition is the same
	}
}

// A change is a state that an execution has come to.
type change struct {
	engine.Execution
	lost engine.LostExecutors
}

// watched yields the executions of the list and then what changes yields, as far as it
// matches. It yields one again whose executor is lost: its record does not change.
func (s *store) watched(ctx context.Context, list []engine.Execution, changes iter.Seq2[engine.Execution, error], matches func(engine.Execution) bool) iter.Seq2[change, error] {
	type got struct {
		x   engine.Execution
		err error
	}
	return func(yield func(change, error) bool) {
		ctx, stop := context.WithCancel(ctx)
		var working sync.WaitGroup
		defer working.Wait()
		defer stop()
		var mu sync.Mutex
		running := map[string]engine.Execution{}
		see := func(x engine.Execution) {
			mu.Lock()
			defer mu.Unlock()
			if x.Status != engine.Running || !matches(x) {
				delete(running, x.ID)
			} else if _, known := running[x.ID]; known || len(running) < mostListed {
				running[x.ID] = bare(x)
			}
		}
		shown := func() []engine.Execution {
			mu.Lock()
			defer mu.Unlock()
			return slices.SortedFunc(maps.Values(running), func(x, y engine.Execution) int { return strings.Compare(x.ID, y.ID) })
		}
		for _, x := range list {
			if see(x); !yield(change{x, nil}, nil) {
				return
			}
		}
		news, looked := make(chan got), make(chan struct{}, 1)
		working.Go(func() {
			for x, err := range changes {
				select {
				case news <- got{x, err}:
				case <-ctx.Done():
					return
				}
			}
		})
		var v vigil
		working.Go(func() {
			v.keep(ctx, s, shown, func() {
				select {
				case looked <- struct{}{}:
				default: // it has not been heard of the look before
				}
			})
		})
		told := map[string]string{} // by id: the lost executor
		for {
			select {
			case <-ctx.Done():
				yield(change{}, fmt.Errorf("watch: %w", context.Cause(ctx)))
				return
			case n := <-news:
				if delete(told, n.x.ID); n.err == nil {
					see(n.x)
				}
				if (n.err != nil || matches(n.x)) && !yield(change{n.x, nil}, n.err) || n.err != nil {
					return
				}
			case <-looked:
				lost := v.now()
				for _, x := range shown() {
					if lost.Of(x) == nil || told[x.ID] == x.Executor {
						continue
					}
					if told[x.ID] = x.Executor; !yield(change{x, lost}, nil) {
						return
					}
				}
			}
		}
	}
}

// queueNames are the queues of the executions that a lost executor runs.
func queueNames(l *engine.Lost) string {
	return strings.Join(slices.Sorted(maps.Keys(l.Queues)), ",")
}

// silence says that an executor does not answer, and what becomes of its executions.
func (a *app) silence(l *engine.Lost, now time.Time) string {
	text := "does not answer since " + coarse(max(now.Sub(l.SilentSince), 0))
	switch {
	case l.TakenOverBy.IsZero():
		return text + ", and nobody is there to take over"
	case now.After(l.TakenOverBy):
		return text + ", to be taken over since " + a.clock(l.TakenOverBy)
	}
	return text + ", taken over by " + a.clock(l.TakenOverBy)
}

// display is an execution's status as people see it, in colour.
func (a *app) display(x engine.Execution, now time.Time, lost engine.LostExecutors) string {
	isLost := lost.Of(x) != nil
	text := x.Display(now, isLost)
	c := statusColour(x.Status)
	switch {
	case isLost:
		c = red
	case strings.HasPrefix(text, "retrying"), strings.HasPrefix(text, "executor lost"):
		c = yellow
	}
	return a.out.paint(c, text)
}

// printLost prints a line for each lost executor.
func (a *app) printLost(lost engine.LostExecutors, now time.Time) {
	for _, l := range lost.All() {
		fmt.Fprintf(a.out, "%s of %s, which %s\n", count(l.Running, "execution is in the hands", "executions are in the hands"),
			oneLine(l.Executor), a.out.paint(red, a.silence(l, now)))
	}
}
