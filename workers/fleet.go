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

	next time.Time // when the next message may come again: see spread
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
	if delay == 0 || c.capable == 0 {
		return delay
	}
	return x.fleet.spread(time.Now(), delay)
}

// spread makes a pause longer where so many messages wait for those who are busy that
// they came again at more than foreignRate.
func (f *fleet) spread(at time.Time, pause time.Duration) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if soonest := at.Add(pause); f.next.Before(soonest) {
		f.next = soonest
	}
	wait := f.next.Sub(at)
	f.next = f.next.Add(time.Second / foreignRate)
	return min(wait, 30*time.Second)
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
