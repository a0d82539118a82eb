package semantics_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/jstest"
	"github.com/durable-execution/durable/workers"
)

// busy is how late a cancellation may arrive on a busy machine.
const busy = 250 * time.Millisecond

// TestNothingBeginsBelowACancelledRoot cancels trees while they grow. Only executions that were
// being spawned at that moment may begin. It runs in real time, in which notices are not
// instantaneous.
func TestNothingBeginsBelowACancelledRoot(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds of real time: skipped in short mode")
	}
	s, err := jsstore.Open(t.Context(), jstest.Server(t), jsstore.Config{})
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	grow := engine.Define[int, engine.Gathered[int]]("grow")
	var mu sync.Mutex
	var began []time.Time
	x, err := workers.New(s, workers.Config{}, engine.BindFanOut(grow, func(_ context.Context, depth int, c *engine.Children) (int, error) {
		mu.Lock()
		began = append(began, time.Now())
		mu.Unlock()
		for range 2 * min(depth, 1) {
			grow.Spawn(c, depth-1)
		}
		return 0, nil
	}))
	check(t, err)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- x.Run(ctx) }()
	client := engine.NewClient(s)
	for range 3 {
		h, err := grow.Enqueue(t.Context(), client, 15)
		check(t, err)
		time.Sleep(150 * time.Millisecond)
		check(t, h.Cancel(t.Context(), "enough"))
		cancelled := time.Now()
		time.Sleep(3 * time.Second) // attempts that begin in this time begin late
		mu.Lock()
		late, last := 0, time.Duration(0)
		for _, at := range began {
			if d := at.Sub(cancelled); d > workers.DefaultGrace+busy {
				late, last = late+1, max(last, d)
			}
		}
		t.Logf("%d attempts, %d of them late, the last by %s", len(began), late, last)
		if late > 0 {
			t.Errorf("%d of %d attempts began more than %s after the root was cancelled, the last %s after it", late, len(began), workers.DefaultGrace, last)
		}
		began = nil
		mu.Unlock()
	}
	stop()
	check(t, <-done)
}
