//go:build unix

package faults

import (
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/jstest"
)

// TestFaultInTheMiddleOfEachPhase makes an executor strike itself before and after each important call
// of the store, while another executor continues.
func TestFaultInTheMiddleOfEachPhase(t *testing.T) {
	t.Parallel()
	servers := jstest.Processes(t, 1)
	stops := []time.Duration{0} // SIGKILL
	if *long > 0 {
		stops = []time.Duration{0, 400 * time.Millisecond, 2500 * time.Millisecond} // shorter and longer than the lease
	}
	for _, phase := range phases {
		for _, after := range []bool{false, true} {
			for _, stop := range stops {
				s := strike{Phase: phase, After: after, Stop: stop}
				if phase == phaseRun && !after {
					continue // before it begins is the same as after the claim
				}
				t.Run(s.String(), func(t *testing.T) {
					t.Parallel()
					inTheMiddle(t, servers, s)
				})
			}
		}
	}
}

// inTheMiddle lets one executor begin a tree with an execution of every kind, and strike itself, before
// another executor starts.
func inTheMiddle(t *testing.T, servers *jstest.Machines, s strike) {
	f := newFleet(t, setup{servers: servers})
	victim := f.hire(program{Strike: s})
	f.enqueue("whole", plant{WaitAll: true, Branches: []plant{
		{}, {Kind: poll}, {Kind: line}, {Fails: 1}, {Branches: []plant{{}, {}}},
	}})
	f.enqueue("broken", plant{Branches: []plant{{Fails: 1}, {Nap: time.Minute}, {Kind: line, Nap: time.Minute}}})
	f.enqueue("cancelled", plant{Branches: []plant{{Nap: time.Minute}, {Branches: []plant{{Nap: time.Minute}}}}})
	f.enqueue("again", plant{Fails: 1, Retry: engine.Retry{MaxRetries: 1}})
	go func() {
		time.Sleep(500 * time.Millisecond)
		f.cancel("cancelled")
	}()
	if s.Stop == 0 {
		select {
		case <-victim.Exited():
		case <-time.After(20 * time.Second):
			t.Fatalf("nothing has brought %s about", s)
		}
	}
	f.hire(program{})
	f.settle()
}
