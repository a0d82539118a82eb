package semantics_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap/exp/zapslog"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/memstore"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/jstest"
	"github.com/durable-execution/durable/workers"
)

// late is how late a timer may be: JetStream's schedules are up to 250 ms late.
const late = 300 * time.Millisecond

// A world is a store without executors, in fake time: in a bubble of testing/synctest, hours pass
// as soon as all goroutines wait.
type world struct {
	t      *testing.T
	store  engine.Store
	client *engine.Client
	nc     *nats.Conn // to the server; nil on memstore
	// ctx ends after a fake day, so that a test that waits in vain fails.
	ctx context.Context
	// calls gets a line for each call of an executor made by tapped; nil: do not keep calls.
	calls *journal
}

// run calls fn in a world on each store.
func run(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	t.Run("memstore", func(t *testing.T) { onMemstore(t, fn) })
	t.Run("jetstream", func(t *testing.T) { onJetStream(t, fn) })
}

func onMemstore(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New(memstore.Config{})
		t.Cleanup(func() {
			s.Close()
			time.Sleep(time.Minute) // some code takes that long to return after its context has ended
		})
		fn(t, newWorld(t, s, nil))
	})
}

func onJetStream(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	// Payloads longer than 472 KiB take several messages. Another test tests long payloads.
	onNamespace(t, jsstore.Config{PayloadLimit: 2 << 20}, fn)
}

// onNamespace is onJetStream with a configuration of the namespace.
func onNamespace(t *testing.T, c jsstore.Config, fn func(t *testing.T, w *world)) {
	t.Helper()
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		s, err := jsstore.Open(t.Context(), nc, c)
		check(t, err)
		t.Cleanup(func() { check(t, s.Close()) })
		fn(t, newWorld(t, s, nc))
	})
}

func newWorld(t *testing.T, s engine.Store, nc *nats.Conn) *world {
	ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
	t.Cleanup(cancel)
	return &world{t: t, store: s, client: engine.NewClient(s), nc: nc, ctx: ctx}
}

// An executor is an executor that runs in a world until stop is called or the test ends.
type executor struct {
	*workers.Executor
	stop context.CancelFunc // begins the shutdown
	done chan error         // gets the result of Run
	tap  *tap               // its tap on the store; nil unless tapped started the executor
	logs *observer.ObservedLogs
}

// executor starts an executor. The end of the test stops it.
func (w *world) executor(c workers.Config, bs ...engine.Binding) *executor {
	w.t.Helper()
	return w.start(w.store, c, bs)
}

// tapped starts an executor with a tap on its store, by which the test can kill it.
func (w *world) tapped(c workers.Config, bs ...engine.Binding) *executor {
	w.t.Helper()
	line := newTap(w.store)
	line.calls = w.calls
	e := w.start(line, c, bs)
	e.tap = line
	return e
}

func (w *world) start(s engine.Store, c workers.Config, bs []engine.Binding) *executor {
	w.t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	c.Logger = slog.New(zapslog.NewHandler(core))
	x, err := workers.New(s, c, bs...)
	check(w.t, err)
	ctx, stop := context.WithCancel(context.Background())
	e := &executor{Executor: x, stop: stop, done: make(chan error, 1), logs: logs}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		e.done <- x.Run(ctx)
	}()
	w.t.Cleanup(func() {
		stop()
		<-ended
	})
	synctest.Wait() // until it has started
	return e
}

// logged returns how often a message was logged.
func (e *executor) logged(message string) int { return e.logs.FilterMessage(message).Len() }

// get returns an execution as it is now.
func (w *world) get(id string) engine.Execution {
	w.t.Helper()
	x, err := w.client.Get(w.t.Context(), id)
	if err != nil {
		w.t.Fatalf("get %s: %v", id, err)
	}
	return x
}

// want fails unless the execution has the status, and returns it.
func (w *world) want(id string, status engine.Status) engine.Execution {
	w.t.Helper()
	x := w.get(id)
	if x.Status != status {
		w.t.Fatalf("%s: status = %s (%v), want %s", id, x.Status, x.Failure, status)
	}
	return x
}

// ends waits until the execution has finished, fails unless it has the status,
// and returns it.
func (w *world) ends(id string, status engine.Status) engine.Execution {
	w.t.Helper()
	if _, err := w.client.Wait(w.ctx, id); err != nil {
		w.t.Fatalf("wait for %s: %v", id, err)
	}
	return w.want(id, status)
}

// count returns how many executions there are.
func (w *world) count() int {
	w.t.Helper()
	n := 0
	for _, err := range w.client.List(w.t.Context(), engine.Filter{}) {
		check(w.t, err)
		n++
	}
	return n
}

// pass lets fake time pass, and waits until all goroutines are blocked.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

const zapWarn = zapcore.WarnLevel

// now returns the current time in the precision of records.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// evenly gives queues the same weight.
func evenly(queues ...string) map[string]int {
	m := map[string]int{}
	for _, q := range queues {
		m[q] = 1
	}
	return m
}

// enqueue enqueues an execution and returns its handle.
func enqueue[In, Out any](w *world, task engine.Task[In, Out], in In, opts ...engine.Option) engine.Handle[Out] {
	w.t.Helper()
	h, err := task.Enqueue(w.t.Context(), w.client, in, opts...)
	check(w.t, err)
	return h
}

// result waits for the output of an execution that must complete.
func result[Out any](w *world, h engine.Handle[Out]) Out {
	w.t.Helper()
	out, err := h.Wait(w.ctx)
	check(w.t, err)
	return out
}

// equal fails unless got is want.
func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

// between fails unless got is in [from, to].
func between(t *testing.T, what string, got, from, to time.Time) {
	t.Helper()
	if got.Before(from) || got.After(to) {
		t.Errorf("%s = %s, want %s to %s", what, got, from, to)
	}
}

// returns returns the code of a task that returns out.
func returns[In, Out any](out Out) func(context.Context, In) (Out, error) {
	return func(context.Context, In) (Out, error) { return out, nil }
}

// fails returns the code of a task that returns an error.
func fails[In, Out any](err error) func(context.Context, In) (Out, error) {
	return func(context.Context, In) (out Out, _ error) { return out, err }
}

// sleeps returns the code of a task that returns out after d, unless its context ends before.
func sleeps[In, Out any](d time.Duration, out Out) func(context.Context, In) (Out, error) {
	return func(ctx context.Context, _ In) (Out, error) {
		select {
		case <-time.After(d):
			return out, nil
		case <-ctx.Done():
			var none Out
			return none, context.Cause(ctx)
		}
	}
}

// A journal is a list of events that the code of tasks writes.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
}

func (j *journal) all() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.lines)
}

// about returns the lines that contain a text, joined by newlines.
func (j *journal) about(text string) string {
	list := slices.DeleteFunc(j.all(), func(line string) bool { return !strings.Contains(line, text) })
	return strings.Join(list, "\n")
}

func (j *journal) count(line string) int {
	n := 0
	for _, l := range j.all() {
		if l == line {
			n++
		}
	}
	return n
}

// wants fails unless the journal has exactly these lines.
func (j *journal) wants(t *testing.T, lines ...string) {
	t.Helper()
	if got := j.all(); !slices.Equal(got, lines) {
		t.Errorf("journal = %q, want %q", got, lines)
	}
}
