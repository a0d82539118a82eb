package history

import (
	"fmt"
	"slices"
	"time"

	"github.com/durable-execution/durable/engine"
)

// A Violation is a broken promise that a history shows.
type Violation struct {
	// Rule is the promise, in words.
	Rule string `json:"rule"`
	// Execution is the id of the execution; empty if the violation is not about one.
	Execution string `json:"execution,omitempty"`
	// Text says what happened instead.
	Text string `json:"text"`
}

func (v Violation) String() string {
	if v.Execution == "" {
		return v.Rule + ": " + v.Text
	}
	return v.Rule + ": " + v.Execution + ": " + v.Text
}

// rules are the promises, each with a function that finds its violations.
var rules = []struct {
	promise string
	find    func(*evidence)
}{
	{"the run is complete", (*evidence).unended},
	{"an accepted execution has exactly one outcome", (*evidence).outcomes},
	{"a removed tree does not come back", (*evidence).returned},
	{"an outcome never changes", (*evidence).changes},
	{"an execution has the outcome that its task defines", (*evidence).expectations},
	{"no code runs below a finished execution", (*evidence).orphans},
	{"a finished execution does not run again", (*evidence).revenants},
	{"a cancelled execution does not start, and its running code ends", (*evidence).cancellations},
	{"an execution runs once at a time", (*evidence).overlaps},
	{"a parent counts each child once", (*evidence).families},
	{"attempts and crashes add up", (*evidence).attempts},
	{"nothing is left behind", (*evidence).leftovers},
}

// Check returns the promises of the engine that a history shows to be broken, in the order of
// the rules.
func Check(h History) []Violation {
	e := gather(h)
	for _, r := range rules {
		e.rule = r.promise
		r.find(e)
	}
	return e.found
}

// evidence is a history, sorted for the rules.
type evidence struct {
	History
	records map[string]engine.Execution
	about   map[string][]Event // by execution, in order
	ids     []string           // of all executions in the records or events, in order
	runs    []run
	faults  []Event          // the beginnings of all faults
	below   map[string][]run // by root
	renewed map[string]bool  // roots whose id had an earlier life
	stopped map[string]bool  // roots of trees in which a client may have cancelled an execution
	calms   calms            // without faults
	stalls  calms            // see unstalled

	rule  string
	found []Violation
}

// A run is the code of one attempt, from its first event to its last.
type run struct {
	Event           // Began
	left  time.Time // zero if it never wrote a Left
}

func gather(h History) *evidence {
	e := &evidence{
		records: map[string]engine.Execution{}, about: map[string][]Event{}, below: map[string][]run{}, stopped: map[string]bool{},
		calms: calms{}, stalls: calms{},
	}
	h, e.renewed = h.lives()
	e.History = h
	for _, x := range h.Records {
		e.records[x.ID] = x
		e.about[x.ID] = nil
	}
	left := map[string]time.Time{}
	for _, v := range h.Events {
		if v.Execution != "" {
			e.about[v.Execution] = append(e.about[v.Execution], v)
		}
		switch v.Kind {
		case Left:
			left[v.Run] = v.At
		case Struck, FaultBegan:
			e.faults = append(e.faults, v)
		case CancelAsked:
			e.stopped[engine.RootOf(v.Execution)] = true
		}
	}
	for id := range e.about {
		e.ids = append(e.ids, id)
	}
	slices.Sort(e.ids)
	for _, v := range h.Events {
		if v.Kind == Began {
			r, root := run{v, left[v.Run]}, engine.RootOf(v.Execution)
			e.runs = append(e.runs, r)
			e.below[root] = append(e.below[root], r)
		}
	}
	return e
}

func (e *evidence) broken(id, format string, args ...any) {
	e.found = append(e.found, Violation{e.rule, id, fmt.Sprintf(format, args...)})
}

// calm returns how much of a time was undisturbed, for a process.
func (e *evidence) calm(process string, from, to time.Time) time.Duration {
	return e.calms.of(process, e.calmFor).between(from, to)
}

// unstalled returns how much of a time a process could work: it was not stopped, and it could
// reach the servers.
func (e *evidence) unstalled(process string, from, to time.Time) time.Duration {
	return e.stalls.of(process, e.stallsOf).between(from, to)
}

// finished returns the record of an execution that has finished.
func (e *evidence) finished(id string) (engine.Execution, bool) {
	x, ok := e.records[id]
	return x, ok && x.Status.Finished()
}

// accepted reports whether an enqueue of the execution has returned nil, which promises that
// it will run.
func (e *evidence) accepted(id string) bool {
	return slices.ContainsFunc(e.about[id], func(v Event) bool { return v.Kind == Accepted })
}

const clock = "15:04:05.000"

func at(t time.Time) string { return t.UTC().Format(clock) }

// above returns the ids of the executions above an execution, its parent first.
func (e *evidence) above(id string) []string {
	var list []string
	for x, ok := e.records[id]; ok && x.Parent != ""; x, ok = e.records[x.Parent] {
		list = append(list, x.Parent)
	}
	return list
}
