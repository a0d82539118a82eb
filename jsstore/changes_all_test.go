package jsstore_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/jstest"
)

// TestChangesAreRecordsAndNothingElse puts parts of payloads, markers and rubbish into the
// bucket, between the records of two trees.
func TestChangesAreRecordsAndNothingElse(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		s := jstest.Open(t, nc, jsstore.Config{})
		for _, c := range []struct {
			root string
			want []string
		}{
			{"", []string{"b", "a.0", "a.0-1", "a"}}, // of two simultaneous states, only the latter
			{"a", []string{"a.0", "a.0-1", "a"}},
		} {
			ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
			changes, err := s.Scan().Changes(ctx, c.root)
			if err != nil {
				t.Fatal(err)
			}
			put := func(id string, at engine.Revision) engine.Revision {
				now := time.Now()
				r, err := s.Update(ctx, engine.Execution{ID: id, Task: "task", Queue: engine.DefaultQueue, Status: engine.Running, CreatedAt: now, StartedAt: now}, at)
				if err != nil {
					t.Fatalf("put %s: %v", id, err)
				}
				return r
			}
			looksLikeOne, err := engine.EncodeRecord(engine.Execution{ID: "payload", Task: "task", Queue: engine.DefaultQueue, Status: engine.Running})
			if err != nil {
				t.Fatal(err)
			}
			first := put("a", 0)
			for _, key := range []string{"a.=blob.0123.0", "=aside.1", "a.=spawns", "rubbish", "x.y.z", "b.0.=1.2"} {
				m := nats.NewMsg("$KV.durable-executions." + key)
				m.Data = []byte("no record")
				if key == "a.=blob.0123.0" { // a payload may look like anything
					m.Data = looksLikeOne
				}
				if _, err := nc.RequestMsgWithContext(ctx, m); err != nil {
					t.Fatal(err)
				}
			}
			other := put("b", 0)
			put("a.0", 0)
			put("a.0-1", 0)
			last := put("a", first)
			var got []string
			for x, err := range changes {
				if err != nil {
					break // the time has ended
				}
				got = append(got, x.ID)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("changes of %q = %v, want %v", c.root, got, c.want)
			}
			stop()
			for id, at := range map[string]engine.Revision{"a": last, "b": other} { // unchanged
				if err := s.Delete(t.Context(), id, at); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(2 * time.Second) // the graves have vanished
		}
	})
}
