package semantics_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/jstest"
	"github.com/durable-execution/durable/workers"
)

// TestTreesCompleteWhileTheNodesOfAClusterRestart is a first test of replicas, with real sockets:
// each of three nodes is stopped and started while trees run.
func TestTreesCompleteWhileTheNodesOfAClusterRestart(t *testing.T) {
	nodes := jstest.Cluster(t, 3)
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	s, err := jsstore.Open(ctx, nodes.Connect(), jsstore.Config{Replicas: 3, Lease: 3 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	child := engine.Define[int, int]("child")
	parent := engine.Define[int, int]("parent")
	x, err := workers.New(s, workers.Config{},
		engine.Bind(child, func(_ context.Context, n int) (int, error) { return n, nil }),
		engine.BindParent(parent, func(_ context.Context, n int, kids *engine.Children) (int, error) {
			for i := range n {
				child.Spawn(kids, i)
			}
			return n, nil
		}, func(_ context.Context, j engine.Joined[int, int]) (int, error) {
			sum := 0
			for _, r := range child.Results(j.Children) {
				n, err := r.Get()
				if err != nil {
					return 0, err
				}
				sum += n
			}
			return sum, nil
		}))
	if err != nil {
		t.Fatal(err)
	}
	run, drain := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- x.Run(run) }()

	var handles []engine.Handle[int]
	for node := range 3 {
		for i := range 20 {
			// With an id given by the caller it is safe to enqueue again after an error.
			var h engine.Handle[int]
			for {
				h, err = parent.Enqueue(ctx, x.Client(), 10, engine.ID(fmt.Sprintf("p-%d-%d", node, i)))
				if err == nil {
					break
				}
				if ctx.Err() != nil {
					t.Fatal(err)
				}
			}
			handles = append(handles, h)
			if i == 10 {
				nodes.Stop(node)
			}
		}
		nodes.Start(node)
	}
	for _, h := range handles {
		if sum, err := h.Wait(ctx); err != nil || sum != 45 {
			t.Errorf("%s: sum = %d, error = %v, want 45", h.ID(), sum, err)
		}
	}
	drain()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
