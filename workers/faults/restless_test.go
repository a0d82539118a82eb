//go:build unix

package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/history"
	"github.com/durable-execution/durable/jsstore/jstest"
)

// A storm is random trees and cancels, and random faults of the processes that run them.
type storm struct {
	*fleet
	links  []*jstest.Link // in front of each server; every other executor connects through them
	size   int            // the number of executors
	every  time.Duration  // the mean time between two faults
	faults []func(*storm)
	trees  atomic.Int64
}

// rage runs the storm for a time, and returns once all faults are over.
func (s *storm) rage(d time.Duration) {
	for range s.size {
		s.boot(s.recruit())
	}
	over := make(chan struct{})
	var load sync.WaitGroup
	load.Go(func() { s.plant(over) })
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(time.Duration(s.rand.Int64N(int64(2 * s.every))))
		s.faults[s.rand.IntN(len(s.faults))](s)
		for len(s.alive()) < s.size {
			s.boot(s.recruit())
		}
	}
	close(over)
	load.Wait()
	s.hire(program{}) // an executor without faults
}

// recruit returns the program of a new executor: every other one connects through the links, and a third
// of them will strike themselves.
func (s *storm) recruit() program {
	p := program{Slots: 8, Drain: time.Duration(1+s.rand.IntN(1500)) * time.Millisecond}
	if len(s.links) > 0 && s.rand.IntN(2) == 0 {
		for i, l := range s.links {
			if i > 0 {
				p.URL += ","
			}
			p.URL += l.URL()
		}
	}
	if s.rand.IntN(3) == 0 {
		p.Strike = strike{Phase: phases[s.rand.IntN(len(phases))], After: s.rand.IntN(2) == 0, Nth: s.rand.IntN(40)}
		if s.rand.IntN(2) == 0 {
			p.Strike.Stop = time.Duration(100+s.rand.IntN(3000)) * time.Millisecond
		}
	}
	return p
}

// plant enqueues trees until the storm is over, and cancels some of them, or one of their branches.
func (s *storm) plant(over <-chan struct{}) {
	r := rand.New(rand.NewPCG(s.seed, 1))
	var cancels sync.WaitGroup
	defer cancels.Wait()
	for {
		select {
		case <-over:
			return
		case <-time.After(100 * time.Millisecond):
		}
		n := s.trees.Add(1)
		id := fmt.Sprintf("tree%d", n)
		s.enqueue(id, restless.grow(r, 3))
		if n%7 == 0 {
			s.sleep(fmt.Sprint("sleeper", n), time.Duration(r.IntN(3000))*time.Millisecond)
		}
		after := time.Duration(r.IntN(1500)) * time.Millisecond
		which := []string{"", ".0", ".1", ".f", ".0-0", ".1-0"}[r.IntN(6)]
		if n%5 == 0 {
			cancels.Go(func() {
				time.Sleep(after)
				s.cancel(id + which)
			})
		}
	}
}

