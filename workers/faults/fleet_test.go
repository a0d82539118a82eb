//go:build unix

package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/history"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/jstest"
)

// A setup configures a fleet. The zero setup is one server with a lease of 1 s.
type setup struct {
	servers *jstest.Machines // nil starts one
	lease   time.Duration
	// replicas of streams and bucket; 0 means as many as there are servers: see count
	replicas int
	maxReady int64 // 0 means no limit
	skew     time.Duration
	calm     time.Duration // see history.Settings
	seed     uint64        // 0 means that of the flag or, without it, the time
}

// A fleet consists of executors on servers, a client, and the history of all of them.
type fleet struct {
	t       testing.TB
	seed    uint64
	rand    *rand.Rand
	path    string // of the history file
	book    *history.Log
	servers *jstest.Machines
	store   *jsstore.Store
	client  *engine.Client
	ns      string
	lease   time.Duration
	mend    bool // let the doctor repair what killed servers have broken: see mended
	ctx     context.Context

	mu       sync.Mutex
	members  []*member
	hired    int
	watching sync.WaitGroup // the goroutines that wait for outcomes
}

// A member is an executor of the fleet.
type member struct {
	*jstest.Process
	program
	fleet *fleet
}

var namespaces = struct {
	sync.Mutex
	n int
}{}

// newFleet returns a fleet without executors.
func newFleet(t testing.TB, s setup) *fleet {
	t.Helper()
	if testing.Short() {
		t.Skip("starts processes: skipped in short mode")
	}
	namespaces.Lock()
	namespaces.n++
	ns := fmt.Sprintf("faults%d", namespaces.n)
	namespaces.Unlock()
	if s.seed == 0 {
		s.seed = *seed
	}
	if s.seed == 0 {
		s.seed = uint64(time.Now().UnixNano() % 1_000_000)
	}
	if s.lease == 0 {
		s.lease = time.Second
	}
	if s.servers == nil {
		s.servers = jstest.Processes(t, 1)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute+*long)
	t.Cleanup(cancel)
	f := &fleet{
		t: t, seed: s.seed, rand: rand.New(rand.NewPCG(s.seed, 0)), servers: s.servers, ns: ns, lease: s.lease, ctx: ctx,
		path: filepath.Join(t.TempDir(), "history.jsonl"),
	}
	var err error
	f.book, err = history.Append(f.path, "test")
	f.check(err)
	t.Cleanup(func() { _ = f.book.Close() })
	f.note(history.Event{Kind: history.Setting, Settings: &history.Settings{
		Name: t.Name(), Seed: s.seed, Lease: s.lease, Skew: s.skew, Calm: s.calm,
	}})
	f.store, err = jsstore.Connect(ctx, s.servers.URLs(), jsstore.Config{
		Namespace: ns, Lease: s.lease, Retention: engine.Forever, Replicas: s.replicas, MaxReady: s.maxReady,
	}, nats.ReconnectWait(100*time.Millisecond))
	f.check(err)
	t.Cleanup(func() { _ = f.store.Close() })
	f.client = engine.NewClient(f.store)
	return f
}

func (f *fleet) check(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fleet) note(e history.Event) { write(f.book, e) }

// fault records the beginning or the end of a fault, or a fault without a duration.
func (f *fleet) fault(kind history.Kind, place history.Place, process, what string) {
	f.note(history.Event{Kind: kind, Place: place, Process: process, Text: what})
}

// hire starts an executor, and returns once it is running.
func (f *fleet) hire(p program) *member {
	f.t.Helper()
	m := f.boot(p)
	m.AwaitReady()
	return m
}

// boot is hire, but does not wait.
func (f *fleet) boot(p program) *member {
	f.t.Helper()
	f.mu.Lock()
	f.hired++
	p.Name = fmt.Sprintf("x%d", f.hired)
	f.mu.Unlock()
	if p.URL == "" {
		p.URL = f.servers.URLs()
	}
	if p.CrashCap == 0 {
		p.CrashCap = 1000
	}
	p.Namespace, p.History = f.ns, f.path
	if p.path == "" {
		p.path = os.Args[0]
	}
	m := &member{Process: jstest.SpawnProgram(f.t, p.path, executorRole, p, p.environment...), program: p, fleet: f}
	go func() {
		<-m.Exited()
		_ = f.book.Add(history.Event{Kind: history.Down, Process: p.Name, Text: m.Process.State()}) // fails only if the test has ended
	}()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.members = append(f.members, m)
	return m
}

// alive returns the executors that have not ended.
func (f *fleet) alive() []*member {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.members), (*member).gone)
}

func (m *member) gone() bool {
	select {
	case <-m.Exited():
		return true
	default:
		return false
	}
}

// kill kills the executor.
func (m *member) kill() {
	m.fleet.fault(history.Struck, history.Executor, m.Name, "SIGKILL")
	m.Kill()
}

