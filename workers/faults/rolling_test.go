//go:build unix

package faults

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/history"
)

// TestFaultRollingRestartsCostNothing restarts three executors one after the other, repeatedly, under a
// constant load of short and long trees. Each long step is longer than the drain. No execution fails, none
// counts a crash, and another executor takes each returned execution within the bound.
func TestFaultRollingRestartsCostNothing(t *testing.T) {
	t.Parallel()
	restarts := 3
	if *long > 0 {
		restarts = 20
	}
	const drain = 300 * time.Millisecond
	// A lease that executors keep renewed even on a busy machine.
	f := newFleet(t, setup{lease: 3 * time.Second})
	seats := make([]*member, 3)
	for i := range seats {
		seats[i] = f.hire(program{Slots: 20, Drain: drain})
	}
	over := make(chan struct{})
	var load sync.WaitGroup
	load.Go(func() {
		habit := habit{naps: []time.Duration{0, 10 * time.Millisecond, 50 * time.Millisecond, 2 * drain, 4 * drain}, steady: true, breadth: 3}
		r := rand.New(rand.NewPCG(f.seed, 1))
		for n := 0; ; n++ {
			select {
			case <-over:
				return
			case <-time.After(50 * time.Millisecond):
			}
			f.enqueue(fmt.Sprint("tree", n), habit.grow(r, 2))
		}
	})
	for range restarts {
		time.Sleep(time.Second)
		for i, m := range seats {
			f.note(history.Event{Kind: history.Note, Process: m.Name, Text: "SIGTERM"})
			m.stop()
			if code := m.ExitCode(); code != 0 {
				t.Errorf("%s: exit code = %d", m.Name, code)
			}
			seats[i] = f.hire(program{Slots: 20, Drain: drain})
		}
	}
	close(over)
	load.Wait()
	h := f.settle()
	handedBack := 0
	for _, x := range h.Records {
		if x.Status != engine.Completed || x.Crashes != 0 {
			t.Errorf("%s: %s with %d crashes (%v)", x.ID, x.Status, x.Crashes, x.Failure)
		}
		for _, a := range x.History {
			if a.Failure != nil && a.Failure.Kind == engine.KindShutdown {
				handedBack++
			}
		}
	}
	pauses := h.Pauses()
	var longest history.Pause
	for _, p := range pauses {
		if p.For() > longest.For() {
			longest = p
		}
	}
	// Another executor gets returned messages at once. Messages on their way to an executor that
	// closes its connection are returned as well, so that none waits for its lease.
	if longest.For() > history.Slack {
		t.Errorf("%s was due and not run for %s, from %s on: the bound is %s", longest.Execution, longest.For(), longest.From, history.Slack)
	}
	if handedBack == 0 {
		t.Error("nothing was handed back: the test tests nothing")
	}
	t.Logf("%d restarts, %d executions, %d handed back; the longest pause %s", 3*restarts, len(h.Records), handedBack, longest.For())
}
