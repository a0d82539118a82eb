package jsstore_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/jstest"
)

// The pages of a list of children are written before the record that refers to them. An
// executor that writes the pages and then fails to write the record leaves the pages behind.
func TestPagesThatNoRecordPointsToAreFoundWithinADay(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		s := jstest.Open(t, nc, jsstore.Config{Lease: 2 * time.Second, Retention: time.Minute})
		now := time.Now()
		x := engine.Execution{ID: "root", Task: "task", Queue: engine.DefaultQueue, Status: engine.WaitingForChildren, Spawned: 1000, CreatedAt: now}
		for range x.Spawned {
			x.Spawns = append(x.Spawns, engine.Spawn{Task: "child", Queue: engine.DefaultQueue})
		}
		if _, err := s.Update(t.Context(), x, 77); !errors.Is(err, engine.ErrConflict) {
			t.Fatalf("update = %v, want ErrConflict", err)
		}
		x.Status, x.Spawned, x.Spawns, x.FinishedAt = engine.Failed, 0, nil, now
		if _, err := s.Update(t.Context(), x, 0); err != nil {
			t.Fatal(err)
		}
		f, err := s.Expiries(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		f.Request(1)
		var m engine.ExpiryMessage
		select {
		case m = <-f.Messages():
		case <-time.After(48 * time.Hour):
			t.Fatal("no check of the tree is set")
		}
		if took := time.Since(now); m.Root != "root" || took > 24*time.Hour+time.Second {
			t.Errorf("%s is to be looked at %s later, want root within a day", m.Root, took)
		}
		got := jstest.Keys(t, nc)
		if len(got) != 3 || got[0] != "root" || !strings.HasPrefix(got[1], "root.=") || !strings.HasPrefix(got[2], "root.=") {
			t.Errorf("keys = %v, want the root and two pages below it", got)
		}
		if err := s.Delete(t.Context(), "root", 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if got := jstest.Keys(t, nc); len(got) > 0 {
			t.Errorf("keys = %v, want none", got)
		}
	})
}

func TestDeletionReadsAsNoRecordToAnyClient(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		s := jstest.Open(t, nc, jsstore.Config{})
		x := engine.Execution{ID: "root", Task: "task", Queue: engine.DefaultQueue, Status: engine.Running}
		revision, err := s.Update(t.Context(), x, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(t.Context(), "root", revision); err != nil {
			t.Fatal(err)
		}
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		kv, err := js.KeyValue(t.Context(), "durable-executions")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := kv.Get(t.Context(), "root"); !errors.Is(err, jetstream.ErrKeyNotFound) {
			t.Errorf("get = %v, want ErrKeyNotFound", err)
		}
		if got := jstest.Keys(t, nc); len(got) != 1 {
			t.Errorf("keys = %v, want the trace of the deletion", got)
		}
		time.Sleep(2 * time.Second)
		if got := jstest.Keys(t, nc); len(got) > 0 {
			t.Errorf("keys = %v, want the trace gone", got)
		}
	})
}
