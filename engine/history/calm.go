package history

import (
	"slices"
	"time"
)

const (
	// Grace is the window that the README names: if a parent finishes while it spawns a child,
	// the child's code may run for the grace of an attempt.
	Grace = 50 * time.Millisecond
	// Slack is the longest time that a message and the reaction to it may take without a fault
	// on a busy machine. Measured: some ms, and hundreds of ms if ten processes share two cores.
	Slack = 1500 * time.Millisecond
	// Reconnect is how long a client may need after its server is back: 2 s between two
	// attempts to connect, and as long again until it repeats requests that got no answer (see
	// answerTimeout and patience in package jsstore).
	Reconnect = 5 * time.Second
)

// A spell is a time during which a fault can be felt.
type spell struct{ from, to time.Time }

// calm knows how much of a time no fault disturbed. The engine keeps some promises by messages,
// within a window of calm time: another executor gets the messages of a dead one at the end of
// the lease, and an executor learns what it has missed when its connection is back.
type calm struct{ spells []spell } // in order, without overlaps

// calmFor returns the calm time of a process, after the faults of h. A fault of the process
// itself disturbs it for the whole time; a fault of another executor disturbs it until it has
// received the other's work.
func (h History) calmFor(process string) calm {
	var list []spell
	type fault struct {
		place   Place
		process string
		what    string
	}
	open := map[fault]time.Time{}
	for _, e := range h.Events {
		f := fault{e.Place, e.Process, e.Text}
		switch e.Kind {
		case Struck:
			list = append(list, spell{e.At, e.At.Add(h.after(e.Place))})
		case FaultBegan:
			if _, twice := open[f]; !twice {
				open[f] = e.At
			}
		case FaultEnded:
			if from, ok := open[f]; ok {
				delete(open, f)
				list = append(list, h.lasting(e.Place, from, e.At, e.Process == process)...)
			}
		case Down: // it ends the faults of the process, too
			for f, from := range open {
				if f.place == Executor && f.process == e.Process {
					delete(open, f)
					list = append(list, h.lasting(Executor, from, e.At, e.Process == process)...)
				}
			}
		}
	}
	for f, from := range open { // faults that last to the end
		list = append(list, h.lasting(f.place, from, from.Add(1000*time.Hour), f.process == process)...)
	}
	return merge(list)
}

// calms are the calm times of processes that have been found so far, by process.
type calms map[string]calm

// of returns the calm times of a process, and calls find for them once.
func (c calms) of(process string, find func(process string) calm) calm {
	found, known := c[process]
	if !known {
		found = find(process)
		c[process] = found
	}
	return found
}

// stallsOf returns the times in which a process was neither stopped nor cut off.
func (h History) stallsOf(process string) calm {
	own := h
	own.Events = nil
	for _, e := range h.Events {
		if e.Place == Link || e.Process == process {
			own.Events = append(own.Events, e)
		}
	}
	return own.calmFor(process)
}

// after returns how long a fault can be felt after its end.
func (h History) after(p Place) time.Duration {
	switch p {
	case Executor:
		return h.Lease + h.slack() // until other executors have its messages
	default:
		return h.Lease + Reconnect + h.slack()
	}
}

// lasting returns the disturbed times of a fault that lasted from one time to another; own says
// that the fault struck the process itself. If an executor stands still, others get its work at
// the end of its lease, and it learns what it has missed when it continues. A fault of a server
// or a connection disturbs all processes for its whole time.
func (h History) lasting(p Place, from, to time.Time, own bool) []spell {
	if p == Executor && !own {
		return []spell{{from, from.Add(h.after(p))}, {to, to.Add(h.slack())}}
	}
	return []spell{{from, to.Add(h.after(p))}}
}

func (h History) slack() time.Duration {
	if h.Calm > 0 {
		return h.Calm
	}
	return Slack
}

// window returns the calm time within which a message must have its effect.
func (h History) window() time.Duration { return Grace + h.slack() + h.Skew }

func merge(list []spell) calm {
	slices.SortFunc(list, func(a, b spell) int { return a.from.Compare(b.from) })
	var c calm
	for _, s := range list {
		if n := len(c.spells); n > 0 && !s.from.After(c.spells[n-1].to) {
			if s.to.After(c.spells[n-1].to) {
				c.spells[n-1].to = s.to
			}
			continue
		}
		c.spells = append(c.spells, s)
	}
	return c
}

// between returns how much of the time from one to another was calm. It is negative if to is
// before from.
func (c calm) between(from, to time.Time) time.Duration {
	d := to.Sub(from)
	for _, s := range c.spells {
		begin, end := s.from, s.to
		if begin.Before(from) {
			begin = from
		}
		if end.After(to) {
			end = to
		}
		if end.After(begin) {
			d -= end.Sub(begin)
		}
	}
	return d
}
