//go:build unix

package faults

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/history"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/jstest"
)

// backSoon is the time within which a client has reconnected: it tries after 250 to 500 ms, see
// reconnectWait in package jsstore.
const backSoon = 500*time.Millisecond + history.Slack

// event waits for the first event of a kind about an execution.
func (f *fleet) event(kind history.Kind, execution string) history.Event {
	f.t.Helper()
	for deadline := time.Now().Add(settleTime); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		h, err := history.Open(f.path)
		f.check(err)
		for _, e := range h.Events {
			if e.Kind == kind && e.Execution == execution {
				return e
			}
		}
	}
	f.t.Fatalf("no %s of %s", kind, execution)
	return history.Event{}
}

// TestFaultCancelIsFoundWhenTheConnectionIsBack cancels while the executor's connection is cut:
// its attempt ends once the connection is back, long before the executor checks its lease.
func TestFaultCancelIsFoundWhenTheConnectionIsBack(t *testing.T) {
	t.Parallel()
	for name, servers := range map[string]int{"one server": 1, "three": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, setup{lease: 30 * time.Second, servers: jstest.Processes(t, servers), replicas: servers})
			link := jstest.Proxy(t, f.servers.URL(servers-1))
			f.hire(program{URL: link.URL()})
			f.enqueue("r", plant{Nap: time.Hour, Branches: []plant{{}}})
			f.event(history.Began, "r")
			time.Sleep(200 * time.Millisecond) // after the grace, so that the record says running

			f.fault(history.FaultBegan, history.Link, "link", "cut")
			link.Cut()
			f.cancel("r")
			time.Sleep(300 * time.Millisecond)
			link.Heal()
			healed := time.Now()
			f.fault(history.FaultEnded, history.Link, "link", "cut")
			if left := f.event(history.Left, "r"); left.At.Sub(healed) > backSoon {
				t.Errorf("the context ended %s after the connection could be made again, want %s at most", left.At.Sub(healed), backSoon)
			} else {
				t.Logf("the context ended %s after the connection could be made again", left.At.Sub(healed))
			}
			f.settle()
		})
	}
}

// TestFaultOutcomeIsFoundWhenTheConnectionIsBack ends an execution while the waiter's connection is
// cut: the waiter gets the outcome once the connection is back, before its next scheduled read.
func TestFaultOutcomeIsFoundWhenTheConnectionIsBack(t *testing.T) {
	t.Parallel()
	f := newFleet(t, setup{})
	link := jstest.Proxy(t, f.servers.URL(0))
	far, err := jsstore.Connect(f.ctx, link.URL(), jsstore.Config{Namespace: f.ns})
	f.check(err)
	defer far.Close()
	f.hire(program{})
	f.enqueue("r", plant{Nap: 7 * time.Second}) // the waiter reads after 0, 2 and 6 s, and then after 14
	back := make(chan time.Time, 1)
	go func() {
		if _, err := engine.NewClient(far).Wait(f.ctx, "r"); err != nil {
			t.Error(err)
		}
		back <- time.Now()
	}()
	time.Sleep(6500 * time.Millisecond)
	f.fault(history.FaultBegan, history.Link, "link", "cut")
	link.Cut()
	f.event(history.Saw, "r")
	link.Heal()
	healed := time.Now()
	f.fault(history.FaultEnded, history.Link, "link", "cut")
	if d := (<-back).Sub(healed); d > backSoon {
		t.Errorf("the outcome came %s after the connection could be made again, want %s at most", d, backSoon)
	} else {
		t.Logf("the outcome came %s after the connection could be made again", d)
	}
	f.settle()
}

