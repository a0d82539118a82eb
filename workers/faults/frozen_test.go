//go:build unix

package faults

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/history"
)

// TestFaultFrozenExecutorIsNoticedWithinTheLease stops one of two executors while it runs half of
// the work and has many free slots, so that the server has open pulls to deliver into. Then it
// enqueues more. The attempts of the stopped executor begin elsewhere within the lease, and no new
// execution waits longer than that. When the executor continues, none of the messages in its socket
// finishes twice.
func TestFaultFrozenExecutorIsNoticedWithinTheLease(t *testing.T) {
	t.Parallel()
	const lease, slack = 5 * time.Second, time.Second
	f := newFleet(t, setup{lease: lease})
	frozen := f.hire(program{Slots: 64})
	f.hire(program{Slots: 32})
	for i := range 16 {
		f.enqueue(fmt.Sprint("running", i), plant{Nap: 2 * time.Second})
	}
	time.Sleep(500 * time.Millisecond)
	f.fault(history.FaultBegan, history.Executor, frozen.Name, "SIGSTOP")
	frozen.Signal(syscall.SIGSTOP)
	stopped := time.Now()

	type late struct {
		id string
		d  time.Duration
	}
	worst, ended := late{}, make(chan late)
	const fresh = 40
	for i := range fresh {
		id := fmt.Sprint("fresh", i)
		h, err := plants.Enqueue(f.ctx, f.client, plant{}, engine.ID(id))
		f.check(err)
		began := time.Now()
		f.note(history.Event{Kind: history.Accepted, Execution: id, Task: plants.ID(), Status: engine.Completed, Output: text(1)})
		go func() {
			_, err := h.Wait(f.ctx)
			if err != nil {
				t.Errorf("%s: %v", id, err)
			}
			ended <- late{id, time.Since(began)}
		}()
		time.Sleep(100 * time.Millisecond)
	}
	for range fresh {
		if l := <-ended; l.d > worst.d {
			worst = l
		}
	}
	if worst.d > lease+slack {
		t.Errorf("%s ended %s after it was enqueued, want %s at most", worst.id, worst.d, lease+slack)
	}
	var running time.Duration // until the last attempt of the stopped executor has begun elsewhere
	for i := range 16 {
		x, err := f.client.Wait(f.ctx, fmt.Sprint("running", i))
		f.check(err)
		running = max(running, x.StartedAt.Sub(stopped))
	}
	if running > lease+slack {
		t.Errorf("an attempt began elsewhere %s after its executor was frozen, want %s at most", running, lease+slack)
	}
	t.Logf("lease %s: new work ended after %s at most; what ran began elsewhere after %s at most", lease, worst.d, running)
	frozen.Signal(syscall.SIGCONT)
	f.fault(history.FaultEnded, history.Executor, frozen.Name, "SIGSTOP")
	f.settle()
}
