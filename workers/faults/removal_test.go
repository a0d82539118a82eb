//go:build unix

package faults

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/history"
	"github.com/durable-execution/durable/jsstore/jstest"
	"github.com/durable-execution/durable/jsstore/scan"
)

// TestFaultKilledServerBringsNothingBack lets trees vanish by their retention, deletes others, and kills
// the server meanwhile and afterwards. Removed trees stay removed, and an id that is enqueued once more
// runs.
func TestFaultKilledServerBringsNothingBack(t *testing.T) {
	for name, s := range map[string]setup{
		"one server":                   {},
		"one server that always syncs": {},
		"a cluster":                    {replicas: 3, lease: 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			switch name {
			case "one server that always syncs":
				s.servers = jstest.SyncedProcesses(t, 1)
			case "a cluster":
				onlyLong(t)
				s.servers = jstest.Processes(t, 3)
			}
			f := newFleet(t, s)
			f.hire(program{Slots: 20})
			const trees = 40
			keep := engine.Retention(2 * time.Second)
			tree := plant{Nap: 100 * time.Millisecond, Branches: []plant{{Nap: 80 * time.Millisecond}, {}}}
			id := func(i int) string { return fmt.Sprint("tree", i) }
			enqueue := func(i int) engine.Handle[int] {
				t.Helper()
				h, err := plants.Enqueue(f.ctx, f.client, tree, append(tree.options(), engine.ID(id(i)), keep)...)
				f.check(err)
				return h
			}
			for i := range trees {
				enqueue(i)
			}
			for i := range trees {
				_, err := plants.Handle(f.client, id(i)).Wait(f.ctx)
				f.check(err)
				if i%4 == 0 {
					f.check(f.client.Delete(f.ctx, id(i)))
				}
			}
			kill := func() {
				i := f.servers.Leader("KV_" + f.ns + "-executions")
				f.fault(history.FaultBegan, history.Server, fmt.Sprint("server", i), "SIGKILL")
				f.servers.Kill(i)
				f.servers.Start(i)
				f.fault(history.FaultEnded, history.Server, fmt.Sprint("server", i), "SIGKILL")
			}
			kill() // while most trees still exist
			f.emptied(id, trees)
			for range 2 {
				kill()
				if left := f.listed(); len(left) > 0 {
					t.Fatalf("%d are back after a kill, %v among them", len(left), left[0])
				}
			}
			for i := range 10 {
				enqueue(i)
			}
			for i := range 10 {
				if _, err := plants.Handle(f.client, id(i)).Wait(f.ctx); err != nil {
					t.Errorf("%s, enqueued again: %v", id(i), err)
				}
			}
			for _, m := range f.alive() {
				m.stop()
			}
		})
	}
}

// listed returns all executions in the store, each as text.
func (f *fleet) listed() (list []string) {
	f.t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		list = nil
		var err error
		for r, e := range f.store.List(f.ctx, engine.Filter{}) {
			if err = e; e == nil {
				list = append(list, fmt.Sprintf("%s: %s", r.ID, r.Status))
			}
		}
		if err == nil {
			return list
		}
		if time.Now().After(end) {
			f.t.Fatal(err)
		}
	}
}

// emptied waits until the store has no record of the trees.
func (f *fleet) emptied(id func(int) string, trees int) {
	f.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		left := f.listed()
		if len(left) == 0 {
			break
		}
		if time.Now().After(end) {
			f.t.Fatalf("%d of %d trees do not vanish: %v", len(left), trees, left)
		}
	}
	for i := range trees {
		if _, err := f.client.Get(f.ctx, id(i)); !errors.Is(err, engine.ErrNotFound) {
			f.t.Errorf("%s: %v, want it gone", id(i), err)
		}
	}
	f.bucketHolds(1)
}

// bucketHolds waits until the bucket has this many messages: deletion markers take a second to vanish.
func (f *fleet) bucketHolds(n uint64) {
	f.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		state, err := f.store.Scan().State(f.ctx, scan.Records)
		if err == nil && state.Messages == n {
			return
		}
		if time.Now().After(end) {
			f.t.Fatalf("the bucket has %d messages, %v: want %d", state.Messages, err, n)
		}
	}
}
