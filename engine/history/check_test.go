package history_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/history"
)

var begin = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// sec returns a time of the forged histories, in seconds after their begin.
func sec(s float64) time.Time { return begin.Add(time.Duration(s * float64(time.Second))) }

// forged returns a history without violations: a parent with two children and a finalize, and an
// execution that was cancelled while it was ready.
func forged() *history.History {
	done := func(id, parent string, index int, from, to float64) engine.Execution {
		return engine.Execution{
			ID: id, Parent: parent, Index: index, Task: "t", Status: engine.Completed, Closed: true,
			CreatedAt: sec(from), FinishedAt: sec(to), Policy: engine.Policy{Retry: engine.Retry{MaxRetries: 2}},
		}
	}
	root := done("r", "", 0, 0, 5)
	root.Spawned, root.Ended, root.Finalize = 2, engine.Set{3}, &engine.Spawn{Task: "t.f"}
	finalize := done("r.f", "r", 0, 4, 5)
	finalize.IsFinalize = true
	gone := done("c", "", 0, 1, 2)
	gone.Status = engine.Cancelled
	h := &history.History{
		Settings: history.Settings{Lease: time.Second},
		Events: []history.Event{
			{At: sec(0), Kind: history.Up, Process: "a"},
			{At: sec(0), Kind: history.Accepted, Execution: "r", Status: engine.Completed, Output: "2"},
			{At: sec(1), Kind: history.Accepted, Execution: "c"},
			{At: sec(1.9), Kind: history.CancelAsked, Execution: "c", Run: "c1"},
			{At: sec(2), Kind: history.CancelReturned, Execution: "c", Run: "c1"},
			{At: sec(6), Kind: history.Saw, Execution: "r", Status: engine.Completed, Output: "2", FinishedAt: sec(5)},
		},
		Records: []engine.Execution{root, done("r.0", "r", 0, 1, 3), done("r.1", "r", 1, 1, 4), finalize, gone},
		Ended:   true,
	}
	ran(h, "r", "a", 0, 0.1, 1)
	ran(h, "r.0", "a", 0, 1.1, 3)
	ran(h, "r.1", "b", 0, 1.2, 4)
	ran(h, "r.f", "a", 0, 4.1, 5)
	return h
}

// ran adds an attempt. If to is 0, the attempt writes no Left.
func ran(h *history.History, id, process string, attempt int, from, to float64) {
	run := id + process + sec(from).String()
	h.Events = append(h.Events, history.Event{At: sec(from), Kind: history.Began, Execution: id, Process: process, Attempt: attempt, Run: run})
	if to > 0 {
		h.Events = append(h.Events, history.Event{At: sec(to), Kind: history.Left, Execution: id, Process: process, Attempt: attempt, Run: run})
	}
}

// orphaned changes the history: the parent fails at 5 because child 1 failed, and child 0 finishes
// much later.
func orphaned(h *history.History) {
	r := record(h, "r")
	r.Status, r.Ended, r.Finalize = engine.ChildrenFailed, engine.Set{2}, nil
	record(h, "r.1").Status = engine.Failed
	record(h, "r.0").FinishedAt = sec(70)
	h.Events[1].Status, h.Events[1].Output = engine.ChildrenFailed, ""
	h.Events[5].Status, h.Events[5].Output = engine.ChildrenFailed, ""
	h.Records = slices.DeleteFunc(h.Records, func(x engine.Execution) bool { return x.ID == "r.f" })
	h.Events = slices.DeleteFunc(h.Events, func(e history.Event) bool { return e.Execution == "r.f" })
}

func strike(h *history.History, kind history.Kind, place history.Place, process string, at float64) {
	h.Events = append(h.Events, history.Event{At: sec(at), Kind: kind, Place: place, Process: process, Text: "fault"})
}

func record(h *history.History, id string) *engine.Execution {
	i := slices.IndexFunc(h.Records, func(x engine.Execution) bool { return x.ID == id })
	return &h.Records[i]
}

// removed removes the tree of r at 8, after a process has seen its outcome.
func removed(h *history.History) {
	h.Events = append(h.Events, history.Event{At: sec(8), Kind: history.Gone, Execution: "r"})
	h.Records = slices.DeleteFunc(h.Records, func(x engine.Execution) bool { return engine.RootOf(x.ID) == "r" })
}

