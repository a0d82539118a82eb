package jsstore_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/jstest"
	"github.com/durable-execution/durable/jsstore/scan"
)

func TestMessagesAreWhatLiesInTheAreasNow(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		s := jstest.Open(t, nc, jsstore.Config{Lease: time.Second, Retention: 24 * time.Hour})
		now := time.Now().UTC().Truncate(time.Millisecond)
		x := engine.Execution{ID: "x", Task: "t", Queue: "q", Status: engine.Ready, CreatedAt: now, StartAt: now, ChangedAt: now, Metadata: engine.Metadata{"order": "42"}}
		if err := s.Enqueue(t.Context(), engine.Due{Execution: x}); err != nil {
			t.Fatal(err)
		}
		publish(t, s, &nats.Msg{Subject: "durable.ready.q.t.odd", Header: nats.Header{"Durable-Timeout": {"soon"}}})
		publish(t, s, &nats.Msg{Subject: "durable.ready.q.t.odd.0"})
		claimed, _, err := engine.Apply(x, engine.Claimed{At: now, Executor: "e"})
		if err != nil {
			t.Fatal(err)
		}
		first, err := s.Update(t.Context(), claimed, 0)
		if err != nil {
			t.Fatal(err)
		}
		done, _, err := engine.Apply(claimed, engine.Returned{At: now})
		if err != nil {
			t.Fatal(err)
		}
		second, err := s.Update(t.Context(), done, first)
		if err != nil {
			t.Fatal(err)
		}
		publish(t, s, &nats.Msg{Subject: s.RecordSubject("bad"), Data: []byte("rubbish")})
		publish(t, s, &nats.Msg{Subject: s.RecordSubject("x.=blob.1"), Data: []byte("part")})

		all := func(p scan.Area, from uint64) map[string]scan.Message {
			t.Helper()
			m := map[string]scan.Message{}
			for c, err := range s.Scan().Messages(t.Context(), p, from, 2) {
				if err != nil {
					t.Fatal(err)
				}
				m[c.Key] = c
			}
			return m
		}
		queued := all(scan.Ready, 0)
		if c := queued["x"]; c.Record.ID != "x" || c.Record.Metadata["order"] != "42" || c.Left != 2 || len(queued) != 3 || queued["odd"].Record.ID != "odd" || queued["odd.0"].Record.ID != "" {
			t.Errorf("queued: %+v", queued)
		}
		recorded := all(scan.Records, 1)
		c := recorded["x"]
		if c.Record.Revision != second || c.Record.Status != engine.Completed || c.Deleted || len(recorded) != 4 {
			t.Errorf("recorded: %+v", recorded)
		}
		if want := now.Add(24*time.Hour + 2*time.Second); c.Vanishes.Before(want) || c.Vanishes.After(want.Add(time.Second)) {
			t.Errorf("vanishes at %s, want %s", c.Vanishes, want)
		}
		for _, key := range []string{"bad", "x.=blob.1", "=namespace"} {
			if c, ok := recorded[key]; !ok || c.Record.ID != "" || c.Deleted || !c.Vanishes.IsZero() {
				t.Errorf("%s: %v, %+v", key, ok, c)
			}
		}
		if again := all(scan.Records, uint64(second)+1); len(again) != 2 {
			t.Errorf("from there on: %+v, want bad and the blob", again)
		}
		if there, err := s.Scan().Holds(t.Context(), scan.Records, uint64(first)); there || err != nil {
			t.Errorf("a sequence that was written over is there: %v, %v", there, err)
		}
		if there, err := s.Scan().Holds(t.Context(), scan.Records, uint64(second)); !there || err != nil {
			t.Errorf("a sequence that is there is not: %v, %v", there, err)
		}
		state, err := s.Scan().State(t.Context(), scan.Records)
		if err != nil || state.Messages != 4 || state.Last != uint64(second)+2 || state.First != 1 || state.Created.IsZero() {
			t.Errorf("state = %+v, %v", state, err)
		}
		if seq, n, err := s.Scan().Remaining(t.Context(), scan.Records, uint64(first)); seq != uint64(second) || n != 3 || err != nil {
			t.Errorf("remaining = %d from %d, %v, want 3 from %d", n, seq, err, second)
		}
		for from, want := range map[uint64]bool{state.Last: true, state.Last + 1: false} {
			if behind, err := s.Scan().Behind(t.Context(), scan.Records, from); behind != want || err != nil {
				t.Errorf("behind from %d: %v, %v, want %v", from, behind, err, want)
			}
		}
		if err := s.Delete(t.Context(), "x", second); err != nil {
			t.Fatal(err)
		}
		if after := all(scan.Records, 1); !after["x"].Deleted || after["x"].Vanishes.IsZero() || len(after) != 3 {
			t.Errorf("deleted: %+v", after)
		}
	})
}
