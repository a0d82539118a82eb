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
	// firstRoll is how long executors have to answer. If one is missing, there is a second roll
	// call, which takes lastRoll. Together they take less than a second.
	firstRoll = 300 * time.Millisecond
	lastRoll  = 500 * time.Millisecond
)

// A missing holds the lost executors: records of running executions name them, but they do not
// answer.
type missing struct {
	executors map[string]*lostExecutor
	heir      bool // an executor answers that can take over
}

// A lostExecutor describes an executor that does not answer roll calls. --json prints it.
type lostExecutor struct {
	Executor string `json:"executor"`
	// Running is the number of running executions whose records name this executor.
	Running int `json:"running"`
	// TakenOverBy is the latest time at which another executor takes over these executions:
	// a lease from now, because this executor may have renewed its leases until now. Zero
	// if no other executor answers.
	TakenOverBy int64 `json:"takenOverBy,omitempty"`
	// SilentSince is the time of its last answer; zero if this process has seen none.
	SilentSince int64 `json:"silentSince,omitempty"`

	queues map[string]int // the number of these executions in each queue
}

// queueNames lists the queues of its executions.
func (e *lostExecutor) queueNames() string {
	return strings.Join(slices.Sorted(maps.Keys(e.queues)), ",")
}

// findLost finds the executors that run executions of the list but answer none of two roll
// calls. If no execution of the list is running, it makes no roll call.
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
		return missing{} // a failed roll call does not mean that executors are lost
	}
	return lostAmong(ctx, s, running, present)
}

// lostAmong is [findLost] after the first roll call; present are the answers to that.
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

// lostOf returns the executors that the running executions name and that are not present.
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

// all returns the lost executors, sorted by name.
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

// silence says how long a lost executor has not answered, and when another one takes over its
// executions.
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

// display returns the status of an execution for people, in colour.
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

// A queuesView lists the queues as --json prints them.
type queuesView struct {
	api.Queues
	Lost []*lostExecutor `json:"lostExecutors,omitempty"`
}

// lose adds the lost executors, and counts their executions as in hand until another executor
// takes them over.
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