// renewed has the tree of r removed at 8, and its id enqueued again at 9, which runs and ends.
func renewed(h *history.History) {
	removed(h)
	h.Events = append(h.Events,
		history.Event{At: sec(9), Kind: history.Renewed, Execution: "r"},
		history.Event{At: sec(9.1), Kind: history.Accepted, Execution: "r", Status: engine.Completed, Output: "3"},
		history.Event{At: sec(9.5), Kind: history.Saw, Execution: "r", Status: engine.Completed, Output: "3", FinishedAt: sec(9.4)})
	ran(h, "r", "a", 0, 9.2, 9.4)
	h.Records = append(h.Records, engine.Execution{ID: "r", Task: "t", Status: engine.Completed, Closed: true, CreatedAt: sec(9), FinishedAt: sec(9.4)})
}

// untold has the tree of r removed before anybody was told how it ended; it was kept for 1 s.
func untold(h *history.History) {
	removed(h)
	h.Events = slices.DeleteFunc(h.Events, func(e history.Event) bool { return e.Kind == history.Saw })
	h.Events[1].Keep = time.Second
}

// TestEveryRuleFindsItsViolations checks histories that break each promise, and similar histories
// that break none.
func TestEveryRuleFindsItsViolations(t *testing.T) {
	const none = ""
	for name, test := range map[string]struct {
		broken string // a part of the promise, or none
		forge  func(h *history.History)
	}{
		"nothing is wrong": {none, func(*history.History) {}},
		"no records":       {"run is complete", func(h *history.History) { h.Records, h.Ended = nil, false }},

		"a lost execution": {"exactly one outcome", func(h *history.History) {
			h.Events = append(h.Events, history.Event{At: sec(1), Kind: history.Accepted, Execution: "lost"})
		}},
		"an enqueue that was refused": {none, func(h *history.History) {
			h.Events = append(h.Events, history.Event{At: sec(1), Kind: history.Refused, Execution: "full"})
		}},
		"an enqueue with an unknown result": {none, func(h *history.History) {
			h.Events = append(h.Events, history.Event{At: sec(1), Kind: history.Unsure, Execution: "who knows"})
		}},
		"an execution that ran without a record":     {"exactly one outcome", func(h *history.History) { ran(h, "x", "a", 0, 1, 2) }},
		"an execution that is active at the end":     {"exactly one outcome", func(h *history.History) { record(h, "r.1").Status = engine.Running }},
		"two records":                                {"exactly one outcome", func(h *history.History) { h.Records = append(h.Records, *record(h, "c")) }},
		"a finished execution without a finish time": {"exactly one outcome", func(h *history.History) { record(h, "c").FinishedAt = time.Time{} }},

		"a tree that was removed": {none, removed},
		"a record that came back": {"does not come back", func(h *history.History) {
			child := *record(h, "r.0")
			removed(h)
			h.Records = append(h.Records, child)
		}},
		"code of a removed execution": {"does not come back", func(h *history.History) {
			removed(h)
			ran(h, "r.1", "b", 0, 9, 9.1)
		}},
		"an outcome of a removed execution": {"does not come back", func(h *history.History) {
			removed(h)
			h.Events = append(h.Events, history.Event{At: sec(9), Kind: history.Saw, Execution: "r", Status: engine.Completed, FinishedAt: sec(5), Output: "2"})
		}},
		"a tree that was removed before its outcome was seen": {"exactly one outcome", func(h *history.History) {
			removed(h)
			h.Events = slices.DeleteFunc(h.Events, func(e history.Event) bool { return e.Kind == history.Saw })
		}},

		"an id that is enqueued again, and runs": {none, renewed},
		"an id that is enqueued again, and does not run": {"exactly one outcome", func(h *history.History) {
			renewed(h)
			h.Events = slices.DeleteFunc(h.Events, func(e history.Event) bool { return e.Kind == history.Began && e.At.After(sec(9)) })
		}},
		"an id that is enqueued again, with the outcome of before": {"has the outcome that its task defines", func(h *history.History) {
			renewed(h)
			h.Events = append(h.Events, history.Event{At: sec(9.6), Kind: history.Saw, Execution: "r", Status: engine.Completed, Output: "2", FinishedAt: sec(9.4)})
			h.Events[len(h.Events)-4].Output = "2" // what it was told first
		}},
		"an id that is enqueued again, with the end of before": {"never changes", func(h *history.History) {
			renewed(h)
			h.Events = append(h.Events, history.Event{At: sec(9.6), Kind: history.Saw, Execution: "r", Status: engine.Completed, Output: "3", FinishedAt: sec(5)})
		}},
		"what is back before its id is enqueued again": {"does not come back", func(h *history.History) {
			renewed(h)
			ran(h, "r.0", "a", 0, 8.5, 8.6)
		}},
		"one that is kept for a moment, of which nobody was told in an outage": {none, func(h *history.History) {
			untold(h)
			strike(h, history.FaultBegan, history.Server, "s", 0.2)
			strike(h, history.FaultEnded, history.Server, "s", 7.9)
		}},
		"one that is kept for a moment, and of which nobody was told": {"exactly one outcome", untold},
		"one that is kept for a moment, and did not run": {"exactly one outcome", func(h *history.History) {
			untold(h)
			h.Events = slices.DeleteFunc(h.Events, func(e history.Event) bool { return e.Kind == history.Began })
			strike(h, history.FaultBegan, history.Server, "s", 0.2)
			strike(h, history.FaultEnded, history.Server, "s", 7.9)
		}},
		"one that is removed, and runs again after an outage": {"does not run again", func(h *history.History) {
			strike(h, history.FaultBegan, history.Server, "s", 6.1)
			strike(h, history.FaultEnded, history.Server, "s", 19)
			ran(h, "r", "a", 0, 19.1, 19.2)
			h.Events = append(h.Events, history.Event{At: sec(21), Kind: history.Gone, Execution: "r"})
			h.Records = slices.DeleteFunc(h.Records, func(x engine.Execution) bool { return engine.RootOf(x.ID) == "r" })
		}},

		"a status that changes": {"never changes", func(h *history.History) {
			h.Events = append(h.Events, history.Event{At: sec(5.5), Kind: history.Saw, Execution: "r", Status: engine.Failed, FinishedAt: sec(5)})
		}},
		"a finish time that changes": {"never changes", func(h *history.History) {
			h.Events = append(h.Events, history.Event{At: sec(7), Kind: history.Saw, Execution: "r", Status: engine.Completed, FinishedAt: sec(6.5)})
		}},
		"an output that changes": {"never changes", func(h *history.History) {
			h.Events = append(h.Events, history.Event{At: sec(7), Kind: history.Saw, Execution: "r", Status: engine.Completed, FinishedAt: sec(5), Output: "3"})
		}},
		"the same seen again": {none, func(h *history.History) {
			h.Events = append(h.Events, history.Event{At: sec(7), Kind: history.Saw, Execution: "r", Status: engine.Completed, FinishedAt: sec(5), Output: "2"})
		}},

		"a wrong status": {"outcome that its task defines", func(h *history.History) { h.Events[1].Status = engine.Failed }},
		"a wrong sum":    {"outcome that its task defines", func(h *history.History) { h.Events[1].Output = "4" }},
		"a wrong sum of what was cancelled": {none, func(h *history.History) {
			h.Events[1].Output = "4"
			h.Events = append(h.Events, history.Event{At: sec(4), Kind: history.CancelAsked, Execution: "r.0"})
		}},

		"a child long after the end of its parent": {"below a finished execution", func(h *history.History) {
			orphaned(h)
			ran(h, "r.0", "a", 0, 9, 9.1)
		}},
		"a child right after the end of its parent": {none, func(h *history.History) {
			orphaned(h)
			ran(h, "r.0", "a", 0, 5.04, 5.05)
		}},
		"a child long after the end of its parent, whose executor was killed": {none, func(h *history.History) {
			orphaned(h)
			strike(h, history.Struck, history.Executor, "b", 4.9)
			ran(h, "r.0", "a", 0, 7, 7.1)
		}},
		"a child long after the end of its parent, on an executor that stood still": {none, func(h *history.History) {
			orphaned(h)
			strike(h, history.FaultBegan, history.Executor, "a", 4)
			strike(h, history.FaultEnded, history.Executor, "a", 60)
			ran(h, "r.0", "a", 0, 60.1, 60.2)
		}},
		"a child long after the end of its parent, while another executor stood still": {"below a finished execution", func(h *history.History) {
			orphaned(h)
			strike(h, history.FaultBegan, history.Executor, "b", 4)
			strike(h, history.FaultEnded, history.Executor, "b", 60)
			ran(h, "r.0", "a", 0, 59, 59.1)
		}},

		"a run after the end": {"does not run again", func(h *history.History) { ran(h, "c", "a", 0, 4, 4.1) }},

		"a ready execution that runs after Cancel": {"cancelled execution does not start", func(h *history.History) {
			record(h, "c").FinishedAt = sec(5)
			ran(h, "c", "a", 0, 4, 4.1)
		}},
		"code that continues after Cancel":     {"cancelled execution does not start", func(h *history.History) { ran(h, "c", "a", 0, 1.5, 9) }},
		"code that ends after Cancel":          {none, func(h *history.History) { ran(h, "c", "a", 0, 1.5, 2.1) }},
		"a cancelled execution that completes": {"cancelled execution does not start", func(h *history.History) { record(h, "c").Status = engine.Completed }},
		"a Cancel that came too late": {none, func(h *history.History) {
			h.Events[4].Text = "it has finished"
			record(h, "c").Status = engine.Completed
		}},

		"two runs at once": {"once at a time", func(h *history.History) {
			ran(h, "c", "a", 0, 0.1, 0)
			ran(h, "c", "b", 0, 0.2, 0)
			h.Events = append(h.Events, history.Event{At: sec(9), Kind: history.Note})
		}},
		"two runs at once, while one executor stood still": {none, func(h *history.History) {
			strike(h, history.FaultBegan, history.Executor, "a", 1.3)
			ran(h, "r.1", "a", 0, 1.25, 12)
			strike(h, history.FaultEnded, history.Executor, "a", 11)
			record(h, "r.1").Crashes = 1
		}},

		"a child that is not counted": {"counts each child once", func(h *history.History) { record(h, "r").Ended = engine.Set{1} }},
		"one child too many": {"counts each child once", func(h *history.History) {
			record(h, "r").Ended = engine.Set{7}
		}},
		"a child that nobody spawned": {"counts each child once", func(h *history.History) {
			x := *record(h, "r.1")
			x.ID, x.Index = "r.2", 2
			h.Records = append(h.Records, x)
		}},
		"two children with one index": {"counts each child once", func(h *history.History) { record(h, "r.1").Index = 0 }},
		"no finalize":                 {"counts each child once", func(h *history.History) { record(h, "r").Finalize = nil }},
		"a finalize that begins too early": {"counts each child once", func(h *history.History) {
			record(h, "r.1").FinishedAt = sec(4.5)
		}},
		"a child failure without a failed child": {"counts each child once", func(h *history.History) {
			record(h, "r").ChildFailures = []engine.ChildFailure{{Index: 0, ID: "r.0", Status: engine.Failed}}
		}},

		"an attempt past the retries":     {"attempts and crashes", func(h *history.History) { ran(h, "r.0", "a", 3, 1, 1.05) }},
		"an attempt that is not recorded": {"attempts and crashes", func(h *history.History) { ran(h, "r.0", "a", 1, 1, 1.05) }},
		"a crash without a fault":         {"attempts and crashes", func(h *history.History) { record(h, "r.0").Crashes = 1 }},
		"attempts that count backwards":   {"attempts and crashes", func(h *history.History) { record(h, "r.0").History = []engine.Attempt{{Number: 1}, {Number: 0}} }},
		"a crash of a killed executor": {none, func(h *history.History) {
			record(h, "r.0").Crashes = 1
			strike(h, history.Struck, history.Executor, "a", 2)
		}},

		"a message in a stream":           {"left behind", func(h *history.History) { h.Left = []string{"durable.ready.default.t.r"} }},
		"the expiry of a tree":            {none, func(h *history.History) { h.Left = []string{"durable.later.=expire.r"} }},
		"an execution that is not closed": {"left behind", func(h *history.History) { record(h, "r.0").Closed = false }},
	} {
		t.Run(name, func(t *testing.T) {
			h := forged()
			test.forge(h)
			slices.SortStableFunc(h.Events, func(a, b history.Event) int { return a.At.Compare(b.At) })
			got := history.Check(*h)
			if test.broken == none {
				for _, v := range got {
					t.Errorf("found %s", v)
				}
				return
			}
			if !slices.ContainsFunc(got, func(v history.Violation) bool { return strings.Contains(v.Rule, test.broken) }) {
				t.Errorf("found %v, want one of %q", got, test.broken)
			}
		})
	}
}
