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

// lost returns the lost executors among those that run executions of the list. If the roll call
// fails it returns none: a view without them is better than no view.
func (s *store) lost(ctx context.Context, list []engine.Execution) engine.LostExecutors {
	lost, err := s.lookout.Find(ctx, list)
	if err != nil {
		return nil
	}
	return lost
}

// lostOf is lost for all running executions, after a first roll call; present are its answers.
func (s *store) lostOf(ctx context.Context, present []engine.Answer) (engine.LostExecutors, error) {
	running, err := s.js.Scan().Running(ctx)
	if err != nil {
		return nil, err
	}
	lost, err := s.lookout.FindAmong(ctx, running, present)
	if err != nil && ctx.Err() == nil {
		return nil, nil // as above
	}
	return lost, err
}

// A vigil finds the lost executors every second while a view is shown.
type vigil struct {
	found atomic.Pointer[engine.LostExecutors]
}

// now returns the lost executors that it found last.
func (v *vigil) now() engine.LostExecutors {
	if l := v.found.Load(); l != nil {
		return *l
	}
	return nil
}

// keep searches until ctx ends, among the executors of the shown executions, and calls changed
// after each search.
func (v *vigil) keep(ctx context.Context, s *store, shown func() []engine.Execution, changed func()) {
	for ctx.Err() == nil {
		began := time.Now()
		lost := s.lost(ctx, shown())
		v.found.Store(&lost)
		changed()
		_ = pause(ctx, liveEvery-time.Since(began)) // the loop's condition is the same
	}
}

// A change is a new state of an execution.
type change struct {
	engine.Execution
	lost engine.LostExecutors
}

// watched yields the executions of the list, and then those changes that match. It yields an
// execution once more when its executor is lost, because its record does not change then.
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
				default: // the consumer has yet to notice the search before
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

// queueNames lists the queues of the executions that a lost executor runs.
func queueNames(l *engine.Lost) string {
	return strings.Join(slices.Sorted(maps.Keys(l.Queues)), ",")
}

// silence says how long a lost executor has not answered, and when another one takes over its
// executions.
func (a *app) silence(l *engine.Lost, now time.Time) string {
	text := "no answer for " + coarse(max(now.Sub(l.SilentSince), 0))
	switch {
	case l.TakenOverBy.IsZero():
		return text + "; no other executor is there to take over"
	case now.After(l.TakenOverBy):
		return text + "; another should have taken over by " + a.clock(l.TakenOverBy)
	}
	return text + "; another takes over by " + a.clock(l.TakenOverBy)
}

// display returns the status of an execution for people, in colour.
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
		fmt.Fprintf(a.out, "%s holds %s: %s\n", oneLine(l.Executor), count(l.Running, "execution", "executions"), a.out.paint(red, a.silence(l, now)))
	}
}