// stop drains the executor, and returns once it has ended.
func (m *member) stop() {
	m.Signal(syscall.SIGTERM)
	select {
	case <-m.Exited():
	case <-time.After(2 * time.Minute):
		m.fleet.t.Errorf("%s does not end upon SIGTERM", m.Name)
		m.Signal(syscall.SIGQUIT) // print where it hangs
		<-m.Exited()
	}
}

// pause stops the process of the executor for a while.
func (m *member) pause(d time.Duration) {
	m.fleet.fault(history.FaultBegan, history.Executor, m.Name, "SIGSTOP")
	m.Signal(syscall.SIGSTOP)
	time.Sleep(d)
	m.Signal(syscall.SIGCONT)
	m.fleet.fault(history.FaultEnded, history.Executor, m.Name, "SIGSTOP")
}

// enqueue enqueues a tree under an id of its own until the answer is certain, and records the
// outcome.
func (f *fleet) enqueue(id string, p plant) {
	status, sum := p.ends()
	e := history.Event{Kind: history.Accepted, Execution: id, Task: plants.ID(), Status: status}
	wait := func(ctx context.Context) (string, error) {
		out, err := plants.Handle(f.client, id).Wait(ctx)
		return text(out), err
	}
	try := func() error {
		_, err := plants.Enqueue(f.ctx, f.client, p, append(p.options(), engine.ID(id))...)
		return err
	}
	output := any(sum)
	switch p.Kind {
	case poll:
		e.Task = polls.ID()
		wait = func(ctx context.Context) (string, error) {
			out, err := polls.Handle(f.client, id).Wait(ctx)
			return text(out), err
		}
		try = func() error {
			_, err := polls.Enqueue(f.ctx, f.client, p, append(p.options(), engine.ID(id))...)
			return err
		}
	case line:
		e.Task, output = lines.ID(), step{p.Nap, sum}
		wait = func(ctx context.Context) (string, error) {
			out, err := lines.Handle(f.client, id).Wait(ctx)
			return text(out), err
		}
		try = func() error {
			_, err := lines.Enqueue(f.ctx, f.client, step{Nap: p.Nap}, engine.ID(id))
			return err
		}
	}
	if status == engine.Completed {
		e.Output = text(output)
	}
	f.submit(e, try, wait)
}

// enqueueLater enqueues an execution that is due after a delay.
func (f *fleet) enqueueLater(id string, delay time.Duration) {
	f.submit(history.Event{Kind: history.Accepted, Execution: id, Task: plants.ID(), Status: engine.Completed, Output: text(1)}, func() error {
		_, err := plants.Enqueue(f.ctx, f.client, plant{Nap: 10 * time.Millisecond}, engine.ID(id), engine.Delay(delay))
		return err
	}, func(ctx context.Context) (string, error) {
		out, err := plants.Handle(f.client, id).Wait(ctx)
		return text(out), err
	})
}

// submit enqueues by calling try, and waits for the outcome in the background until the channel is
// closed.
func (f *fleet) submit(e history.Event, try func() error, wait func(context.Context) (string, error)) <-chan struct{} {
	seen := make(chan struct{})
	for {
		err := try()
		if err == nil {
			f.note(e)
			break
		}
		kind := history.Unsure
		if errors.Is(err, engine.ErrQueueFull) {
			kind = history.Refused
		}
		f.note(history.Event{Kind: kind, Execution: e.Execution, Text: err.Error()})
		select {
		case <-time.After(100 * time.Millisecond):
		case <-f.ctx.Done():
			close(seen)
			return seen
		}
	}
	f.watching.Go(func() {
		defer close(seen)
		f.await(e, wait)
	})
	return seen
}

// await records the outcome as a waiter sees it, and then as a reader sees it. A root with a short
// retention may be gone before either.
func (f *fleet) await(e history.Event, wait func(context.Context) (string, error)) {
	id := e.Execution
	for f.ctx.Err() == nil {
		out, err := wait(f.ctx)
		if e.Keep > 0 && errors.Is(err, engine.ErrNotFound) {
			return
		}
		if err != nil && engineError(err) == nil {
			continue // the error is that of the store
		}
		x, getErr := f.client.Get(f.ctx, id)
		if getErr != nil {
			continue
		}
		saw := history.Outcome(x)
		if err == nil {
			saw.Output = out
		}
		saw.Text = strings.TrimSpace(fmt.Sprint(engineError(err)))
		f.note(saw)
		return
	}
}

// cancel cancels an execution, and records the result.
func (f *fleet) cancel(id string) {
	e := history.Event{Kind: history.CancelAsked, Execution: id, Run: fmt.Sprintf("cancel-%d", runs.Add(1))}
	f.note(e)
	e.Kind = history.CancelReturned
	if err := f.client.Cancel(f.ctx, id, "enough"); err != nil {
		e.Text = err.Error()
	}
	f.note(e)
}
