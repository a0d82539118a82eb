//go:build unix

package faults

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/history"
	"github.com/durable-execution/durable/jsstore/jstest"
)

// Promises that the engine has broken once, each tested with the processes that broke it.

// TestFaultCredentialsFailAndReturn makes the server refuse the password for some seconds, while
// attempts run and others become due. Every executor continues without a restart, and so does the
// caller.
func TestFaultCredentialsFailAndReturn(t *testing.T) {
	t.Parallel()
	f := newFleet(t, setup{servers: jstest.AccountProcesses(t, 1), lease: 2 * time.Second})
	first := []*member{f.hire(program{Slots: 4}), f.hire(program{Slots: 4})}
	for n := range 10 {
		f.enqueue(fmt.Sprint("tree", n), plant{Nap: time.Duration(n) * 200 * time.Millisecond, Branches: []plant{{}, {Nap: 300 * time.Millisecond}, {Kind: poll}}})
	}
	enqueued := make(chan struct{})
	f.refusePrograms(func() {
		go func() { defer close(enqueued); f.enqueue("meanwhile", plant{Branches: []plant{{}}}) }()
		time.Sleep(3 * time.Second)
	})
	<-enqueued
	f.enqueue("afterwards", plant{Branches: []plant{{}}})
	f.watching.Wait()
	if now := f.alive(); !slices.Equal(now, first) {
		t.Errorf("%d of the %d executors are left", len(now), len(first))
	}
	f.settle()
}

// TestFaultABoundOfOneUnderKills runs parents with room for one root in the queue, and kills one
// executor after the other.
func TestFaultABoundOfOneUnderKills(t *testing.T) {
	t.Parallel()
	f := newFleet(t, setup{maxReady: 1})
	f.enqueue("first", plant{}) // no executor runs: it stays in the queue
	var enqueuing sync.WaitGroup
	enqueuing.Go(func() { f.enqueue("second", plant{}) })
	f.event(history.Refused, "second")
	p := program{Slots: 3}
	for range 3 {
		f.hire(p)
	}
	for n := range 12 {
		f.enqueue(fmt.Sprint("tree", n), plant{WaitAll: true, Branches: []plant{
			{Nap: 50 * time.Millisecond}, {Branches: []plant{{}, {}, {}}}, {Kind: line}, {Kind: poll}, {Fails: 1, Retry: engine.Retry{MaxRetries: 1}},
		}})
		if n%3 == 2 {
			f.alive()[0].kill()
			f.replace(p)
		}
	}
	enqueuing.Wait()
	f.settle()
}

// TestFaultADelayedExecutionKeepsItsIDWhenItsExecutorIsKilled publishes another input under the id of
// an accepted execution that is not due yet: before an executor has taken the first message from the
// queue, while that message is in the timers, and while its executor is being killed.
func TestFaultADelayedExecutionKeepsItsIDWhenItsExecutorIsKilled(t *testing.T) {
	t.Parallel()
	f := newFleet(t, setup{})
	js, err := jetstream.New(f.servers.Connect())
	f.check(err)
	intrude := func(id string) {
		t.Helper()
		m := nats.NewMsg(f.ns + ".ready.default.plant." + id)
		m.Data = []byte(text(plant{Branches: []plant{{}, {}}})) // its output would be 3
		// While the first message is in the queue, the server refuses another one.
		if _, err := js.PublishMsg(f.ctx, m); err != nil && !strings.Contains(err.Error(), "maximum messages per subject") {
			t.Errorf("%s: %v", id, err)
		}
	}
	const ids = 8
	id := func(n int) string { return fmt.Sprint("delayed", n) }
	for n := range ids {
		f.enqueueLater(id(n), 3*time.Second)
	}
	intrude(id(0))
	x := f.boot(program{Slots: 4})
	for n := range ids - 1 {
		intrude(id(n + 1))
		if n == ids/2 {
			x.AwaitReady()
			for range ids {
				intrude(id(1 + n%3))
			}
			x.kill()
		}
	}
	for n := range ids {
		intrude(id(n))
	}
	f.hire(program{Slots: 4})
	for n := range ids {
		intrude(id(n))
	}
	for _, x := range f.settle().Records {
		if x.Spawned > 0 {
			t.Errorf("%s has spawned %d children: what ran is what came later", x.ID, x.Spawned)
		}
	}
}

