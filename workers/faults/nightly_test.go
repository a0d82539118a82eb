//go:build unix

package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/history"
	"github.com/durable-execution/durable/jsstore/jstest"
)

// TestNightly mixes all faults of this package, for as long as -faults says: first on one server, then
// on three with three replicas; each without a limit and with room for one root in the queue, side by
// side.
//
//	go test ./workers/faults -run Nightly -faults=30m -timeout 3h [-seed=N]
//	go test ./workers/faults -run 'Nightly/three servers/room for one' -faults=30m -timeout 1h
//
// The faults, and what the checker demands in spite of them:
//
//   - Executors, servers and leaders are killed, stopped and frozen; connections are cut, stalled and
//     slowed. Every acknowledged id gets an outcome, and no outcome changes.
//   - The password is wrong for some seconds and then right again, while executors run. Every accepted
//     execution gets an outcome without a restart of any executor.
//   - The account reaches its file limit, and so do streams, while timers come due. Every accepted
//     execution gets an outcome once there is room.
//   - All servers are down for longer than the shortest retention. An execution whose outcome was
//     seen does not run again.
//   - Trees vanish by their retention, and their ids are enqueued once more. No removed record comes
//     back, and the new executions run. The doctor first repairs the known faults of nats-server, and
//     the test logs each repair: see mended.
//   - Deep trees are cancelled. No attempt begins below a cancelled execution once the cancellation
//     must have arrived there.
//   - Two clients enqueue the same id. The store refuses the second, and the first runs.
//
// The seed determines the faults and the trees, but not their times. The test prints it, and keeps it
// with the history of a failure.
func TestNightly(t *testing.T) {
	if *long == 0 {
		t.Skip("the nightly run: takes -faults=30m, or as long as you like")
	}
	for name, servers := range map[string]int{"one server": 1, "three servers": 3} {
		t.Run(name, func(t *testing.T) {
			for name, bound := range map[string]int64{"unbounded": 0, "room for one": 1} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					nightly(t, servers, bound)
				})
			}
		})
	}
}

// nightlyCalm is the slack for every rule about time in the nightly run, which shares the machine with
// other work and does not test those rules.
const nightlyCalm = 10 * time.Second

func nightly(t *testing.T, servers int, bound int64) {
	s := setup{servers: jstest.AccountProcesses(t, servers), maxReady: bound, calm: nightlyCalm}
	every := 700 * time.Millisecond
	if servers > 1 {
		s.replicas, s.lease, every = servers, 2*time.Second, 2*time.Second
	}
	f := newFleet(t, s)
	f.mend = true
	t.Logf("seed %d", f.seed)
	n := storm{fleet: f, size: 4, every: every, faults: []func(*storm){
		killServer, killServer, stopServer, freezeServer, outage, cutLinks, stallLinks, slowLinks, rotatePassword,
		fillStreams, fillAccount, killOne, killOne, stopOne, pauseOne,
	}}
	for i := range servers {
		n.links = append(n.links, jstest.Proxy(t, f.servers.URL(i)))
	}
	over, done := make(chan struct{}), make(chan struct{})
	go func() { defer close(done); n.plantNightly(over) }()
	n.rage(*long)
	close(over)
	<-done
	t.Log(figures(n.settle()))
}

// figures summarizes a run.
func figures(h history.History) string {
	count := map[history.Kind]int{}
	faults := map[string]int{}
	for _, e := range h.Events {
		count[e.Kind]++
		if e.Kind == history.Struck || e.Kind == history.FaultBegan {
			what, _, _ := strings.Cut(e.Text, " ")
			faults[string(e.Place)+" "+what]++
		}
	}
	return fmt.Sprintf("%d roots accepted, %d executions recorded at the end, %d attempts, %d cancels, %d trees removed, %d ids enqueued again; struck: %v",
		count[history.Accepted], len(h.Records), count[history.Began], count[history.CancelAsked], count[history.Gone], count[history.Renewed], faults)
}

// plantNightly enqueues trees that other storms do not have, until the run is over.
func (s *storm) plantNightly(over <-chan struct{}) {
	r := rand.New(rand.NewPCG(s.seed, 2))
	for n := 0; ; n++ {
		select {
		case <-over:
			return
		case <-time.After(250 * time.Millisecond):
		}
		switch n % 4 {
		case 0:
			s.watching.Go(func() { s.live(fmt.Sprint("short", n), shortLife, 2, over) })
		case 1:
			id := fmt.Sprint("deep", n)
			s.enqueue(id, deep(8))
			s.watching.Go(func() {
				time.Sleep(time.Duration(r.IntN(600)) * time.Millisecond)
				s.cancel(id)
			})
		case 2:
			s.contest(fmt.Sprint("contested", n))
		case 3:
			s.watching.Go(func() { s.live(fmt.Sprint("moment", n), momentLife, 5, over) })
		}
	}
}

// Short retentions: longer and shorter than the time that a server is down.
const (
	shortLife  = 15 * time.Second
	momentLife = time.Second
)

// deep returns a deep tree: each parent has another parent below it, and a leaf that takes 20 ms.
func deep(levels int) plant {
	p := plant{WaitAll: true}
	if levels > 0 {
		p.Branches = []plant{deep(levels - 1), {Nap: 20 * time.Millisecond}}
	}
	return p
}

// live enqueues trees with a short retention under one id, each different from the one before and after
// that one has vanished, until it has enqueued enough of them or the run is over.
func (s *storm) live(id string, keep time.Duration, lives int, over <-chan struct{}) {
	for n := range lives {
		if n > 0 {
			select {
			case <-over:
				return
			default:
			}
			s.note(history.Event{Kind: history.Renewed, Execution: id})
		}
		p := plant{Branches: make([]plant, n+2)}
		p.Branches[0].Nap = 60 * time.Millisecond
		status, sum := p.ends()
		<-s.submit(history.Event{Kind: history.Accepted, Execution: id, Task: plants.ID(), Status: status, Output: text(sum), Keep: keep}, func() error {
			_, err := plants.Enqueue(s.ctx, s.client, p, engine.ID(id), engine.Retention(keep))
			return err
		}, func(ctx context.Context) (string, error) {
			out, err := plants.Handle(s.client, id).Wait(ctx)
			return text(out), err
		})
		if !s.vanished(id, len(p.Branches)) {
			return
		}
		s.note(history.Event{Kind: history.Gone, Execution: id})
	}
}

// vanished waits until the store has no record of a tree with this many branches. It returns false if
// that does not happen.
func (f *fleet) vanished(id string, branches int) bool {
	all := []string{id + ".f", id}
	for i := range branches {
		all = append(all, fmt.Sprintf("%s.%d", id, i), fmt.Sprintf("%s.%d-f", id, i))
	}
	for _, x := range all {
		for {
			if f.ctx.Err() != nil {
				return false
			}
			if _, err := f.client.Get(f.ctx, x); errors.Is(err, engine.ErrNotFound) {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	return true
}

// contest enqueues an execution that starts later, and then another one under its id. The store must
// refuse the second, wherever the message of the first is by then.
func (s *storm) contest(id string) {
	s.enqueueLater(id, 2*time.Second)
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
