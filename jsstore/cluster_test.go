package jsstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/jstest"
)

// replicated opens a namespace with three replicas over a connection of its own.
func replicated(t *testing.T, ctx context.Context, url string) *jsstore.Store {
	t.Helper()
	s, err := jsstore.Connect(ctx, url, jsstore.Config{Replicas: 3}, nats.ReconnectWait(10*time.Millisecond), nats.ReconnectJitter(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestFaultNoReadIsOlderThanAWrite writes through one node of a cluster and reads
// through another, whose replicas may lag behind.
func TestFaultNoReadIsOlderThanAWrite(t *testing.T) {
	nodes := jstest.Cluster(t, 3)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	replicated(t, ctx, nodes.URL(0))
	at := nodes.Leader("KV_durable-executions")
	writer, reader := replicated(t, ctx, nodes.URL(at)), replicated(t, ctx, nodes.URL((at+1)%3))
	revision := engine.Revision(0)
	for n := 1; n <= 300; n++ {
		x := engine.Execution{ID: "x", Task: "t", Queue: "default", Status: engine.Running, Crashes: n}
		var err error
		if revision, err = writer.Update(ctx, x, revision); err != nil {
			t.Fatal(err)
		}
		r, err := reader.Get(ctx, "x")
		if err != nil || r.Crashes != n || r.Revision != revision {
			t.Fatalf("read %d at %d after write %d at %d (%v)", r.Crashes, r.Revision, n, revision, err)
		}
		id := fmt.Sprint("y", n)
		if _, err := writer.Update(ctx, engine.Execution{ID: id, Task: "t", Queue: "default", Status: engine.Completed}, 0); err != nil {
			t.Fatal(err)
		}
		if list, err := reader.GetMany(ctx, []string{id}); err != nil || list[0].Status != engine.Completed {
			t.Fatalf("read %v after %s was written: %v", list, id, err)
		}
	}
}

// TestFaultAWriterWhoseAnswersAreLostIsNotItsOwnRival makes one writer continue over a
// connection that is cut at random, while the bucket changes its leader. Nobody else writes, so
// no write may conflict, be lost, or be made twice.
func TestFaultAWriterWhoseAnswersAreLostIsNotItsOwnRival(t *testing.T) {
	nodes := jstest.Cluster(t, 3)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	link := jstest.Proxy(t, nodes.URL(0))
	s := replicated(t, ctx, link.URL())
	nc := nodes.Connect()
	// Half of the cuts in the middle of a write happen while the answer is on its way.
	const latency = 5 * time.Millisecond
	link.Slow(latency)
	over := make(chan struct{})
	var trouble sync.WaitGroup
	defer trouble.Wait()
	defer close(over)
	trouble.Go(func() {
		r := rand.New(rand.NewPCG(1, 0))
		for n := 0; ; n++ {
			select {
			case <-over:
				link.Heal()
				return
			case <-time.After(time.Duration(20+r.IntN(300)) * time.Millisecond):
			}
			link.Cut()
			time.Sleep(time.Duration(r.IntN(20)) * time.Millisecond)
			link.Heal()
			link.Slow(latency)
			if n%20 == 19 {
				_ = nc.Publish("$JS.API.STREAM.LEADER.STEPDOWN.KV_durable-executions", nil)
			}
		}
	})
	revision, retried := engine.Revision(0), 0
	for n := 1; n <= 400; n++ {
		x := engine.Execution{ID: "x", Task: "t", Queue: "default", Status: engine.Running, Crashes: n}
		began := time.Now()
		at, err := s.Update(ctx, x, revision)
		if err != nil {
			t.Fatalf("write %d at revision %d: %v (conflict: %v)", n, revision, err, errors.Is(err, engine.ErrConflict))
		}
		if time.Since(began) > 40*time.Millisecond {
			retried++
		}
		revision = at
	}
	if r, err := s.Get(ctx, "x"); err != nil || r.Crashes != 400 || r.Revision != revision {
		t.Errorf("read %d at %d: %v, want 400 at %d", r.Crashes, r.Revision, err, revision)
	}
	t.Logf("about %d of 400 writes were tried again", retried)
}
