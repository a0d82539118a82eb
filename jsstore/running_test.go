package jsstore_test

import (
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/jstest"
)

func TestWhatRunsIsFoundByItsMessages(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		s := jstest.Open(t, nc, jsstore.Config{})
		running := func() []string {
			t.Helper()
			list, err := s.Scan().Running(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, x := range list {
				ids = append(ids, x.ID)
			}
			slices.Sort(ids)
			return ids
		}
		if got := running(); got != nil {
			t.Fatalf("in an empty store %v run", got)
		}
		for _, id := range []string{"runs", "ended", "sleeps", "fresh"} {
			enqueue(t, s, id, 0)
		}
		enqueue(t, s, "delayed", 2*time.Second)
		time.Sleep(3 * time.Second)
		for _, id := range []string{"runs", "ended", "sleeps", "delayed"} {
			r, err := s.Get(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			r.Status, r.StartedAt, r.Sleeping = engine.Running, time.Now(), id == "sleeps"
			if id == "ended" {
				r.Status, r.FinishedAt = engine.Completed, time.Now()
			}
			if _, err := s.Update(t.Context(), r.Execution, 0); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := running(), []string{"delayed", "runs"}; !slices.Equal(got, want) {
			t.Errorf("%v run, want %v", got, want)
		}
	})
}
