package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/api"
)

const topHelp = `Show what executors are at, what waits in queues, how many executions finish, and
the running ones that have run for longest, again every second; q ends it. Where it
is not at a terminal, and with --once or --json, it looks for a second and prints
what it has seen.

What finishes is counted as it is recorded, over the last 5 seconds. Executions that
take less than the 50 ms after which an executor records that they run are not among the
slow ones, nor is what sleeps.`

func (a *app) top() *cobra.Command {
	var once bool
	var limit int
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show the fleet live: executors, queues, rates, slow executions",
		Long:  topHelp,
		Args:  exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return usage("", "--limit %d: want at least 1", limit)
			}
			s, err := a.open(cmd)
			if err != nil {
				return err
			}
			defer s.close()
			if once || a.json || !a.out.terminal {
				return a.topOnce(cmd.Context(), s, limit)
			}
			if s.own {
				return a.nobodyExecutes()
			}
			return a.topLive(cmd.Context(), s, limit)
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "print it once, at a terminal too")
	cmd.Flags().IntVar(&limit, "limit", 20, "slowest running executions to show at most")
	return cmd
}

// topWindow is how long what has finished is counted for.
const topWindow = 5 * time.Second

// topOnceFor is how long a single look lasts.
const topOnceFor = time.Second

func (a *app) topOnce(ctx context.Context, s *store, limit int) error {
	f := newFleet(s)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	followed := make(chan error, 1)
	go func() { followed <- f.follow(ctx) }()
	select {
	case err := <-followed:
		return err
	case <-f.counts:
	}
	f.look(ctx)
	if err := pause(ctx, topOnceFor-time.Since(f.began)); err != nil {
		return err
	}
	v := f.view(time.Now(), limit)
	switch {
	case v.failure != nil:
		return v.failure
	case a.json:
		return printJSON(a.out, v)
	}
	a.printTop(v, 0)
	return nil
}

func (a *app) topLive(ctx context.Context, s *store, limit int) error {
	f := newFleet(s)
	ctx, stop := context.WithCancel(ctx)
	var gathering sync.WaitGroup
	defer gathering.Wait()
	defer stop()
	gathering.Go(func() {
		for ctx.Err() == nil {
			_ = f.follow(ctx)         // look says what is wrong
			_ = pause(ctx, liveEvery) // the loop's condition is the same
		}
	})
	gathering.Go(func() {
		for ctx.Err() == nil {
			began := time.Now()
			f.look(ctx)
			_ = pause(ctx, liveEvery-time.Since(began)) // as above
		}
	})
	return a.live(ctx, f.changed, func(on *app, port *viewport) (bool, error) {
		v := f.view(time.Now(), limit).only(port)
		clock := on.clock(time.Now())
		fmt.Fprintf(on.out, "%s  %s\n", on.out.paint(bold, clock), snip("q ends, ? for help; "+on.place.named(), max(on.out.width()-len(clock)-2, 1)))
		on.printTop(v, max(port.room()-1, 0))
		port.head = 2
		return false, nil
	})
}

// A fleet is what top has seen. It is gathered by several goroutines.
type fleet struct {
	s       *store
	counts  chan struct{} // closed once it counts what finishes
	changed chan struct{} // has something when there is something new

	mu      sync.Mutex
	failure error // of the latest look; nil if it has succeeded
	present []engine.Answer
	queues  api.Queues
	began   time.Time // when it began to count; zero until then
	running []engine.Execution
	lost    engine.LostExecutors // of running
	ends    map[string]end       // by id: a record may be written again
}

// An end is when an execution was seen to have finished.
type end struct {
	at        time.Time
	completed bool
}

func newFleet(s *store) *fleet {
	return &fleet{s: s, counts: make(chan struct{}), changed: make(chan struct{}, 1), ends: map[string]end{}}
}

// look asks executors and queues what they are at.
func (f *fleet) look(ctx context.Context) {
	var queues api.Queues
	var running []engine.Execution
	var lost engine.LostExecutors
	var noQueues, noRunning error
	var asking sync.WaitGroup
	asking.Go(func() { queues, noQueues = f.s.js.ListQueues(ctx) })
	asking.Go(func() { running, noRunning = f.s.js.Running(ctx) })
	present, err := f.s.RollCall(ctx, engine.RollCall{})
	asking.Wait()
	if cmp.Or(err, noQueues, noRunning) == nil {
		lost, err = f.s.lookout.FindAmong(ctx, running, present)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failure = cmp.Or(err, noQueues, noRunning); f.failure == nil {
		f.present, f.queues, f.running, f.lost = withSilent(present, f.present, f.s.Limits().Lease), queues, running, lost
	}
	f.tell()
}

// withSilent adds to those that have answered who did so less than a lease ago: an executor
// that has much to do, or a network, may take longer than a roll call, and what a lost one
// held is taken over by then.
func withSilent(present, before []engine.Answer, lease time.Duration) []engine.Answer {
	for _, p := range before {
		silent := !slices.ContainsFunc(present, func(a engine.Answer) bool { return a.Executor == p.Executor })
		if silent && !p.Stopping && time.Since(p.CalledAt) < lease+2*liveEvery {
			present = append(present, p)
		}
	}
	return present
}

// tell has what is new drawn.
func (f *fleet) tell() {
	select {
	case f.changed <- struct{}{}:
	default: // it is about to be
	}
}

// follow counts what finishes, until ctx ends or it fails.
func (f *fleet) follow(ctx context.Context) error {
	changes, err := f.s.changes(ctx, "")
	if err != nil {
		return err
	}
	f.mu.Lock()
	if f.began.IsZero() {
		f.began = time.Now()
		close(f.counts)
	}
	f.mu.Unlock()
	for x, err := range changes {
		if err != nil {
			return err
		}
		if x.Status.Finished() {
			f.take(x)
		}
	}
	return nil
}

func (f *fleet) take(x engine.Execution) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, known := f.ends[x.ID]; !known {
		f.ends[x.ID] = end{time.Now(), x.Status == engine.Completed}
	}
}