// sleep enqueues a sleeping execution, and wakes it after a while.
func (s *storm) sleep(id string, d time.Duration) {
	woken := history.Event{Kind: history.Accepted, Execution: id, Task: sleepers.ID(), Status: engine.Completed, Output: "7"}
	s.submit(woken, func() error {
		_, err := sleepers.Enqueue(s.ctx, s.client, 1, engine.ID(id))
		return err
	}, func(ctx context.Context) (string, error) {
		out, err := sleepers.Handle(s.client, id).Wait(ctx)
		return text(out), err
	})
	s.watching.Go(func() {
		time.Sleep(d)
		for s.ctx.Err() == nil {
			err := sleepers.Wake(s.ctx, s.client, id, 7)
			if err == nil || errors.Is(err, engine.ErrFinished) { // an earlier try succeeded, but its answer was lost
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
}

// anyone returns an executor that runs.
func (s *storm) anyone() *member {
	list := s.alive()
	if len(list) == 0 {
		return s.boot(s.recruit())
	}
	return list[s.rand.IntN(len(list))]
}

// The faults of executors.
func killOne(s *storm)  { s.anyone().kill() }
func stopOne(s *storm)  { m := s.anyone(); s.boot(s.recruit()); m.stop() }
func pauseOne(s *storm) { s.anyone().pause(time.Duration(s.rand.IntN(3000)) * time.Millisecond) }

// The faults of the server.
func killServer(s *storm) {
	i := s.servers.Leader(s.ns + "-" + []string{"ready", "timers", "control"}[s.rand.IntN(3)])
	name := fmt.Sprint("server", i)
	s.fault(history.FaultBegan, history.Server, name, "SIGKILL")
	s.servers.Kill(i)
	time.Sleep(time.Duration(s.rand.IntN(1000)) * time.Millisecond)
	s.servers.Start(i)
	s.fault(history.FaultEnded, history.Server, name, "SIGKILL")
}

func stopServer(s *storm) {
	i := s.servers.Leader("KV_" + s.ns + "-executions")
	name := fmt.Sprint("server", i)
	s.fault(history.FaultBegan, history.Server, name, "SIGTERM")
	s.servers.Stop(i)
	time.Sleep(time.Duration(s.rand.IntN(1000)) * time.Millisecond)
	s.servers.Start(i)
	s.fault(history.FaultEnded, history.Server, name, "SIGTERM")
}

func freezeServer(s *storm) {
	i := s.servers.Leader(s.ns + "-ready")
	name := fmt.Sprint("server", i)
	s.fault(history.FaultBegan, history.Server, name, "SIGSTOP")
	s.servers.Freeze(i)
	time.Sleep(time.Duration(s.rand.IntN(2500)) * time.Millisecond)
	s.servers.Thaw(i)
	s.fault(history.FaultEnded, history.Server, name, "SIGSTOP")
}

// The faults of the network.
func cutLinks(s *storm) { s.upset("cut", (*jstest.Link).Cut) }

func stallLinks(s *storm) { s.upset("stalled", (*jstest.Link).Stall) }

func slowLinks(s *storm) {
	s.upset("slow", func(l *jstest.Link) { l.Slow(time.Duration(s.rand.IntN(300)) * time.Millisecond) })
}

func (s *storm) upset(how string, fn func(*jstest.Link)) {
	if len(s.links) == 0 {
		return
	}
	s.fault(history.FaultBegan, history.Link, "links", how)
	for _, l := range s.links {
		fn(l)
	}
	time.Sleep(time.Duration(s.rand.IntN(2500)) * time.Millisecond)
	for _, l := range s.links {
		l.Heal()
	}
	s.fault(history.FaultEnded, history.Link, "links", how)
}

// TestFaultsOfExecutors kills, stops and pauses executors at random, while random trees grow.
func TestFaultsOfExecutors(t *testing.T) {
	t.Parallel()
	s := storm{fleet: newFleet(t, setup{}), size: 3, every: 400 * time.Millisecond, faults: []func(*storm){killOne, stopOne, pauseOne}}
	s.rage(lasting(6 * time.Second))
	s.settle()
}

// TestFaultsOfServerAndNetwork kills, stops and freezes the only server, cuts, stalls and slows the
// network, and kills executors meanwhile.
func TestFaultsOfServerAndNetwork(t *testing.T) {
	t.Parallel()
	f := newFleet(t, setup{})
	s := storm{fleet: f, size: 4, every: 700 * time.Millisecond, links: []*jstest.Link{jstest.Proxy(t, f.servers.URL(0))}}
	s.faults = []func(*storm){killServer, stopServer, freezeServer, cutLinks, stallLinks, slowLinks, killOne, pauseOne}
	s.rage(lasting(7 * time.Second))
	s.settle()
}

// TestFaultsOfACluster kills the leaders and other servers of a cluster of three.
func TestFaultsOfACluster(t *testing.T) {
	t.Parallel()
	f := newFleet(t, setup{servers: jstest.Processes(t, 3), replicas: 3, lease: 2 * time.Second})
	s := storm{fleet: f, size: 3, every: 2 * time.Second, faults: []func(*storm){killServer, killServer, stopServer, freezeServer, killOne, pauseOne}}
	for i := range 3 {
		s.links = append(s.links, jstest.Proxy(t, f.servers.URL(i)))
	}
	s.rage(lasting(7 * time.Second))
	s.settle()
}
