//go:build unix

package faults

import (
	"fmt"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/history"
)

// TestFaultRedeliveryStorm stops executors for longer than their lease, one after the other and
// repeatedly, with all slots in use, while executions of a task that no executor binds are returned over
// and over. The storm ends when a deploy starts an executor that binds the task.
func TestFaultRedeliveryStorm(t *testing.T) {
	t.Parallel()
	f := newFleet(t, setup{})
	for range 3 {
		f.hire(program{Slots: 4})
	}
	for n := range 60 {
		id := fmt.Sprint("stranger", n)
		f.submit(history.Event{Kind: history.Accepted, Execution: id, Task: strangers.ID(), Status: engine.Completed}, func() error {
			_, err := strangers.Enqueue(f.ctx, f.client, n, engine.ID(id))
			return err
		}, f.waiter(id))
		f.enqueue(fmt.Sprint("tree", n), plant{Nap: time.Duration(n%5) * 150 * time.Millisecond, Branches: []plant{{}, {Kind: poll}}})
	}
	for end := time.Now().Add(lasting(4 * time.Second)); time.Now().Before(end); {
		for _, m := range f.alive() {
			m.pause(1300 * time.Millisecond)
		}
	}
	old := f.alive()
	for range 3 {
		f.hire(program{Slots: 4, Strangers: true})
	}
	for _, m := range old {
		m.stop()
	}
	h := f.settle()
	for _, x := range h.Records {
		if x.Task == strangers.ID() && x.Crashes > 0 {
			t.Errorf("%s: %d crashes, and nobody who knows it stood still", x.ID, x.Crashes)
		}
	}
}
