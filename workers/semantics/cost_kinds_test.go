package semantics_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/workers"
)

// A cost counts the messages stored, by stream, and the acknowledgements.
type cost struct{ ready, records, control, timers, acks int }

// costOf returns the cost of fn, including everything that follows from it.
func (w *world) costOf(fn func()) cost {
	w.t.Helper()
	acks := w.hears("$JS.ACK.>", func(m *nats.Msg) string { return string(m.Data) })
	before := w.stored()
	fn()
	pass(time.Second)
	after := w.stored()
	d := func(name string) int { return after[name] - before[name] }
	heard := acks()
	for kind := range heard {
		if kind != "+ACK" {
			w.t.Errorf("%d answers %q to deliveries, want acks and nothing else", heard[kind], kind)
		}
	}
	return cost{d("ready"), d("records"), d("control"), d("timers"), heard["+ACK"]}
}

func TestASequenceStoresAndAcknowledgesNoMoreThanItsSteps(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		const steps = 5
		step := engine.Define[int, int]("step")
		sequence := engine.Define[int, int]("sequence")
		var chain engine.Step[int, int] = step
		for range steps - 1 {
			chain = engine.Then(chain, step)
		}
		w.executor(workers.Config{},
			engine.Bind(step, func(_ context.Context, n int) (int, error) { return n + 1, nil }),
			engine.BindSequence(sequence, chain))
		pass(time.Second)
		got := w.costOf(func() { equal(t, "output", result(w, enqueue(w, sequence, 0)), steps) })
		equal(t, "cost", got, cost{
			ready:   1 + steps,
			records: steps + steps + 1, // one of each step; the coordinator's before each step and at the end
			timers:  1,                 // the expiry
			acks:    1 + steps,         // the executor that finishes a step writes the coordinator's record too
		})
	})
}

func TestAParentStoresAndAcknowledgesNoMoreThanItsChildren(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		const n = 10
		child := engine.Define[int, int]("child")
		parent := engine.Define[int, int]("parent")
		w.executor(workers.Config{},
			engine.Bind(child, func(_ context.Context, i int) (int, error) { return i, nil }),
			engine.BindParent(parent, func(_ context.Context, n int, c *engine.Children) (int, error) {
				for i := range n {
					child.Spawn(c, i)
				}
				return n, nil
			}, func(_ context.Context, j engine.Joined[int, int]) (int, error) { return len(j.Children), nil }))
		pass(time.Second)
		got := w.costOf(func() { equal(t, "children", result(w, enqueue(w, parent, n)), n) })
		// Children end one by one, so the parent needs between one write for all of them
		// and one write for each.
		least := n + 4
		if got.records < least || got.records > least+n-1 {
			t.Errorf("records written = %d, want %d to %d", got.records, least, least+n-1)
		}
		got.records = 0
		equal(t, "cost", got, cost{ready: n + 2, control: n, timers: 1, acks: 2*n + 2})
	})
}

func TestADelayedTaskCostsAScheduleAndWhatItFires(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("later")
		w.executor(workers.Config{}, engine.Bind(task, returns[string]("out")))
		pass(time.Second)
		got := w.costOf(func() { result(w, enqueue(w, task, "in", engine.Delay(5*time.Second))) }) // less than the interval at which executors look for overdue timers
		// The claim is exclusive, because timers may fire twice: it writes a record.
		equal(t, "cost", got, cost{ready: 1, timers: 2, records: 2, acks: 2})
	})
}

func TestARetryCostsARecordAndATimer(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("unsteady", engine.Retry{MaxRetries: 1, BaseDelay: 5 * time.Second})
		w.executor(workers.Config{}, engine.Bind(task, func(ctx context.Context, _ string) (string, error) {
			if engine.FromContext(ctx).Attempt == 0 {
				return "", fmt.Errorf("not yet")
			}
			return "out", nil
		}))
		pass(time.Second)
		got := w.costOf(func() { result(w, enqueue(w, task, "in")) })
		equal(t, "cost", got, cost{ready: 1, timers: 2, records: 3, acks: 2})
	})
}

func TestACancelOfARunningTaskCostsAMessageAndARecord(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("long")
		began := make(chan struct{}, 1)
		w.executor(workers.Config{}, engine.Bind(task, func(ctx context.Context, _ string) (string, error) {
			began <- struct{}{}
			<-ctx.Done()
			return "", ctx.Err()
		}))
		pass(time.Second)
		got := w.costOf(func() {
			h := enqueue(w, task, "in")
			<-began
			pass(time.Second) // until the record says that it runs
			check(t, h.Cancel(w.ctx, "enough"))
		})
		equal(t, "cost", got, cost{ready: 1, records: 2, control: 1, acks: 2})
	})
}

// TestAShortRootTaskAllocatesLittle counts the allocations of the whole process over a thousand
// executions, from Enqueue to the acknowledgement. On JetStream it includes the allocations of
// the server and of its background loops. The bounds are a fifth above the measured numbers.
func TestAShortRootTaskAllocatesLittle(t *testing.T) {
	if sparing > 1 {
		t.Skip("the race detector allocates, too")
	}
	run(t, func(t *testing.T, w *world) {
		const n = 1000
		task := engine.Define[[]byte, int]("short")
		w.executor(workers.Config{}, engine.Bind(task, func(_ context.Context, in []byte) (int, error) { return len(in), nil }))
		once := func() {
			hs, err := task.EnqueueMany(w.ctx, w.client, make([][]byte, n))
			check(t, err)
			equal(t, "handles", len(hs), n)
			pass(time.Second)
		}
		once() // allocate what is allocated only once
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		once()
		runtime.ReadMemStats(&after)
		equal(t, "executions", w.count(), 2*n)
		each := float64(after.Mallocs-before.Mallocs) / n
		most := 385.0
		if w.nc == nil {
			most = 345 // memstore keeps records as bytes, and copies each delivery
		}
		t.Logf("%.1f allocations an execution, at most %g", each, most)
		if each > most {
			t.Errorf("%.1f allocations an execution, want %g at most", each, most)
		}
	})
}
