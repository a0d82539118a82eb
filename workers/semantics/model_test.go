package semantics_test

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/durable-execution/durable/engine"
)

// A span is a range of possible times of an event: between from and to after the root was
// enqueued.
type span struct{ from, to time.Duration }

const (
	never   time.Duration = math.MaxInt64 / 2
	unknown               = 10_000 * time.Hour    // a bound on the wait for a slot if there are few slots
	margin                = 60 * time.Millisecond // events closer than this may happen in any order
)

func (s span) near(other span) bool { return s.from <= other.to+margin && other.from <= s.to+margin }

// A fate is the expected end of an execution.
type fate struct {
	id       string // its id without the prefix of the root's
	status   engine.Status
	or       engine.Status // the other possible status if a race decides
	said     string        // its output
	attempts int
	at       span // when it finished
	vague    bool // a race decides its end, or the end of an execution below it
	hit      bool // its own cancellation ended it
	cut      bool // the end of an ancestor ended it
	below    []fate
}

// A model is SEMANTICS.md as a function of a tree.
type model struct {
	late, slot time.Duration // how long a timer may be late, and an attempt wait for a slot
	cancels    map[string]time.Duration
}

// fate returns the expected end of an execution that is created at born, and that an ancestor
// cancels at end.
func (m model) fate(id string, n node, born, end span) fate {
	f := fate{id: id, status: engine.Completed, at: born, said: n.name()}
	own := false
	if at, ok := m.cancels[id]; ok {
		c := span{at, at}
		f.vague = c.near(end)
		if own = !f.isAfter(c) && at < end.from; own { // an earlier cancellation does not find the execution
			end = c
		}
	}
	over := func() bool { // it has finished, or was cancelled before it got this far
		if f.status == engine.Completed && f.isAfter(end) {
			f.end(engine.Cancelled, end)
			f.hit, f.cut = own, !own
		}
		return f.status != engine.Completed
	}
	m.wait(&f, n.Delay, n.Delay)
	for way := errs; way != "" && !over(); {
		way = n.way(f.attempts)
		f.attempts++
		least, delay, took, status := n.attempt(way, f.attempts)
		f.at = span{f.at.from + took, f.at.to + took}
		switch final := way == permanent || way == quits || f.attempts > n.Retry.MaxRetries; {
		case over() || way == "":
		case final:
			f.end(status, f.at)
		default:
			m.wait(&f, least, delay)
		}
	}
	if over() || n.Kind == leaf || n.Kind == walk {
		return f
	}
	if n.Kind == line {
		f.said = ""
		for i, step := range n.Below {
			c := f.add(m.fate(below(id, strconv.Itoa(i)), step, f.at, end))
			if f.at = c.told(); over() {
				return f
			}
			if f.said += c.said; c.status != engine.Completed {
				f.end(engine.ChildrenFailed, f.at)
				return f
			}
		}
		return f
	}
	born, first, failed := f.at, span{never, never}, 0
	var said []string
	for i, b := range n.Below {
		c := f.add(m.fate(below(id, strconv.Itoa(i)), b, born, end))
		said = append(said, c.said)
		f.at = span{max(f.at.from, c.told().from), max(f.at.to, c.told().to)}
		if c.status != engine.Completed && !c.cut {
			first = span{min(first.from, c.at.from), min(first.to, c.at.to)}
		}
	}
	if first.from < never && !n.WaitAll {
		if f.at = first; over() {
			return f
		}
		free := f.below
		f.end(engine.ChildrenFailed, first)
		for _, c := range free {
			if c.status != engine.Completed && !c.cut && c.at.near(first) {
				failed++
			}
		}
		f.below = nil
		for i, c := range free { // the unfinished children are cancelled
			if failed > 1 || c.status == engine.Completed || !c.at.near(first) {
				c = m.fate(c.id, n.Below[i], born, first)
			}
			if c.vague {
				c = fate{id: c.id, status: free[i].status, or: engine.Cancelled, vague: true}
			}
			f.below = append(f.below, c)
		}
		return f
	}
	if over() {
		return f
	}
	if f.said += "{" + strings.Join(said, " ") + "}"; n.Finale == nil {
		f.said = n.name() + "[" + strings.Join(said, " ") + "]"
		return f
	}
	c := f.add(m.fate(below(id, "f"), *n.Finale, f.at, end))
	if f.at = c.told(); over() {
		return f
	}
	if f.said += c.said; c.status != engine.Completed {
		f.end(engine.FinalizeFailed, f.at)
	}
	return f
}

// isAfter reports whether f has got past s. If a race decides that, it makes f vague.
func (f *fate) isAfter(s span) bool {
	f.vague = f.vague || s.near(f.at)
	return s.from < f.at.from
}

func (f *fate) end(status engine.Status, at span) {
	f.status, f.said, f.at = status, "!"+string(status), at
}

func (f *fate) add(c fate) fate {
	f.below, f.vague = append(f.below, c), f.vague || c.vague
	return c
}

// told returns when the parent is told of f's end: never, if f ends because the parent ended.
func (f fate) told() span {
	if f.cut {
		return span{never, never}
	}
	return f.at
}

// wait adds a timer of least to most, and the wait for a slot.
func (m model) wait(f *fate, least, most time.Duration) {
	f.at.from += least.Truncate(time.Millisecond) // as times are stored
	if f.at.to += most + m.slot; most > 0 {
		f.at.to += m.late
	}
}

// way returns how an attempt, counted from 0, fails; empty if it succeeds.
func (n node) way(attempt int) string {
	if attempt < len(n.Ways) {
		return n.Ways[attempt]
	}
	return ""
}

// attempt returns how long an attempt takes, the status that it would end with, and the shortest
// and the longest delay before retry k.
func (n node) attempt(way string, k int) (least, delay, took time.Duration, status engine.Status) {
	took, status = n.Nap, engine.Failed
	factor := n.Retry.Multiplier
	if factor == 0 {
		factor = 1
	}
	delay = time.Duration(float64(n.Retry.BaseDelay) * math.Pow(factor, float64(k-1)))
	if n.Retry.MaxDelay > 0 {
		delay = min(delay, n.Retry.MaxDelay)
	}
	least = time.Duration(float64(delay) * (1 - n.Retry.Jitter))
	switch way {
	case after:
		least, delay = n.After, n.After
	case overruns, ignores:
		took, status = n.Timeout, engine.TimedOut
	case timesOut:
		status = engine.TimedOut
	case quits:
		status = engine.Cancelled
	}
	return least, delay, took, status
}
