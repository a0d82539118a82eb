package history

import (
	"slices"
	"time"
)

const (
	// Grace is the window that the README names: the code of a child that was being
	// spawned while its parent ended may run for the grace of an attempt.
	Grace = 50 * time.Millisecond
	// Slack is what a message, and whoever acts upon it, may take on a busy machine
	// where nothing is disturbed: measured, some ms, and hundreds where ten processes
	// share two cores.
	Slack = 1500 * time.Millisecond
	// Reconnect is how long a client may need to be back on a server that is: the
	// client's own 2 s between two tries, and as long for what was swallowed meanwhile
	// and is asked again (see answerTimeout and patience in package jsstore).
	Reconnect = 5 * time.Second
)

// A spell is a time in which something was disturbed.
type spell struct{ from, to time.Time }

// calm tells how much of a time was undisturbed. Promises that are kept by
// messages are kept within a window of calm time: what a dead executor held goes to
// another at the end of its lease, what a lost connection has missed is found when it is back.
type calm struct{ spells []spell } // in order, apart

// calmFor returns what the faults of h leave calm for a process: one that stands
// still is disturbed all the while, and the others until they have its work.
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
		case Down: // and with it what it suffers
			for f, from := range open {
				if f.place == Executor && f.process == e.Process {
					delete(open, f)
					list = append(list, h.lasting(Executor, from, e.At, e.Process == process)...)
				}
			}
		}
	}
	for f, from := range open { // it lasts to the end
		list = append(list, h.lasting(f.place, from, from.Add(1000*time.Hour), f.process == process)...)
	}
	return merge(list)
}

// stallsOf returns when a process stood still, or was cut off.
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

// after is how long the end of a fault can be felt.
func (h History) after(p Place) time.Duration {
	switch p {
	case Executor:
		return h.Lease + h.slack() // until others have what it held
	default:
		return h.Lease + Reconnect + h.slack()
	}
}

// lasting returns what a fault disturbs that lasted for a time. The work of an
// executor that stands still goes to others at the end of its lease; what it has
// missed it finds when it goes on. A server is missed all the time.
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

// window is the calm time within which what messages bring about comes about.
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

// between returns how much of the time between two was calm: negative where to
// comes before from.
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
