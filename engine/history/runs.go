package history

import (
	"slices"
	"time"

	"github.com/durable-execution/durable/engine"
)

// orphans finds code that began below a finished execution: in a child, or further below. The
// cancellation travels down level by level, and each level may take a window. All executions
// below get the finish time of the first.
func (e *evidence) orphans() {
	for _, r := range e.runs {
		above := e.above(r.Execution)
		window := e.window() * time.Duration(len(above))
		for _, id := range above {
			x, ok := e.finished(id)
			if !ok {
				continue
			}
			if late := e.calm(r.Process, x.FinishedAt, r.At); late > window {
				e.broken(r.Execution, "attempt %d began in %s at %s, %s after %s above it was %s at %s (%s of that without faults, the window is %s)",
					r.Attempt, r.Process, at(r.At), r.At.Sub(x.FinishedAt), id, x.Status, at(x.FinishedAt), late, window)
				break
			}
		}
	}
}

// revenants finds code that began after its own execution had finished. Only an executor that
// stood still between the claim and the code may do so. A server that was down is no excuse,
// because an executor that needs its answer does not begin. A cancel is an exception: an executor
// that had asked before may not have heard of it.
func (e *evidence) revenants() {
	for _, r := range e.runs {
		if saw := e.outcome(r.Execution); saw != nil && saw.Status != engine.Cancelled {
			if late := e.unstalled(r.Process, saw.FinishedAt, r.At); late > Slack+e.Skew {
				e.broken(r.Execution, "attempt %d began in %s at %s, %s after it was %s, as %s was told at %s (%s of that in which nothing kept %s)",
					r.Attempt, r.Process, at(r.At), r.At.Sub(saw.FinishedAt), saw.Status, saw.Process, at(saw.At), late, r.Process)
				continue
			}
		}
		x, ok := e.finished(r.Execution)
		if !ok {
			continue
		}
		if late := e.calm(r.Process, x.FinishedAt, r.At); late > e.window() {
			e.broken(r.Execution, "attempt %d began in %s at %s, %s after it was %s (%s of that without faults)",
				r.Attempt, r.Process, at(r.At), r.At.Sub(x.FinishedAt), x.Status, late)
		}
	}
}

// cancellations finds code that began or continued after Cancel had returned nil, and executions
// that are not cancelled although Cancel returned nil.
func (e *evidence) cancellations() {
	for _, c := range e.Events {
		if c.Kind != CancelReturned || c.Text != "" {
			continue
		}
		if x, ok := e.finished(c.Execution); ok && x.Status != engine.Cancelled {
			e.broken(c.Execution, "was cancelled by %s at %s, but is %s", c.Process, at(c.At), x.Status)
		}
		for _, r := range e.below[engine.RootOf(c.Execution)] {
			steps := 1 + slices.Index(append([]string{r.Execution}, e.above(r.Execution)...), c.Execution)
			if steps == 0 {
				continue
			}
			window := e.window() * time.Duration(steps)
			if late := e.calm(r.Process, c.At, r.At); late > window {
				e.broken(r.Execution, "attempt %d began in %s at %s, %s after Cancel of %s had returned (%s of that without faults)",
					r.Attempt, r.Process, at(r.At), r.At.Sub(c.At), c.Execution, late)
			}
			if r.At.After(c.At) || r.left.IsZero() {
				continue
			}
			if late := e.calm(r.Process, c.At, r.left); late > window {
				e.broken(r.Execution, "attempt %d in %s continued until %s, %s after Cancel of %s had returned (%s of that without faults)",
					r.Attempt, r.Process, at(r.left), r.left.Sub(c.At), c.Execution, late)
			}
		}
	}
}

// overlaps finds attempts of one execution that ran at the same time. That is allowed for a
// while after a fault: an executor that stood still or was cut off continues its code until it
// learns that another executor has taken the execution over.
func (e *evidence) overlaps() {
	byID := map[string][]run{}
	for _, r := range e.runs {
		byID[r.Execution] = append(byID[r.Execution], r)
	}
	for _, id := range e.ids {
		for i, a := range byID[id] {
			for _, b := range byID[id][i+1:] {
				end := e.endOf(a)
				if other := e.endOf(b); other.Before(end) {
					end = other
				}
				both := min(e.calm(a.Process, b.At, end), e.calm(b.Process, b.At, end))
				if both > e.window()+e.Lease { // an executor reads the records of its attempts once a lease
					e.broken(id, "attempt %d ran in %s and attempt %d in %s at the same time, from %s to %s (%s of that without faults)",
						a.Attempt, a.Process, b.Attempt, b.Process, at(b.At), at(end), both)
				}
			}
		}
	}
}

// endOf returns when the code of a run ended. If it wrote no Left, it ended with its process.
func (e *evidence) endOf(r run) time.Time {
	if !r.left.IsZero() {
		return r.left
	}
	for _, v := range e.Events {
		if v.Kind == Down && v.Process == r.Process && !v.At.Before(r.At) {
			return v.At
		}
	}
	if n := len(e.Events); n > 0 {
		return e.Events[n-1].At
	}
	return r.At
}

// attempts finds impossible numbers: more attempts than the retries allow, records with fewer
// attempts than ran, and crashes without a fault.
func (e *evidence) attempts() {
	for _, r := range e.runs {
		x, ok := e.records[r.Execution]
		switch {
		case !ok:
		case r.Attempt < 0 || r.Attempt > x.Policy.Retry.MaxRetries:
			e.broken(r.Execution, "attempt %d ran, but the policy allows %d retries", r.Attempt, x.Policy.Retry.MaxRetries)
		case x.Polls == 0 && r.Attempt > x.Attempt:
			e.broken(r.Execution, "attempt %d ran, but its record says %d", r.Attempt, x.Attempt)
		}
	}
	for _, x := range e.Records {
		if n := e.strikes(x.CreatedAt, x.FinishedAt); x.Polls == 0 && x.Crashes > n {
			e.broken(x.ID, "its record says %d crashes, but there were %d faults in its time", x.Crashes, n)
		}
		for i := 1; i < len(x.History) && x.Polls == 0; i++ {
			if before, after := x.History[i-1], x.History[i]; after.Number < before.Number {
				e.broken(x.ID, "attempt %d comes after attempt %d in its record", after.Number, before.Number)
			}
		}
	}
}

// strikes counts the faults between two times that may have made an execution lose its executor.
func (e *evidence) strikes(from, to time.Time) int {
	n := 0
	for _, v := range e.faults {
		// A child's record gets its creation time from its parent, and a fault may have begun
		// before the execution was created: count earlier faults, too.
		early := v.At.Add(e.after(v.Place) + e.Skew + time.Minute).Before(from)
		if late := v.At.After(to.Add(e.Skew)); !late && !early {
			n++
			if v.Place != Executor {
				n += 2 // each reconnection of the client, and of the server, may redeliver the message
			}
		}
	}
	return n
}
