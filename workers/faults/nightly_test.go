//go:build unix

package faults

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/history"
	"github.com/durable-execution/durable/jsstore/jstest"
)

var nodes = flag.Int("nodes", 1, "how many servers the nightly run has; from 3 on everything has three replicas")

// TestNightly mixes what this package strikes with, for as long as -faults says, on one server
// or on -nodes=3, without a bound and with room for one root in the queue:
//
//	go test ./workers/faults -run Nightly -faults=30m -timeout 2h [-nodes=3] [-seed=N]
//
// Executors and servers are killed, stopped and frozen, connections cut, stalled and slowed,
// streams full; meanwhile trees grow, deep ones are cancelled, short-lived ones vanish, and ids
// are claimed twice. What it was made from is printed, and kept with the history of a failure.
func TestNightly(t *testing.T) {
	if *long == 0 {
		t.Skip("the nightly run: takes -faults=30m, or as long as you like, and -nodes=3 for a cluster")
	}
	for name, bound := range map[string]int64{"unbounded": 0, "room for one": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup{servers: jstest.Processes(t, *nodes), maxReady: bound}
			every := 700 * time.Millisecond
			if *nodes >= 3 {
				s.replicas, s.lease, every = 3, 2*time.Second, 2*time.Second
			}
			f := newFleet(t, s)
			t.Logf("seed %d: -faults=%s -nodes=%d -seed=%d", f.seed, *long, *nodes, f.seed)
			n := storm{fleet: f, size: 4, every: every, faults: []func(*storm){
				killServer, killServer, stopServer, freezeServer, cutLinks, stallLinks, slowLinks, fillStreams,
				killOne, stopOne, pauseOne,
			}}
			for i := range *nodes {
				n.links = append(n.links, jstest.Proxy(t, f.servers.URL(i)))
			}
			over, done := make(chan struct{}), make(chan struct{})
			go func() { defer close(done); n.plantNightly(over) }()
			n.rage(*long)
			close(over)
			<-done
			n.settle()
		})
	}
}

// plantNightly enqueues what the other storms do not have, until it is over.
func (s *storm) plantNightly(over <-chan struct{}) {
	r := rand.New(rand.NewPCG(s.seed, 2))
	for n := 0; ; n++ {
		select {
		case <-over:
			return
		case <-time.After(250 * time.Millisecond):
		}
		switch n % 3 {
		case 0:
			s.vanish(fmt.Sprint("short", n))
		case 1:
			id := fmt.Sprint("deep", n)
			s.enqueue(id, deep(8))
			s.watching.Go(func() {
				time.Sleep(time.Duration(r.IntN(600)) * time.Millisecond)
				s.cancel(id)
			})
		case 2:
			s.contest(fmt.Sprint("contested", n))
		}
	}
}

// deep is a tree of width 2 whose executions take no time.
func deep(levels int) plant {
	p := plant{WaitAll: true}
	if levels > 0 {
		p.Branches = []plant{deep(levels - 1), {Nap: 20 * time.Millisecond}}
	}
	return p
}

// vanish enqueues a tree of a short retention, and writes when nothing is known of it any more.
func (s *storm) vanish(id string) {
	p := plant{Branches: []plant{{Nap: 60 * time.Millisecond}, {}}}
	status, sum := p.ends()
	seen := s.submit(history.Event{Kind: history.Accepted, Execution: id, Task: plants.ID(), Status: status, Output: text(sum)}, func() error {
		_, err := plants.Enqueue(s.ctx, s.client, p, engine.ID(id), engine.Retention(shortLife))
		return err
	}, func(ctx context.Context) (string, error) {
		out, err := plants.Handle(s.client, id).Wait(ctx)
		return text(out), err
	})
	s.watching.Go(func() {
		<-seen
		for _, below := range []string{".0", ".1", ".f", ""} {
			for s.ctx.Err() == nil {
				if _, err := s.client.Get(s.ctx, id+below); errors.Is(err, engine.ErrNotFound) {
					break
				}
				time.Sleep(100 * time.Millisecond)
			}
		}
		s.note(history.Event{Kind: history.Gone, Execution: id})
	})
}

// shortLife is the retention of what vanishes: longer than a server is down, so that the
// outcome is seen before.
const shortLife = 15 * time.Second

// contest enqueues an execution that starts later, and another under its id, which must be
// refused, wherever the first lies by then.
func (s *storm) contest(id string) {
	first := plant{Nap: 10 * time.Millisecond}
	s.submit(history.Event{Kind: history.Accepted, Execution: id, Task: plants.ID(), Status: engine.Completed, Output: text(1)}, func() error {
		_, err := plants.Enqueue(s.ctx, s.client, first, engine.ID(id), engine.Delay(2*time.Second))
		return err
	}, func(ctx context.Context) (string, error) {
		out, err := plants.Handle(s.client, id).Wait(ctx)
		return text(out), err
	})
	s.watching.Go(func() {
		for s.ctx.Err() == nil {
			_, err := plants.Enqueue(s.ctx, s.client, plant{Branches: []plant{{}}}, engine.ID(id))
			if errors.Is(err, engine.ErrIDConflict) {
				return
			}
			if err == nil {
				s.t.Errorf("seed %d: %s was accepted twice, with two inputs", s.seed, id)
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
}

// fillStreams has an operator's limit leave no room for a while.
func fillStreams(s *storm) {
	s.fault(history.FaultBegan, history.Server, "streams", "full")
	s.limitStreams(20_000)
	time.Sleep(time.Duration(s.rand.IntN(2000)) * time.Millisecond)
	s.limitStreams(-1)
	s.fault(history.FaultEnded, history.Server, "streams", "full")
}

// limitStreams leaves the streams of work so many bytes of room; -1 is without end.
func (s *storm) limitStreams(room int64) {
	nc := s.servers.Connect()
	defer nc.Close()
	js, err := jetstream.New(nc)
	s.check(err)
	for _, name := range []string{"KV_" + s.ns + "-executions", s.ns + "-ready"} {
		for end := time.Now().Add(settleTime); ; {
			err := limitStream(s.ctx, js, name, room)
			if err == nil {
				break
			}
			if time.Now().After(end) {
				s.t.Fatalf("limit %s: %v", name, err)
			}
		}
	}
}

func limitStream(ctx context.Context, js jetstream.JetStream, name string, room int64) error {
	stream, err := js.Stream(ctx, name)
	if err != nil {
		return err
	}
	c := stream.CachedInfo().Config
	if c.MaxBytes = room; room > 0 {
		c.MaxBytes += int64(stream.CachedInfo().State.Bytes)
	}
	_, err = js.UpdateStream(ctx, c)
	return err
}
