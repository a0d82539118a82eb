package history

import "time"

// A Pause is a time in which an execution was due and nobody ran it: from its
// enqueue, or from the end of an attempt that another followed, to the beginning of
// the next. Delays that its task asks for, and those of retries, are part of it.
type Pause struct {
	Execution string
	From, To  time.Time
}

// For returns how long it was.
func (p Pause) For() time.Duration { return p.To.Sub(p.From) }

// Pauses returns the pauses of all executions, in the order of their ends.
func (h History) Pauses() []Pause {
	var list []Pause
	due := map[string]time.Time{}
	for _, e := range h.Events {
		switch e.Kind {
		case Accepted, Left:
			due[e.Execution] = e.At
		case Began:
			if from, ok := due[e.Execution]; ok {
				list = append(list, Pause{e.Execution, from, e.At})
				delete(due, e.Execution)
			}
		}
	}
	return list
}
