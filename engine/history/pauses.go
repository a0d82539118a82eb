package history

import "time"

// A Pause is a time during which an execution waited for an executor: from its enqueue, or from
// the end of an attempt, to the beginning of the next attempt. It includes the delays of the
// task and of its retries.
type Pause struct {
	Execution string
	From, To  time.Time
}

// For returns how long the pause was.
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
