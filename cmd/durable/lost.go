package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/api"
)

const (
	// firstRoll is how long executors have to answer before those that are missed are
	// called once more, for lastRoll: a view takes less than a second.
	firstRoll = 300 * time.Millisecond
	lastRoll  = 500 * time.Millisecond
)

// A missing is what is known of executors that records name and that do not answer.
type missing struct {
	executors map[string]*lostExecutor
	heir      bool // an executor answers that can take over
}

// A lostExecutor is an executor that does not answer, as --json prints it.
type lostExecutor struct {
	Executor string `json:"executor"`
	// Running counts the executions that it runs, by their records.
	Running int `json:"running"`
	// TakenOverBy is when these are taken over at the latest: its leases end a lease
	// after it has renewed them last, and it was seen to be silent now. Zero if no
	// executor is there to do so.
	TakenOverBy int64 `json:"takenOverBy,omitempty"`
	// SilentSince is when it has last answered; zero if this process has not heard it.
	SilentSince int64 `json:"silentSince,omitempty"`

	queues map[string]int // of these executions
}

// queueNames are the queues that its executions are of.
func (e *lostExecutor) queueNames() string {
	return strings.Join(slices.Sorted(maps.Keys(e.queues)), ",")
}

// findLost looks which executors of those that run executions of the list do not
// answer two roll calls. Without any that runs it asks nobody.
func findLost(ctx context.Context, s *store, list []engine.Execution) missing {
	var running []engine.Execution
	for _, x := range list {
		if x.Status == engine.Running && !x.Sleeping {
			running = append(running, x)
		}
	}
	if len(running) == 0 {
		return missing{}
	}
	present, err := s.RollCall(ctx, engine.RollCall{For: firstRoll})
	if err != nil {
		return missing{} // nobody is lost for that
	}
	return lostAmong(ctx, s, running, present)
}

// lostAmong is findLost where the roll has been called once.
func lostAmong(ctx context.Context, s *store, running []engine.Execution, present []engine.Answer) missing {
	lost := lostOf(running, present, time.Now(), s.Limits().Lease)
	if len(lost.executors) == 0 {
		return lost
	}
	late, err := s.RollCall(ctx, engine.RollCall{For: lastRoll})
	if err != nil {
		return missing{}
	}
	return lostOf(running, slices.Concat(present, late), time.Now(), s.Limits().Lease)
}

// lostOf has those that run what is running and are not among the present.
func lostOf(running []engine.Execution, present []engine.Answer, now time.Time, lease time.Duration) missing {
	l := missing{executors: map[string]*lostExecutor{}}
	there := map[string]bool{}
	for _, p := range present {
		there[p.Executor] = true
		l.heir = l.heir || !p.Stopping
	}
	for _, x := range running {
		if x.Executor == "" || there[x.Executor] {
			continue
		}
		e := l.executors[x.Executor]
		if e == nil {
			e = &lostExecutor{Executor: x.Executor, queues: map[string]int{}}
			if l.heir {
				e.TakenOverBy = now.Add(lease).UnixMilli()
			}
			l.executors[x.Executor] = e
		}
		e.Running++
		e.queues[x.Queue]++
	}
	return l
}

// all are the lost executors by their names.
func (l missing) all() []*lostExecutor {
	var list []*lostExecutor
	for _, name := range slices.Sorted(maps.Keys(l.executors)) {
		list = append(list, l.executors[name])
	}
	return list
}

func (l missing) has(x engine.Execution) bool {
	return x.Status == engine.Running && !x.Sleeping && l.executors[x.Executor] != nil
}

// silence says that an executor does not answer, and what becomes of its executions.
func (a *app) silence(e *lostExecutor, now time.Time) string {
	text := "no answer"
	if e.SilentSince > 0 {
		text += " for " + coarse(now.Sub(time.UnixMilli(e.SilentSince)))
	}
	if e.TakenOverBy == 0 {
		return text + "; no other executor is there to take over"
	}
	return text + "; another takes over by " + a.clock(time.UnixMilli(e.TakenOverBy))
}

// display is an execution's status as people see it, in colour.
func (a *app) display(x engine.Execution, now time.Time, l missing) string {
	lost := l.has(x)
	text := x.Display(now, lost)
	c := statusColour(x.Status)
	switch {
	case lost:
		c = red
	case strings.HasPrefix(text, "retrying"), strings.HasPrefix(text, "executor lost"):
		c = yellow
	}
	return a.out.paint(c, text)
}

// A queuesView is the queues as --json prints them.
type queuesView struct {
	api.Queues
	Lost []*lostExecutor `json:"lostExecutors,omitempty"`
}

// lose counts what lost executors hold as in hand: it is until it is taken over.
func (v *queuesView) lose(lost missing) {
	v.Lost = lost.all()
	for i := range v.Queues.Queues {
		q := &v.Queues.Queues[i]
		for _, e := range v.Lost {
			q.InHand = min(q.InHand+e.queues[q.Queue], q.InFlight)
		}
	}
}

// printLost prints a line for each lost executor.
func (a *app) printLost(list []*lostExecutor, now time.Time) {
	for _, e := range list {
		fmt.Fprintf(a.out, "%s holds %s: %s\n", oneLine(e.Executor), count(e.Running, "execution", "executions"), a.out.paint(red, a.silence(e, now)))
	}
}
