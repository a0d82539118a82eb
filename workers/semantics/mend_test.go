package semantics_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/doctor"
	"github.com/durable-execution/durable/jsstore/jstest"
	"github.com/durable-execution/durable/workers"
)

// TestTheDoctorStartsNothingBesideALiveExecutor purges the queue while an attempt runs. The doctor
// does not touch the execution while its executor answers, and mends it once the executor has
// died.
func TestTheDoctorStartsNothingBesideALiveExecutor(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		s, err := jsstore.Open(t.Context(), nc, jsstore.Config{Lease: 5 * time.Second})
		check(t, err)
		t.Cleanup(func() { check(t, s.Close()) })
		w, ran := newWorld(t, s, nc), &journal{}
		task := engine.Define[string, string]("task")
		binding := engine.Bind(task, func(ctx context.Context, id string) (string, error) {
			ran.add("%s", id)
			select {
			case <-time.After(4*time.Minute + 30*time.Second):
				return id, nil
			case <-ctx.Done():
				return "", context.Cause(ctx)
			}
		})
		x := w.tapped(workers.Config{Name: "one"}, binding)
		first := enqueue(w, task, "a", engine.ID("a"))
		pass(time.Minute)
		js, err := jetstream.New(nc)
		check(t, err)
		purge := func() {
			ready, err := js.Stream(t.Context(), "durable-ready")
			check(t, err)
			check(t, ready.Purge(t.Context()))
		}
		purge()
		pass(time.Minute)
		stuck := func() (list []string) {
			for range 2 { // the second run must change nothing
				found, err := doctor.Examine(t.Context(), nc, doctor.Config{Mend: true})
				check(t, err)
				for _, f := range found.Findings {
					if f.Check == "work.stuck" && f.Severity == doctor.Problem {
						list = append(list, f.Subject+": "+f.Mended)
					}
				}
			}
			return list
		}
		equal(t, "mended while it runs", len(stuck()), 2)
		pass(time.Minute)
		ran.wants(t, "a")
		equal(t, "output", result(w, first), "a")

		second := enqueue(w, task, "b", engine.ID("b"))
		pass(time.Minute)
		purge()
		x.tap.kill()
		pass(time.Minute)
		stuck()
		w.executor(workers.Config{Name: "one"}, binding)
		equal(t, "output", result(w, second), "b")
		ran.wants(t, "a", "b", "b")
	})
}
