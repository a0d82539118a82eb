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
)

// A fleet is what an executor knows of the others, from the roll calls that it makes
// while it gets messages that are for others.
type fleet struct {
	mu      sync.Mutex
	asking  bool
	asked   time.Time // when the latest roll call began that was answered
	present []engine.Presence
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
		go x.askFleet(x.kill)
	}
	if f.asked.IsZero() {
		return counts{asked: true}
	}
	c, known := f.counted[kind]
	if !known {
		c = f.count(kind)
		f.counted[kind] = c
	}
	return c
}

func (f *fleet) count(kind foreignKind) (c counts) {
	for _, p := range f.present {
		if p.Stopping || kind.queue != "" && !p.Serves(kind.queue) {
			continue
		}
		c.present++
		if kind.can(&p) {
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
	f.asked, f.present, f.counted = began, nil, map[foreignKind]counts{}
	if err != nil {
		return // nothing is known until it is time to ask again
	}
	for _, a := range answers {
		if a.Executor != x.config.Name {
			f.present = append(f.present, a.Presence)
		}
	}
}
