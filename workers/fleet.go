package workers

import (
	"context"
	"sync"
	"time"

	"github.com/durable-execution/durable/engine"
)

const (
	// fleetFresh is how old the answers of the latest roll call may be before the executor
	// calls again, unless fleetShare for each other executor is longer. So an executor gets at
	// most five answers a second from a large fleet.
	fleetFresh = 2 * time.Second
	fleetShare = time.Second / 5
	// foreignRate bounds how many messages per second this executor returns for executors that
	// can run them but are busy.
	foreignRate = 200
	// foreignMost is the longest delay that foreignRate leads to.
	foreignMost = 30 * time.Second
	// newerRate bounds how many messages of a later version the whole fleet returns per second
	// while no executor knows that version: the cost of 5,000 such messages is then too small
	// to measure. newerMost is the longest delay that newerRate leads to: an executor of that
	// version gets the messages at most that long after it starts.
	newerRate = 40
	newerMost = 2 * time.Minute
	// fleetKept is how long an executor counts as present after its latest answer. A busy
	// executor misses roll calls, and if it counted as gone, the next message of its tasks
	// would wait for seconds.
	fleetKept = 15 * time.Second
)

// A fleet holds what an executor knows about the other executors. It knows it from roll calls,
// which it makes when it gets messages that it can't act on.
type fleet struct {
	mu      sync.Mutex
	asking  bool
	asks    sync.WaitGroup
	calls   int       // how many roll calls have succeeded
	asked   time.Time // when the latest roll call began
	present []engine.Answer
	counted map[foreignKind]counts // the counts of present that were asked for so far

	busy  pace // of messages whose executors are busy
	newer pace // of messages of a version that no executor knows
}

// A pace limits the rate at which returned messages are redelivered.
type pace struct {
	next time.Time // the earliest time of the next redelivery
}

// after returns the delay of the next redelivery: it comes one gap after the one before it, but
// not earlier than pause from now, and not later than most.
func (p *pace) after(now time.Time, pause, gap, most time.Duration) time.Duration {
	if soonest := now.Add(pause); p.next.Before(soonest) {
		p.next = soonest
	}
	wait := p.next.Sub(now)
	if wait >= most {
		return most // without moving next, so that later messages do not wait longer
	}
	p.next = p.next.Add(gap)
	return wait
}

// A foreignKind says what an executor needs to be able to act on a message.
type foreignKind struct {
	queue string // it serves this queue; empty: every executor takes such messages
	task  string // it binds this task; empty: no answer tells whether it can act
	newer bool   // it reads later versions
}

// counts says how many other executors take messages of a kind, and how many of those can act
// on them. asked says that the numbers are not known yet.
type counts struct {
	present, capable int
	asked            bool
}

// foreign returns with what delay to return a message that this executor can't act on.
func (x *Executor) foreign(kind foreignKind, deliveries int) time.Duration {
	c := x.others(kind)
	delay := engine.Foreign{Deliveries: deliveries, Present: c.present, Capable: c.capable, Asked: c.asked}.Delay()
	x.fleet.mu.Lock()
	defer x.fleet.mu.Unlock()
	switch {
	case delay == 0:
		return 0
	case c.capable > 0:
		return x.fleet.busy.after(time.Now(), delay, time.Second/foreignRate, foreignMost)
	case kind.newer && !c.asked:
		return x.fleet.newer.after(time.Now(), delay, time.Duration(c.present+1)*time.Second/newerRate, newerMost)
	}
	return delay
}

// others counts the other executors that take messages of a kind, and those that can act on
// them. If the latest answers are too old it starts a roll call, but does not wait for it.
func (x *Executor) others(kind foreignKind) counts {
	f := &x.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	fresh := max(fleetFresh, time.Duration(len(f.present))*fleetShare)
	if time.Since(f.asked) > fresh && !f.asking {
		f.asking = true
		f.asks.Go(func() { x.askFleet(x.kill) })
	}
	if f.calls == 0 {
		return counts{asked: true}
	}
	c, known := f.counted[kind]
	if !known {
		c = f.count(kind)
		f.counted[kind] = c
	}
	// Executors that start together know of each other only after the second roll call.
	c.asked = f.calls < 2 && c.capable == 0
	return c
}

func (f *fleet) count(kind foreignKind) (c counts) {
	for _, p := range f.present {
		if p.Stopping || kind.queue != "" && !p.Serves(kind.queue) {
			continue
		}
		c.present++
		if kind.can(&p.Presence) {
			c.capable++
		}
	}
	return c
}

// can reports whether an executor can act on messages of the kind.
func (k foreignKind) can(p *engine.Presence) bool {
	if k.newer {
		return p.RecordVersion > engine.Version
	}
	return k.task != "" && p.Binds(k.task)
}

// askFleet makes a roll call and keeps the answers.
func (x *Executor) askFleet(ctx context.Context) {
	began := time.Now()
	answers, err := x.store.RollCall(ctx, engine.RollCall{})
	f := &x.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asking = false
	f.asked = began
	if err == nil {
		f.learn(answers, x.config.Name, began)
	}
}

// learn keeps the answers to a roll call that began at the given time, and the earlier answers
// of other executors that are not older than fleetKept.
func (f *fleet) learn(answers []engine.Answer, self string, began time.Time) {
	f.calls++
	heard := map[string]bool{self: true}
	var present []engine.Answer
	for _, a := range answers {
		if !heard[a.Executor] {
			heard[a.Executor] = true
			present = append(present, a)
		}
	}
	for _, a := range f.present {
		if !heard[a.Executor] && !a.Stopping && began.Sub(a.CalledAt) < fleetKept {
			present = append(present, a)
		}
	}
	f.present, f.counted = present, map[foreignKind]counts{}
}

// others returns the other executors that are present and not stopping. It returns false before
// the first roll call.
func (f *fleet) others() ([]engine.Presence, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []engine.Presence
	for _, a := range f.present {
		if !a.Stopping {
			list = append(list, a.Presence)
		}
	}
	return list, f.calls > 0
}
