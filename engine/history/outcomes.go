package history

import (
	"strings"

	"github.com/durable-execution/durable/engine"
)

// unended reports a run that broke off.
func (e *evidence) unended() {
	if !e.Ended && len(e.Events) > 0 {
		e.broken("", "the history has no records, so the other checks are incomplete")
	}
}

// outcomes finds executions that were accepted or ran, but have no record or have not finished.
func (e *evidence) outcomes() {
	if !e.Ended {
		return
	}
	for _, id := range e.ids {
		x, recorded := e.records[id]
		switch ran := e.firstRun(id); {
		case !recorded && e.gone(id) != nil:
			e.untold(id)
		case !recorded && e.accepted(id):
			e.broken(id, "was accepted, but has no record")
		case !recorded && ran != nil:
			e.broken(id, "ran in %s at %s, but has no record", ran.Process, at(ran.At))
		case recorded && !x.Status.Finished():
			e.broken(id, "is %s at the end (attempt %d, %d crashes, executor %q)", x.Status, x.Attempt, x.Crashes, x.Executor)
		case recorded && x.FinishedAt.IsZero():
			e.broken(id, "is %s, but has no finish time", x.Status)
		}
	}
	for _, id := range e.ids {
		if e.renewed[id] && e.accepted(id) && e.firstRun(id) == nil {
			e.broken(id, "was enqueued again when it was gone, and did not run")
		}
	}
	twice := map[string]int{}
	for _, x := range e.Records {
		if twice[x.ID]++; twice[x.ID] == 2 {
			e.broken(x.ID, "has two records")
		}
	}
}

// untold finds an execution that was accepted and removed before any process saw its outcome. A
// root with a very short retention may be removed that early, if it ran.
func (e *evidence) untold(id string) {
	a := e.first(id, Accepted)
	if a == nil || e.outcome(id) != nil {
		return
	}
	switch gone := e.gone(id); {
	case a.Keep == 0 || e.calm("", a.At, gone.At) >= a.Keep:
		e.broken(id, "was accepted, but was removed before any process saw its outcome")
	case e.firstRun(id) == nil:
		e.broken(id, "was accepted, but was removed before it ran")
	}
}

// gone returns the event by which the tree of id was found removed; nil if there is none.
func (e *evidence) gone(id string) *Event { return e.first(engine.RootOf(id), Gone) }

// outcome returns the first event by which a process saw the outcome of id; nil if there is none.
func (e *evidence) outcome(id string) *Event { return e.first(id, Saw) }

func (e *evidence) first(id string, kind Kind) *Event {
	for i, v := range e.about[id] {
		if v.Kind == kind {
			return &e.about[id][i]
		}
	}
	return nil
}

// returned finds executions that came back after their tree had been removed: a record at the
// end, an outcome that a process saw, or code that began.
func (e *evidence) returned() {
	for _, id := range e.ids {
		gone := e.gone(id)
		if gone == nil {
			continue
		}
		if x, ok := e.records[id]; ok {
			e.broken(id, "is %s at the end, but was removed at %s", x.Status, at(gone.At))
		}
		for _, v := range e.about[id] {
			if v.At.After(gone.At) && (v.Kind == Saw || v.Kind == Began) {
				e.broken(id, "%s in %s at %s, but was removed at %s", v.Kind, v.Process, at(v.At), at(gone.At))
			}
		}
	}
}

func (e *evidence) firstRun(id string) *Event { return e.first(id, Began) }

// changes finds executions whose outcome was not the same in all events and in the record.
func (e *evidence) changes() {
	for _, id := range e.ids {
		var first *Event
		output := ""
		for i := range e.about[id] {
			v := &e.about[id][i]
			if v.Kind != Saw {
				continue
			}
			if first == nil {
				first, output = v, v.Output
				continue
			}
			if v.Status != first.Status || !v.FinishedAt.Equal(first.FinishedAt) {
				e.broken(id, "was %s, finished at %s, when %s saw it at %s, but %s, finished at %s, when %s saw it at %s",
					first.Status, at(first.FinishedAt), first.Process, at(first.At), v.Status, at(v.FinishedAt), v.Process, at(v.At))
			}
			if output == "" {
				output = v.Output
			}
			if v.Output != "" && v.Output != output {
				e.broken(id, "had the output %s, but later %s", output, v.Output)
			}
		}
		x, ok := e.finished(id)
		if first != nil && ok && (x.Status != first.Status || !x.FinishedAt.Equal(first.FinishedAt)) {
			e.broken(id, "was %s, finished at %s, when %s saw it at %s, but its record says %s at %s",
				first.Status, at(first.FinishedAt), first.Process, at(first.At), x.Status, at(x.FinishedAt))
		}
		if first != nil && e.Ended && !ok && e.gone(id) == nil {
			e.broken(id, "was %s when %s saw it at %s, but is not finished any more", first.Status, first.Process, at(first.At))
		}
	}
}

// expectations finds roots with another outcome than their task defines, although nobody
// cancelled them.
func (e *evidence) expectations() {
	for _, id := range e.ids {
		for _, want := range e.about[id] {
			if want.Kind != Accepted || want.Status == "" || e.stopped[engine.RootOf(id)] {
				continue
			}
			x, ok := e.finished(id)
			if ok && x.Status != want.Status {
				e.broken(id, "is %s (%s), want %s", x.Status, reason(x), want.Status)
				continue
			}
			for _, v := range e.about[id] {
				if v.Kind == Saw && v.Output != "" && want.Output != "" && v.Output != want.Output {
					e.broken(id, "has the output %s, want %s", v.Output, want.Output)
					break
				}
			}
		}
	}
}

func reason(x engine.Execution) string {
	if x.Failure == nil {
		return "no failure"
	}
	first, _, _ := strings.Cut(x.Failure.Message, "\n")
	return first
}

// leftovers finds messages that are in the streams after all work is done, and executions that
// are not closed.
func (e *evidence) leftovers() {
	for _, subject := range e.Left {
		if !strings.Contains(subject, "=expire") { // the expiry of a tree at the end of its retention
			e.broken("", "a message is left on subject %s", subject)
		}
	}
	for _, x := range e.Records {
		if x.Status.Finished() && !x.Closed {
			e.broken(x.ID, "is %s, but not closed", x.Status)
		}
	}
}
