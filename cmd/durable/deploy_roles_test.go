package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/workers"
)

// The tasks use everything for which an executor needs rights: children, a finalize, retries and
// delays that use timers, and payloads of several messages.
var (
	shout = engine.Define[string, string]("shout", engine.Retry{MaxRetries: 1, BaseDelay: 1100 * time.Millisecond})
	greet = engine.Define[[]string, string]("greet", engine.Retention(time.Second))
	stall = engine.Define[string, string]("stall")
	swell = engine.Define[int, []byte]("swell")
)

// An office is a running executor, with channels on which its tasks report.
type office struct {
	store   *jsstore.Store
	stalled chan string     // the id of each execution of stall whose attempt has begun
	ended   chan string     // the id of each execution of stall whose context has ended
	goOn    chan string     // the output that the next stall returns
	refused func() []string // the permission errors of the server
}

// employ starts an executor with the credentials of that role.
func employ(t *testing.T, server string, opts ...nats.Option) *office {
	t.Helper()
	var mu sync.Mutex
	var refused []string
	o := &office{stalled: make(chan string, 10), ended: make(chan string, 10), goOn: make(chan string)}
	o.refused = func() []string { mu.Lock(); defer mu.Unlock(); return refused }
	opts = append(opts, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		mu.Lock()
		defer mu.Unlock()
		refused = append(refused, err.Error())
	}))
	var err error
	if o.store, err = jsstore.Connect(t.Context(), as(t, "executor", server), jsstore.Config{MustExist: true}, opts...); err != nil {
		t.Fatal(err)
	}
	x, err := workers.New(o.store, workers.Config{Drain: workers.NoDrain}, o.bindings()...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ran := make(chan error, 1)
	go func() { ran <- x.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ran, o.store.Close()); err != nil {
			t.Error(err)
		}
	})
	return o
}

func (o *office) bindings() []engine.Binding {
	return []engine.Binding{
		engine.Bind(shout, func(ctx context.Context, word string) (string, error) {
			if engine.FromContext(ctx).Attempt == 0 && word == "shy" {
				return "", errors.New("not yet")
			}
			return strings.ToUpper(word), nil
		}),
		engine.BindParent(greet, func(_ context.Context, words []string, kids *engine.Children) (int, error) {
			for _, word := range words {
				switch word {
				case "stall":
					stall.Spawn(kids, word)
				case "later":
					shout.Spawn(kids, word, engine.Delay(time.Hour))
				default:
					shout.Spawn(kids, word)
				}
			}
			return len(words), nil
		}, func(ctx context.Context, j engine.Joined[[]string, int]) (string, error) {
			var list []string
			for _, c := range j.Children {
				var word string
				if err := c.Decode(&word); err != nil {
					return "", err
				}
				list = append(list, word)
			}
			return strings.Join(list, " "), nil
		}),
		engine.Bind(stall, func(ctx context.Context, _ string) (string, error) {
			run := engine.FromContext(ctx)
			o.stalled <- run.ExecutionID
			select {
			case word := <-o.goOn:
				return word, nil
			case <-ctx.Done():
				o.ended <- run.ExecutionID
				return "", context.Cause(ctx)
			}
		}),
		engine.Bind(swell, func(_ context.Context, n int) ([]byte, error) { return bytes.Repeat([]byte("durable"), n/7), nil }),
	}
}