// A topView is what top shows, as --json prints it.
type topView struct {
	At        int64             `json:"at"`
	Executors []json.RawMessage `json:"executors"` // as durable executors prints them
	api.Queues
	// Finished counts what has finished per second, however it did, Incomplete what of it
	// has not completed; over the last WindowMS.
	Finished   float64 `json:"finishedPerSecond"`
	Incomplete float64 `json:"incompletePerSecond"`
	WindowMS   int64   `json:"windowMs"`
	// Slots is how many attempts all executors run at once, Running how many they run, and
	// Slowest are the executions that have run for longest.
	Slots   int     `json:"slots"`
	Running int     `json:"running"`
	Slowest []*view `json:"slowest"`

	now      time.Time
	present  []engine.Answer // those that have stopped answering included
	lost     engine.LostExecutors
	failure  error
	filtered bool // what is not to be shown has been left out
}

// view is what has been seen, with so many of the slowest executions at most.
func (f *fleet) view(now time.Time, limit int) topView {
	f.mu.Lock()
	defer f.mu.Unlock()
	v := topView{
		At: millis(now), now: now, present: slices.Clone(f.present), failure: f.failure,
		Executors: []json.RawMessage{}, Queues: f.queues, Slowest: []*view{},
	}
	v.Queues.Queues = slices.Clone(f.queues.Queues)
	v.lost = f.lost
	answering := f.answering(now)
	v.Queues.Count(answering)
	v.Queues.Lose(f.lost)
	slices.SortFunc(v.Queues.Queues, func(x, y api.Queue) int { return strings.Compare(x.Queue, y.Queue) })
	slices.SortFunc(v.present, func(x, y engine.Answer) int { return strings.Compare(x.Executor, y.Executor) })
	slices.SortFunc(answering, func(x, y engine.Answer) int { return strings.Compare(x.Executor, y.Executor) })
	for _, p := range answering {
		v.Slots, v.Running = v.Slots+p.Slots, v.Running+p.Running
		if one, err := engine.EncodePresence(p.Presence, math.MaxInt); err == nil { // it was decoded, so that it can be encoded
			v.Executors = append(v.Executors, one)
		}
	}
	f.count(&v)
	longest := slices.Clone(f.running)
	slices.SortFunc(longest, func(x, y engine.Execution) int {
		return cmp.Or(x.StartedAt.Compare(y.StartedAt), strings.Compare(x.ID, y.ID))
	})
	for _, x := range longest[:min(limit, len(longest))] {
		v.Slowest = append(v.Slowest, viewOf(x, f.lost))
	}
	return v
}

// only is the view with the rows that are to be shown.
func (v topView) only(port *viewport) topView {
	shows := port.shows
	v.filtered = port.filter != ""
	v.present = slices.DeleteFunc(v.present, func(p engine.Answer) bool {
		return !shows(p.Executor, p.Host, weights(p.Queues))
	})
	v.lost = maps.Clone(v.lost)
	maps.DeleteFunc(v.lost, func(_ string, e *engine.Lost) bool { return !shows(e.Executor, queueNames(e)) })
	v.Queues.Queues = slices.DeleteFunc(v.Queues.Queues, func(q api.Queue) bool { return !shows(q.Queue, q.PauseReason) })
	v.Slowest = slices.DeleteFunc(v.Slowest, func(x *view) bool { return !shows(x.ID, x.Task, x.Executor) })
	return v
}

// silentAfter is how long an executor that has answered before may take.
const silentAfter = 2 * liveEvery

// answering returns those that have answered lately. With the lock held.
func (f *fleet) answering(now time.Time) []engine.Answer {
	var list []engine.Answer
	for _, p := range f.present {
		if now.Sub(p.CalledAt) <= silentAfter {
			list = append(list, p)
		}
	}
	return list
}

// count counts what has finished in the window. What came before is dropped, once it is
// too old to be written again.
func (f *fleet) count(v *topView) {
	if f.began.IsZero() {
		return
	}
	window := min(v.now.Sub(f.began), topWindow)
	for id, e := range f.ends {
		switch age := v.now.Sub(e.at); {
		case age > 4*topWindow:
			delete(f.ends, id)
		case age <= window:
			v.Finished++
			if !e.completed {
				v.Incomplete++
			}
		}
	}
	if v.WindowMS = window.Milliseconds(); window > 0 {
		v.Finished, v.Incomplete = v.Finished/window.Seconds(), v.Incomplete/window.Seconds()
	}
}
