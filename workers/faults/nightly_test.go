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

// TestNightly mixes what this package strikes with, for as long as -faults says: on one server
// and then on three with as many replicas, each without a bound and with room for one root in
// the queue, side by side.
//
//	go test ./workers/faults -run Nightly -faults=30m -timeout 3h [-seed=N]
//	go test ./workers/faults -run 'Nightly/three servers/room for one' -faults=30m -timeout 1h
//
// What strikes, and what the checker demands in spite of it:
//
//   - Executors, servers and leaders are killed, stopped and frozen, connections cut, stalled
//     and slowed: no acknowledged id is unanswered, an outcome never changes.
//   - The password is wrong for some seconds and right again, while executors run: nobody has
//     to be started again for what they had accepted to be answered.
//   - The account is at its file limit, and so are streams, while timers come due: what was
//     accepted is answered once there is room.
//   - Every server is down for longer than what ends meanwhile is kept: nothing of which an
//     outcome was seen runs again.
//   - Trees vanish by their retention, and their ids are enqueued again: nothing that was
//     removed is back, and what is enqueued again runs. What nats-server itself brings back or
//     passes over the doctor mends first, and the test logs it: see mended.
//   - Deep trees are cancelled: no attempt begins below a cancel once the news is due there.
//   - Ids are claimed twice: the second is refused, the first is what runs.
//
// The seed, which is printed and kept with the history of a failure, says what is struck and
// grown, not when.
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

// nightlyCalm is what anything may take in the nightly run that nothing disturbs: it shares
// the machine, and which of its rules depend on time is not its subject.
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

// figures says what a run came to.
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

// plantNightly enqueues what the other storms do not have, until it is over.
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

// How long what vanishes is kept: longer than a server is down, or shorter.
const (
	shortLife  = 15 * time.Second
	momentLife = time.Second
)

// deep is a tree of width 2 whose executions take no time.
func deep(levels int) plant {
	p := plant{WaitAll: true}
	if levels > 0 {
		p.Branches = []plant{deep(levels - 1), {Nap: 20 * time.Millisecond}}
	}
	return p
}

// live enqueues trees of a short retention under one id, each when the one before is gone,
// and another than that, until so many have lived or it is over.
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

// vanished waits until nothing is known of a tree with so many branches; it returns false if
// that does not come about.
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

// contest enqueues an execution that starts later, and another under its id, which must be
// refused, wherever the first lies by then.
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