// apply returns a client with the credentials of an application.
func apply(t *testing.T, server string, opts ...nats.Option) *engine.Client {
	t.Helper()
	s, err := jsstore.Connect(t.Context(), as(t, "application", server), jsstore.Config{MustExist: true}, append(opts, quiet)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return engine.NewClient(s)
}

// bounded returns a context with a limit for tests that hang. It leaves room for an election,
// which may take some seconds.
func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestEachRoleDoesItsWork(t *testing.T) {
	if testing.Short() {
		t.Skip("timers in real time: skipped in short mode")
	}
	server, ctx := single(t), bounded(t)
	operator := as(t, "operator", server)
	// Use the least lease: the store keeps a finished tree for two leases more.
	durable(t, "setup", "--lease", "1s", "--server", operator).want(t, exitOK)
	o := employ(t, server)

	// An application: a tree, a retry after more than a second, a delay.
	app := apply(t, server)
	h, err := greet.Enqueue(ctx, app, []string{"hello", "shy", "world"}, engine.Delay(1100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := h.Wait(ctx); err != nil || got != "HELLO SHY WORLD" {
		t.Errorf("greet = %q, %v, want HELLO SHY WORLD", got, err)
	}

	// A producer needs only a NATS client.
	producer := connect(t, "producer", server)
	ended, err := producer.SubscribeSync("durable.ended.by-hand")
	if err != nil {
		t.Fatal(err)
	}
	answer, err := producer.RequestWithContext(ctx, "durable.ready.default.greet.by-hand", []byte(`["by","hand"]`))
	if err != nil || !strings.Contains(string(answer.Data), `"stream":"durable-ready"`) {
		t.Fatalf("publish: %v, answer %v, want that of the stream", err, answer)
	}
	notice, err := ended.NextMsgWithContext(ctx)
	if err != nil {
		t.Fatal(err)
	}
	x, err := engine.DecodeRecord(notice.Data)
	var word string
	if err != nil || x.Status != engine.Completed || x.Output.Decode(&word) != nil || word != "BY HAND" {
		t.Errorf("outcome %+v, %v, want BY HAND", x, err)
	}

	// An operator cancels a running execution, enqueues by hand, and deletes.
	run := apply(t, server)
	victim := enqueueAs(t, ctx, server, operator, "stall", `"x"`)
	if got := <-o.stalled; got != victim {
		t.Fatalf("%s runs, want %s", got, victim)
	}
	durable(t, "cancel", victim, "--yes", "--server", operator).want(t, exitOK)
	if got := <-o.ended; got != victim {
		t.Errorf("%s has ended, want %s", got, victim)
	}
	if x, err := run.Get(ctx, victim); err != nil || x.Status != engine.Cancelled {
		t.Errorf("%s is %s, %v, want cancelled", victim, x.Status, err)
	}
	durable(t, "delete", victim, "--yes", "--server", operator).want(t, exitOK)

	// An executor removes the executions below it from the timers.
	parent, err := greet.Enqueue(ctx, app, []string{"later"})
	if err != nil {
		t.Fatal(err)
	}
	await(t, ctx, server, "durable-timers", "durable.later."+parent.ID()+".0", true)
	durable(t, "cancel", parent.ID(), "--yes", "--server", operator).want(t, exitOK)
	await(t, ctx, server, "durable-timers", "durable.later."+parent.ID()+".0", false)

	// A viewer reads.
	viewer := as(t, "viewer", server)
	for _, args := range [][]string{{"list"}, {"get", "by-hand"}, {"tree", "by-hand"}} {
		if out := durable(t, append(args, "--server", viewer)...).want(t, exitOK).out; !strings.Contains(out, "by-hand") {
			t.Errorf("%v: stdout %q", args, out)
		}
	}
	vjs, err := jetstream.New(connect(t, "viewer", server))
	if err != nil {
		t.Fatal(err)
	}
	c, err := vjs.Consumer(ctx, "durable-ready", "queue-default")
	if err != nil || c.CachedInfo().NumPending != 0 {
		t.Errorf("the viewer asks for the queue: %v", err)
	}

	// A viewer calls the roll and the executor answers. The operator's doctor finds nothing
	// wrong, although it may not query the servers.
	vs, err := jsstore.Connect(ctx, viewer, jsstore.Config{MustExist: true}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer vs.Close()
	answers, err := vs.RollCall(ctx, engine.RollCall{For: time.Second})
	if err != nil || len(answers) != 1 {
		t.Errorf("%d executors answer the viewer, %v, want 1", len(answers), err)
	}
	for _, who := range []string{viewer, operator} {
		if out := durable(t, "doctor", "--server", who).want(t, exitOK).out; !strings.Contains(out, "1 executor") {
			t.Errorf("doctor: %s", out)
		}
		if out := durable(t, "top", "--server", who).want(t, exitOK).out; !strings.Contains(out, "EXECUTOR ") || !strings.Contains(out, "\ndefault ") {
			t.Errorf("top: %s", out)
		}
	}

	// An operator limits the queue while the executor runs: the executor then moves due timers
	// to the queue.
	ops, err := jsstore.Connect(ctx, operator, jsstore.Config{MustExist: true}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer ops.Close()
	if err := ops.LimitQueue(ctx, "default", 1); err != nil {
		t.Fatal(err)
	}
	if h, err = greet.Enqueue(ctx, app, []string{"one", "two"}, engine.Delay(1100*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if got, err := h.Wait(ctx); err != nil || got != "ONE TWO" {
		t.Errorf("greet under a limit = %q, %v, want ONE TWO", got, err)
	}

	// The executor writes an output of several messages, and the application reads it.
	big := enqueueAs(t, ctx, server, operator, "swell", fmt.Sprint(7<<20))
	got, err := swell.Handle(app, big).Wait(ctx)
	if err != nil || len(got) != 7<<20 {
		t.Errorf("%d bytes, %v, want %d", len(got), err, 7<<20)
	}

	// The retention of by-hand ends.
	for {
		if _, err := app.Get(ctx, "by-hand.0"); errors.Is(err, engine.ErrNotFound) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			t.Fatalf("by-hand is kept beyond its retention: %v", err)
		}
	}
	if list := o.refused(); len(list) > 0 {
		t.Errorf("refused to the executor: %q", list)
	}
}

// enqueueAs publishes an execution, as any NATS client does.
func enqueueAs(t *testing.T, ctx context.Context, server, url, task, input string) string {
	t.Helper()
	nc, err := nats.Connect(url, quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	id := "an-execution-of-" + task
	if _, err := nc.RequestWithContext(ctx, "durable.ready.default."+task+"."+id, []byte(input)); err != nil {
		t.Fatal(err)
	}
	return id
}

// A producer forges an execution that claims to be a child. The executor does not believe it,
// and the parent goes on waiting for its real child.
func TestNoProducerEndsTheChildrenOfOthers(t *testing.T) {
	server, ctx := prepared(t), bounded(t)
	o, app := employ(t, server), apply(t, server)
	victim, err := greet.Enqueue(ctx, app, []string{"stall"})
	if err != nil {
		t.Fatal(err)
	}
	child := <-o.stalled
	producer := connect(t, "producer", server)
	ended, err := producer.SubscribeSync("durable.ended.*")
	if err != nil {
		t.Fatal(err)
	}
	for i, claim := range []engine.Execution{
		{Parent: victim.ID()},
		{Parent: victim.ID(), Only: true},
		{Parent: victim.ID(), IsFinalize: true},
		{InputFrom: child},
		{Parent: victim.ID(), IsFinalize: true, Index: 1, Validated: true},
	} {
		claim.Input = codec.Payload{Type: codec.JSON, Data: []byte(`["evil"]`)}
		m := nats.NewMsg(fmt.Sprint("durable.ready.default.greet.evil-", i))
		m.Data = engine.EncodeDue(&claim)
		if _, err := producer.RequestMsgWithContext(ctx, m); err != nil {
			t.Fatal(err)
		}
		// The forged message can't be decoded, so a wait by id finds it only after the executor
		// has taken it.
		notice, err := ended.NextMsgWithContext(ctx)
		if err != nil {
			t.Fatal(err)
		}
		x, err := engine.DecodeRecord(notice.Data)
		if err != nil || x.ID != fmt.Sprint("evil-", i) || x.Status != engine.Failed || !strings.Contains(x.Failure.Message, "evil-") {
			t.Errorf("%+v: %s %s, %v, want failed, with the reason", claim, x.ID, x.Status, err)
		}
	}
	// Once the control stream is empty, the executor has handled any closure event that the forged
	// children could have caused.
	await(t, ctx, server, "durable-control", ">", false)
	x, err := app.Get(ctx, victim.ID())
	if err != nil || x.Status != engine.WaitingForChildren || x.Ended.Len() != 0 {
		t.Errorf("the parent is %s with %d children ended, %v, want it to wait for the one", x.Status, x.Ended.Len(), err)
	}
	o.goOn <- "its own"
	if got, err := victim.Wait(ctx); err != nil || got != "its own" {
		t.Errorf("greet = %q, %v, want its own", got, err)
	}
}

// await waits until a stream has a message with the subject, or has none.
func await(t *testing.T, ctx context.Context, server, stream, subject string, there bool) {
	t.Helper()
	nc := connect(t, "viewer", server)
	for {
		m, err := nc.RequestWithContext(ctx, "$JS.API.STREAM.INFO."+stream, fmt.Appendf(nil, `{"subjects_filter":%q}`, subject))
		if err != nil {
			t.Fatal(err)
		}
		var info jetstream.StreamInfo
		if err := json.Unmarshal(m.Data, &info); err != nil {
			t.Fatal(err)
		}
		if there == (len(info.State.Subjects) > 0) {
			return
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			t.Fatalf("%s holds %v, want %s there %v: %v", stream, info.State.Subjects, subject, there, err)
		}
	}
}
