package semantics_test

import (
	"context"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/workers"
)

// TestTheWorkerFromThePageHasNothingOfThisModule checks that the worker uses only the page, so that
// its tests prove that the page is complete.
func TestTheWorkerFromThePageHasNothingOfThisModule(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "wire_worker_test.go", nil, parser.ImportsOnly)
	check(t, err)
	for _, i := range file.Imports {
		if strings.Contains(i.Path.Value, "durable-execution") {
			t.Errorf("it imports %s", i.Path.Value)
		}
	}
}

// TestAWorkerFromThePageWorksBesideAnExecutor runs a worker on a queue of its own, and on a queue
// that it shares with an executor of this module that does not know its task.
func TestAWorkerFromThePageWorksBesideAnExecutor(t *testing.T) {
	for _, queue := range []string{"wire", "default"} {
		t.Run(queue, func(t *testing.T) {
			onJetStream(t, func(t *testing.T, w *world) { w.worksBeside(queue) })
		})
	}
}

var errWire = errors.New("no luck")

// wireWorkerOf returns a worker with a task "shout", whose input says how an attempt ends.
func (w *world) wireWorkerOf(queue string, runs *atomic.Int32) *wireWorker {
	shout := func(ctx context.Context, input string, attempt int) (string, error) {
		runs.Add(1)
		switch {
		case input == "luck" && attempt == 0, input == "soon" && attempt < 3, input == "never":
			return "", errWire
		case input == "long":
			time.Sleep(5 * time.Minute) // many leases
		case input == "forever":
			<-ctx.Done()
			return "", ctx.Err()
		}
		return strings.ToUpper(input), nil
	}
	return &wireWorker{nc: w.nc, name: "wire", queue: queue, lease: w.store.Limits().Lease, retention: w.store.Limits().Retention, tasks: map[string]wireTask{"shout": shout}}
}

func (w *world) worksBeside(queue string) {
	t := w.t
	feed, err := w.store.Claim(t.Context(), queue) // this makes the consumers, like durable setup
	check(t, err)
	feed.Close()
	w.executor(workers.Config{Name: "go"}, engine.Bind(engine.Define[greeting, string]("greet"), greet))
	runs := atomic.Int32{}
	worker := w.wireWorkerOf(queue, &runs)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- worker.work(ctx) }()

	began := now()
	check(t, w.pub("durable.ready.default.greet.go", `{"name":"world"}`))
	for id, base := range map[string]string{"hello": "0", "luck": "2000", "never": "2000", "soon": "100", "long": "0"} {
		check(t, w.pub("durable.ready."+queue+".shout."+id, strconv.Quote(id), "Durable-Settled", "1", "Durable-Retries", "3", "Durable-Base-Delay", base, "Durable-Retention", "3600000"))
	}
	for id, want := range map[string]string{"go": `"hello, world"`, "hello": `"HELLO"`, "luck": `"LUCK"`, "soon": `"SOON"`, "long": `"LONG"`} {
		out, _ := w.answer(id)
		equal(t, id, out, want)
	}
	x := w.get("luck")
	equal(t, "attempt of luck", x.Attempt, 1)
	equal(t, "entries in the history of luck", len(x.History), 2)
	equal(t, "attempt of soon", w.get("soon").Attempt, 3)
	equal(t, "why it never ends well", w.ends("never", engine.Failed).Failure.Message, errWire.Error())
	// The worker runs two executions at a time, and one of them takes five minutes.
	between(t, "end of never", w.get("never").FinishedAt, began, began.Add(6*time.Minute))

	// A program with the definition writes a message that begins with the byte c1.
	h := enqueue(w, engine.Define[string, string]("shout", engine.Queue(queue)), "typed", engine.Delay(5*time.Second))
	equal(t, "output for a Go client", result(w, h), "TYPED")

	w.cancelsAtTheWorker(queue)
	w.timesOutAtTheWorker(queue)

	// A message that is redelivered after the end only announces the end, and runs nothing.
	ran := runs.Load()
	check(t, w.pub("durable.ready."+queue+".shout.hello", `"again"`))
	pass(time.Minute)
	equal(t, "runs of what has ended", runs.Load(), ran)
	stop()
	check(t, <-done)
	w.succeeds(queue, &runs)
}

func (w *world) cancelsAtTheWorker(queue string) {
	w.t.Helper()
	check(w.t, w.pub("durable.ready."+queue+".shout.forever", `"forever"`, "Durable-Settled", "1", "Durable-Retries", "3"))
	pass(time.Minute)
	equal(w.t, "executor", w.want("forever", engine.Running).Executor, "wire")
	check(w.t, w.client.Cancel(w.t.Context(), "forever", "enough"))
	pass(time.Minute)
	equal(w.t, "why it is cancelled", w.want("forever", engine.Cancelled).Failure.Message, "enough")
}

func (w *world) timesOutAtTheWorker(queue string) {
	w.t.Helper()
	check(w.t, w.pub("durable.ready."+queue+".shout.timed", `"forever"`, "Durable-Settled", "1", "Durable-Timeout", "5000"))
	x := w.ends("timed", engine.TimedOut)
	equal(w.t, "the attempt took", x.FinishedAt.Sub(x.StartedAt), 5*time.Second)
}

// succeeds lets a worker die while it holds an execution, which an executor then takes over, and
// the other way round.
func (w *world) succeeds(queue string, runs *atomic.Int32) {
	t := w.t
	check(t, w.pub("durable.ready."+queue+".shout.dies", `"dies"`, "Durable-Settled", "1"))
	dying := w.wireWorkerOf(queue, runs)
	dying.dies = true
	check(t, dying.work(t.Context()))
	w.want("dies", engine.Running)
	hangs := atomic.Bool{}
	heir := w.tapped(workers.Config{Name: "heir", Queues: evenly(queue)},
		engine.Bind(engine.Define[string, string]("shout"), func(_ context.Context, s string) (string, error) {
			for hangs.Load() {
				time.Sleep(time.Second)
			}
			return strings.ToUpper(s), nil
		}))
	out, _ := w.answer("dies")
	x := w.get("dies")
	equal(t, "dies", fmt.Sprint(out, x.Crashes, x.Executor), `"DIES"1heir`)

	hangs.Store(true)
	check(t, w.pub("durable.ready."+queue+".shout.orphan", `"orphan"`, "Durable-Settled", "1"))
	pass(10 * time.Second)
	equal(t, "executor", w.want("orphan", engine.Running).Executor, "heir")
	heir.tap.kill()
	hangs.Store(false)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.wireWorkerOf(queue, runs).work(ctx) }()
	out, _ = w.answer("orphan")
	x = w.get("orphan")
	equal(t, "orphan", fmt.Sprint(out, x.Crashes, x.Executor), `"ORPHAN"1wire`)
	pass(time.Hour + 2*w.store.Limits().Lease)
	if _, err := w.client.Get(t.Context(), "luck"); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("after its retention luck gives %v, want that it is not found", err)
	}
	stop()
	check(t, <-done)
	w.nothingWaits()
}