// TestFaultCancelWhileEveryExecutorIsDown cancels trees while no executor runs: when one starts, no
// remaining execution of these trees begins.
func TestFaultCancelWhileEveryExecutorIsDown(t *testing.T) {
	t.Parallel()
	f := newFleet(t, setup{})
	f.enqueue("waits", plant{})
	f.enqueue("grows", plant{Branches: []plant{{Branches: []plant{{Nap: time.Minute}, {Nap: time.Minute}}}, {Nap: time.Minute}}})
	x := f.hire(program{Slots: 1})
	f.event(history.Left, "grows")
	f.event(history.Saw, "waits")
	f.enqueue("ready", plant{})
	x.kill()
	f.cancel("ready")
	f.cancel("grows")
	time.Sleep(2 * history.Slack) // an attempt that begins now is late
	cancelled := time.Now()
	f.hire(program{})
	f.hire(program{})
	for _, e := range f.settle().Events {
		if e.Kind == history.Began && e.At.After(cancelled) {
			t.Errorf("%s began in %s, %s after it was cancelled", e.Execution, e.Process, e.At.Sub(cancelled))
		}
	}
}

// TestFaultFrozenExecutorBeginsNothingThatWasCancelledMeanwhile stops an executor that has requested
// work: when it continues, it holds executions that were cancelled while it was stopped.
func TestFaultFrozenExecutorBeginsNothingThatWasCancelledMeanwhile(t *testing.T) {
	t.Parallel()
	f := newFleet(t, setup{lease: 30 * time.Second}) // so that no other executor gets the executions
	x := f.hire(program{})
	h, err := plants.Enqueue(f.ctx, f.client, plant{})
	f.check(err)
	f.event(history.Began, h.ID()) // it runs, and the executor requests more
	done := make(chan struct{})
	go func() { x.pause(4 * time.Second); close(done) }()
	f.event(history.FaultBegan, "")
	time.Sleep(200 * time.Millisecond) // the signal has arrived
	var ids []string
	for range 20 {
		h, err := plants.Enqueue(f.ctx, f.client, plant{}) // an id that executors need not look up
		f.check(err)
		f.check(h.Cancel(f.ctx, "enough"))
		ids = append(ids, h.ID())
	}
	<-done
	last, err := plants.Enqueue(f.ctx, f.client, plant{})
	f.check(err)
	f.event(history.Began, last.ID())
	time.Sleep(time.Second)
	list, err := history.Open(f.path)
	f.check(err)
	for _, e := range list.Events {
		if e.Kind == history.Began && slices.Contains(ids, e.Execution) {
			t.Errorf("%s began at %s, when it had been cancelled", e.Execution, e.At)
		}
	}
	x.stop()
}

// TestFaultHalfOpenConnectionsAreFound lets the network of an executor and of a waiter silently
// swallow everything, for good: each notices, and continues over another connection if it can.
func TestFaultHalfOpenConnectionsAreFound(t *testing.T) {
	onlyLong(t)
	t.Parallel()
	f := newFleet(t, setup{})
	dead, way := jstest.Proxy(t, f.servers.URL(0)), jstest.Proxy(t, f.servers.URL(0))
	way.Cut()
	far, err := jsstore.Connect(f.ctx, dead.URL()+","+way.URL(), jsstore.Config{Namespace: f.ns})
	f.check(err)
	defer far.Close()
	f.hire(program{URL: dead.URL() + "," + way.URL()})
	f.enqueue("r", plant{Nap: 2 * time.Second})
	f.event(history.Began, "r")
	ctx, cancel := context.WithTimeout(f.ctx, 2*time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := engine.NewClient(far).Wait(ctx, "r")
		ended <- err
	}()
	time.Sleep(200 * time.Millisecond) // the waiter has noticed, and waits
	f.fault(history.FaultBegan, history.Link, "link", "stalled")
	dead.Stall()
	way.Heal()
	stalled := time.Now()
	if err := <-ended; err != nil {
		t.Errorf("wait over a connection that is half open: %v", err)
	}
	t.Logf("found after %s", time.Since(stalled))
	f.fault(history.FaultEnded, history.Link, "link", "stalled")
	f.settle()
}
