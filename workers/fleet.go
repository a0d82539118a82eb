package workers

import (
	"context"
	"sync"
	"time"

	"github.com/durable-execution/durable/engine"
)

const (
	// fleetFresh is how old what is known of the other executors may be before they are
	// asked again, and fleetShare how much longer for each of them: an executor gets five
	// answers a second at most, however many there are.
	fleetFresh = 2 * time.Second
	fleetShare = time.Second / 5
	// foreignRate bounds how many messages an executor has come again per second while
	// those who can run them are busy.
	foreignRate = 200
	// foreignMost is the longest pause that foreignRate leads to.
	foreignMost = 30 * time.Second
	// newerRate bounds how many messages of a later version the whole fleet has come again
	// per second while no executor knows that version: 5,000 of them cost a server nothing
	// that shows. newerMost is the longest pause that it leads to, after which an executor of
	// that version, which may have started meanwhile, gets them.
	newerRate = 40
	newerMost = 2 * time.Minute
	// fleetKept is how long an executor that has answered is taken to be there while it
	// answers no more: one that has much to do misses a roll call, and were it taken for
	// gone, the next message of its tasks would wait for seconds.
	fleetKept = 15 * time.Second
)

// A fleet is what an executor knows of the others, from the roll calls that it makes
// while it gets messages that are for others.
type fleet struct {
	mu      sync.Mutex
	asking  bool
	asks    sync.WaitGroup
	calls   int       // roll calls that were answered
	asked   time.Time // when the latest of them began
	present []engine.Answer
	counted map[foreignKind]counts // of present

	busy, newer pace // of messages whose executors are busy; of a version that nobody knows
}

// A pace keeps messages from coming again too often.
type pace struct {
	next time.Time // when the next may come
}

// after returns a pause that is at least so long, and that ends a gap after the one before
// it, or most from now.
func (p *pace) after(now time.Time, pause, gap, most time.Duration) time.Duration {
	if soonest := now.Add(pause); p.next.Before(soonest) {
		p.next = soonest
	}
	wait := p.next.Sub(now)
	if wait >= most {
		return most // and the next one does not wait for longer
	}
	p.next = p.next.Add(gap)
	return wait
}

// A foreignKind is what a message needs of an executor that can act on it.
type foreignKind struct {
	queue string // empty: any executor takes such messages
	task  string // it binds this; empty: nobody knows who can
	newer bool   // it reads later versions
}

// counts are of the others; asked says that they are not known yet.
type counts struct {
	present, capable int
	asked            bool
}

// foreign returns how long to leave a message to others.
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

// others returns how many other executors take messages of a kind, and can act on them.
// It asks them anew, without waiting for it, if it is time to.
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
	// Programs that start together hear of each other by the second roll call.
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

func (k foreignKind) can(p *engine.Presence) bool {
	if k.newer {
		return p.RecordVersion > engine.Version
	}
	return k.task != "" && p.Binds(k.task)
}

// askFleet calls the roll.
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

// learn takes the answers to a roll call that began then. Whoever has answered lately is
// kept.
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

// others returns the executors that are there and stay; false if nobody has been asked.
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
