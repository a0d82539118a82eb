//go:build unix

package faults

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/history"
)

// waiter waits for an execution by its id.
func (f *fleet) waiter(id string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		x, err := f.client.Wait(ctx, id)
		if err == nil {
			err = x.Err()
		}
		return "", err
	}
}

// TestFaultPoisonEndsAndHarmsNoNeighbours runs a task that kills its process, one that hangs, and one
// whose output can't be encoded, among others.
func TestFaultPoisonEndsAndHarmsNoNeighbours(t *testing.T) {
	t.Parallel()
	const crashCap = 2
	f := newFleet(t, setup{})
	p := program{Slots: 8, CrashCap: crashCap, Drain: time.Second}
	for range 3 {
		f.hire(p)
	}
	killed := f.submit(history.Event{Kind: history.Accepted, Execution: "killer", Task: killers.ID(), Status: engine.Failed}, func() error {
		_, err := killers.Enqueue(f.ctx, f.client, 1, engine.ID("killer"))
		return err
	}, f.waiter("killer"))
	hung := f.submit(history.Event{Kind: history.Accepted, Execution: "hanger", Task: hangers.ID(), Status: engine.TimedOut}, func() error {
		_, err := hangers.Enqueue(f.ctx, f.client, time.Hour, engine.ID("hanger"))
		return err
	}, f.waiter("hanger"))
	odd := f.submit(history.Event{Kind: history.Accepted, Execution: "oddity", Task: oddities.ID(), Status: engine.Failed}, func() error {
		_, err := oddities.Enqueue(f.ctx, f.client, 1, engine.ID("oddity"), engine.Retry{MaxRetries: 5})
		return err
	}, f.waiter("oddity"))
	ended := make(chan struct{})
	go func() {
		<-killed
		<-hung
		<-odd
		close(ended)
	}()
	for n := 0; ; n++ {
		select {
		case <-ended:
		case <-time.After(100 * time.Millisecond):
			f.enqueue(fmt.Sprint("neighbour", n), plant{WaitAll: true, Branches: []plant{{}, {Kind: line}}})
			f.replace(p)
			continue
		}
		break
	}
	f.replace(p)
	h := f.settle()
	for _, x := range h.Records {
		switch x.ID {
		case "killer":
			if x.Crashes != crashCap+1 || !strings.Contains(x.Failure.Message, "lost its executor 3 times") {
				t.Errorf("killer: %d crashes, %q", x.Crashes, x.Failure.Message)
			}
		case "hanger":
			if x.Failure.Message != "execution timed out after 500ms" {
				t.Errorf("hanger: %q", x.Failure.Message)
			}
		case "oddity":
			if x.Attempt != 0 || x.Failure.Kind != engine.KindOutput && !strings.Contains(x.Failure.Message, "output") {
				t.Errorf("oddity: attempt %d, %s: %q", x.Attempt, x.Failure.Kind, x.Failure.Message)
			}
		}
	}
}

// replace starts an executor for each one that has ended.
func (f *fleet) replace(p program) {
	for len(f.alive()) < 3 {
		f.boot(p)
	}
}
