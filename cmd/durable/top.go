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

const topHelp = `Show the load of the executors, the work that waits in the queues, how many
executions finish per second, and the executions that have been running for
longest. The view refreshes every second; q ends it. Without a terminal, and with
--once or --json, the command observes the store for one second and prints the
result.

The rates count the executions whose end was recorded during the last 5 seconds.
The slow executions do not include sleeping ones, nor those that run for less than
50 ms: an executor records only then that an execution is running.`

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
	cmd.Flags().BoolVar(&once, "once", false, "print the view once, even on a terminal")
	cmd.Flags().IntVar(&limit, "limit", 20, "how many of the slowest running executions to show at most")
	return cmd
}

// topWindow is the length of the window in which top counts finished executions.
const topWindow = 5 * time.Second

// topOnceFor is how long top observes the store if it prints only once.
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
			_ = f.follow(ctx)         // look shows the error
			_ = pause(ctx, liveEvery) // the loop ends with ctx too
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

// A fleet holds the observations of top. Several goroutines update it.
type fleet struct {
	s       *store
	counts  chan struct{} // closed once follow counts finished executions
	changed chan struct{} // receives a value after each change

	mu      sync.Mutex
	failure error // of the latest look; nil if it succeeded
	present []engine.Answer
	queues  api.Queues
	began   time.Time // when follow began to count; zero before
	running []engine.Execution
	lost    engine.LostExecutors // the lost executors of running
	ends    map[string]end       // by id, because a finished record may change once more
}

// An end is when top first saw that an execution had finished.
type end struct {
	at        time.Time
	completed bool
}

func newFleet(s *store) *fleet {
	return &fleet{s: s, counts: make(chan struct{}), changed: make(chan struct{}, 1), ends: map[string]end{}}
}

// look reads the state of the executors, the queues and the running executions.
func (f *fleet) look(ctx context.Context) {
	var queues api.Queues
	var running []engine.Execution
	var lost engine.LostExecutors
	var noQueues, noRunning error
	var asking sync.WaitGroup
	asking.Go(func() { queues, noQueues = f.s.js.ListQueues(ctx) })
	asking.Go(func() { running, noRunning = f.s.js.Scan().Running(ctx) })
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

// withSilent adds the executors that answered an earlier roll call less than a lease ago: a
// busy executor, or a slow network, may take longer than a roll call. After a lease, another
// executor has taken over the executions of a lost one.
func withSilent(present, before []engine.Answer, lease time.Duration) []engine.Answer {
	for _, p := range before {
		silent := !slices.ContainsFunc(present, func(a engine.Answer) bool { return a.Executor == p.Executor })
		if silent && !p.Stopping && time.Since(p.CalledAt) < lease+2*liveEvery {
			present = append(present, p)
		}
	}
	return present
}

// tell asks the view to redraw.
func (f *fleet) tell() {
	select {
	case f.changed <- struct{}{}:
	default: // a redraw is pending already
	}
}

// follow counts executions that finish, until ctx ends or an error occurs.
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

// A topView is the content of top, as --json prints it.
type topView struct {
	At        int64             `json:"at"`
	Executors []json.RawMessage `json:"executors"` // as durable executors prints them
	api.Queues
	// Finished is how many executions finished per second, in any way, during the last
	// WindowMS. Incomplete is how many of them did not complete.
	Finished   float64 `json:"finishedPerSecond"`
	Incomplete float64 `json:"incompletePerSecond"`
	WindowMS   int64   `json:"windowMs"`
	// Slots is how many attempts all executors together can run at once, and Running how many
	// they run now. Slowest are the executions that have been running for longest.
	Slots   int     `json:"slots"`
	Running int     `json:"running"`
	Slowest []*view `json:"slowest"`

	now      time.Time
	present  []engine.Answer // including executors that have stopped answering
	lost     engine.LostExecutors
	failure  error
	filtered bool // the user has set a filter
}

// view returns the current content, with at most limit of the slowest executions.
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
		if one, err := engine.EncodePresence(p.Presence, math.MaxInt); err == nil { // never fails: it was decoded, so it can be encoded
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

// only returns the view with the rows that match the filter of the viewport.
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

// silentAfter is how old the last answer of an executor may be before top shows it as silent.
const silentAfter = 2 * liveEvery

// answering returns the executors that have answered lately. The caller holds the lock.
func (f *fleet) answering(now time.Time) []engine.Answer {
	var list []engine.Answer
	for _, p := range f.present {
		if now.Sub(p.CalledAt) <= silentAfter {
			list = append(list, p)
		}
	}
	return list
}

// count counts the executions that finished in the window. It forgets an older one only once
// its record no longer changes, so that no execution counts twice.
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
