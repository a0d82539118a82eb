package semantics_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/workers"
)

// roll makes a roll call and returns the only answer; nil if there is none.
func (w *world) roll(call engine.RollCall) *engine.Answer {
	w.t.Helper()
	list, err := w.store.RollCall(w.t.Context(), call)
	check(w.t, err)
	if len(list) > 1 {
		w.t.Fatalf("%d answers, want 1 at most", len(list))
	}
	if len(list) == 0 {
		return nil
	}
	return &list[0]
}

func TestAnExecutorAnswersTheRollUntilItHasStopped(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		if got := w.roll(engine.RollCall{}); got != nil {
			t.Fatalf("answer = %+v before there is anybody", got)
		}
		task := engine.Define[time.Duration, string]("task", engine.NoTimeout)
		parent := engine.Define[int, int]("parent")
		start := now()
		x := w.tapped(workers.Config{Name: "one", Slots: 3, Queues: map[string]int{"default": 3, "slow": 1}, Drain: time.Minute},
			engine.Bind(task, func(ctx context.Context, d time.Duration) (string, error) { return sleeps[int](d, "out")(ctx, 0) }),
			engine.Bind(parent, returns[int](1)))
		enqueue(w, task, time.Hour)
		pass(time.Second)

		p := w.roll(engine.RollCall{})
		if p == nil {
			t.Fatal("no answer")
		}
		host, _ := os.Hostname()
		equal(t, "executor", p.Executor, "one")
		equal(t, "host", p.Host, host)
		equal(t, "pid", p.PID, os.Getpid())
		equal(t, "record version", p.RecordVersion, engine.Version)
		equal(t, "started at", p.StartedAt, start)
		between(t, "its clock", p.Now, now().Add(-time.Second), now())
		equal(t, "lease", p.Lease, w.store.Limits().Lease)
		equal(t, "serves", p.Serves("slow") && p.Serves("default") && !p.Serves("other"), true)
		equal(t, "weight", p.Queues["default"], 3)
		equal(t, "binds", p.Binds("task") && p.Binds("parent") && !p.Binds("other"), true)
		equal(t, "slots", p.Slots, 3)
		equal(t, "running", p.Running, 1)
		equal(t, "in hand", p.InHand, 1)
		equal(t, "is stopping", p.Stopping, false)
		equal(t, "schemas", len(p.Tasks[0].InputSchema)+len(p.Tasks[1].OutputSchema), 0)
		if p.Version == "" || p.Program == "" {
			t.Errorf("program = %q, version = %q, want what it was built from", p.Program, p.Version)
		}
		equal(t, "schema", string(w.roll(engine.RollCall{Schemas: true}).Tasks[1].InputSchema), `{"type":"integer","minimum":-9223372036854776000,"exclusiveMaximum":9223372036854776000}`)

		x.tap.on(func(call, _ string) error {
			if call == "Extend" {
				return errCut
			}
			return nil
		})
		cut := now()
		pass(w.store.Limits().Lease / 2)
		p = w.roll(engine.RollCall{})
		since, fails := p.Failing["extend leases"]
		if !fails || since.Before(cut) || p.Failures["extend leases"] == 0 {
			t.Errorf("failing = %v, failures = %v, want leases since %s", p.Failing, p.Failures, cut)
		}
		x.tap.on(nil)
		pass(w.store.Limits().Lease / 2)
		p = w.roll(engine.RollCall{})
		equal(t, "number of what fails", len(p.Failing), 0)

		x.stop()
		pass(time.Second)
		p = w.roll(engine.RollCall{})
		if p == nil || !p.Stopping || p.Running != 1 || p.Serves("default") {
			t.Fatalf("while it drains: %+v", p)
		}
		pass(2 * time.Minute)
		if p := w.roll(engine.RollCall{}); p != nil {
			t.Errorf("after it has stopped: %+v", p)
		}
	})
}