// TestFaultTimersComeDueWhileTheAccountIsFull lets delays, retries, polls and removals become due while
// the account is at its limit.
func TestFaultTimersComeDueWhileTheAccountIsFull(t *testing.T) {
	t.Parallel()
	f := newFleet(t, setup{servers: jstest.AccountProcesses(t, 1)})
	for range 3 {
		f.hire(program{Slots: 8})
	}
	const trees = 6
	id := func(n int) string { return fmt.Sprint("short", n) }
	for n := range trees {
		f.enqueueLater(fmt.Sprint("delayed", n), 2*time.Second)
		f.enqueue(fmt.Sprint("retried", n), plant{Fails: 1, Retry: engine.Retry{MaxRetries: 1, BaseDelay: 2 * time.Second}})
		_, err := plants.Enqueue(f.ctx, f.client, plant{Branches: []plant{{}, {}}}, engine.ID(id(n)), engine.Retention(time.Second))
		f.check(err)
	}
	for n := range trees {
		f.event(history.Left, id(n)+".f")
		f.event(history.Left, fmt.Sprint("retried", n))
	}
	f.withoutRoom(0, func() { time.Sleep(4 * time.Second) })
	f.watching.Wait()
	for n := range trees {
		f.vanished(id(n), 2)
		f.note(history.Event{Kind: history.Gone, Execution: id(n)})
	}
	f.settle()
}

// TestFaultAnOutageLongerThanTheRetentionRunsNothingAgain loses the acknowledgements of an executor, and
// takes the server down until every retention is over.
func TestFaultAnOutageLongerThanTheRetentionRunsNothingAgain(t *testing.T) {
	t.Parallel()
	f := newFleet(t, setup{})
	const roots, keep = 8, 5 * time.Second
	id := func(n int) string { return fmt.Sprint("root", n) }
	for n := range roots {
		options := []engine.Option{engine.ID(id(n)), engine.Retention(keep)}
		if n%2 > 0 {
			options = append(options, engine.Delay(1200*time.Millisecond)) // so that it goes through the timers
		}
		_, err := plants.Enqueue(f.ctx, f.client, plant{}, options...)
		f.check(err)
		f.note(history.Event{Kind: history.Accepted, Execution: id(n), Task: plants.ID(), Status: engine.Completed, Output: text(1), Keep: keep})
	}
	f.enqueue("stays", plant{})
	x := f.hire(program{Slots: 2 * roots, Deaf: true})
	for n := range roots {
		_, err := f.client.Wait(f.ctx, id(n))
		f.check(err)
	}
	f.watching.Wait() // the outcomes of the executions with a long retention
	x.kill()
	for n := range roots {
		if x, err := f.client.Get(f.ctx, id(n)); err == nil {
			f.note(history.Outcome(x))
		}
	}
	f.down(keep + 3*f.lease)
	restarted := machineTime()
	lying, err := f.left()
	f.check(err)
	if !slices.ContainsFunc(lying, func(subject string) bool { return strings.Contains(subject, ".root") }) {
		t.Errorf("no message of what had ended lies there, but %v: the test tests nothing", lying)
	}
	for range 3 {
		f.hire(program{})
	}
	for n := range roots {
		f.vanished(id(n), 0)
		f.note(history.Event{Kind: history.Gone, Execution: id(n)})
	}
	for _, e := range f.settle().Events {
		if e.Kind == history.Began && engine.RootOf(e.Execution) != "stays" && e.At.After(restarted) {
			t.Errorf("%s ran again after the outage", e.Execution)
		}
	}
}

// TestFaultDeepCancelUnderKills cancels a tree of width 2 and depth 12 while it grows, and kills one
// executor after the other while the cancellation descends.
func TestFaultDeepCancelUnderKills(t *testing.T) {
	t.Parallel()
	f := newFleet(t, setup{})
	first := []*member{f.hire(program{Slots: 16}), f.hire(program{Slots: 16})}
	f.enqueue("deep", full(12))
	f.event(history.Began, "deep.0-0-0-0")
	f.cancel("deep")
	for _, m := range first {
		time.Sleep(200 * time.Millisecond)
		m.kill()
		f.hire(program{Slots: 16})
	}
	h := f.settle()
	left := 0
	for _, x := range h.Records {
		if x.Status == engine.Cancelled {
			left++
		}
	}
	if left < 12 {
		t.Errorf("%d executions were cancelled: the test tests nothing", left)
	}
	t.Logf("%d executions, %d of them cancelled, %d attempts", len(h.Records), left, len(f.events(history.Began)))
}

// full returns a tree of width 2 whose executions take no time.
func full(levels int) plant {
	if levels == 0 {
		return plant{}
	}
	return plant{Branches: []plant{full(levels - 1), full(levels - 1)}}
}

// events returns the events of a kind that have been written so far.
func (f *fleet) events(kind history.Kind) []history.Event {
	f.t.Helper()
	h, err := history.Open(f.path)
	f.check(err)
	return slices.DeleteFunc(h.Events, func(e history.Event) bool { return e.Kind != kind })
}
