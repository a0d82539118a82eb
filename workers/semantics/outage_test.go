package semantics_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/jstest"
	"github.com/durable-execution/durable/workers"
)

// deaf is a store whose acknowledgements get lost.
type deaf struct{ engine.Store }

type deafFeed struct {
	engine.Feed[*engine.Delivery]
	out chan *engine.Delivery
}

type deafBaton struct{ engine.Baton }

// Done implements [engine.Baton]. The acknowledgement gets lost.
func (deafBaton) Done(context.Context) error { return nil }

func (f deafFeed) Messages() <-chan *engine.Delivery { return f.out }

func (s deaf) Claim(ctx context.Context, queue string) (engine.Feed[*engine.Delivery], error) {
	feed, err := s.Store.Claim(ctx, queue)
	if err != nil {
		return nil, err
	}
	f := deafFeed{feed, make(chan *engine.Delivery)}
	go func() {
		defer close(f.out)
		for d := range feed.Messages() {
			d.Baton = deafBaton{d.Baton}
			f.out <- d
		}
	}()
	return f, nil
}

// outages has tasks of every kind, whose code notes in the journal that it runs.
type outages struct{ journal }

func (o *outages) bindings() []engine.Binding {
	runs := func(name string, d time.Duration) func(context.Context, int) (int, error) {
		return func(ctx context.Context, n int) (int, error) {
			o.add("%s %d, attempt %d", name, n, engine.FromContext(ctx).Attempt)
			time.Sleep(d)
			if name == "fails" || name == "flaky" && engine.FromContext(ctx).Attempt == 0 {
				return 0, errLuck
			}
			return n, nil
		}
	}
	return []engine.Binding{
		engine.Bind(outLeaf, runs("leaf", 0)), engine.Bind(outLong, runs("long", time.Second)),
		engine.Bind(outFails, runs("fails", 0)), engine.Bind(outFlaky, runs("flaky", 0)), engine.Bind(outLate, runs("late", 0)),
		engine.BindFanOut(outParent, func(ctx context.Context, n int, c *engine.Children) (int, error) {
			outLeaf.Spawn(c, 10*n)
			outLong.Spawn(c, 10*n+1)
			return runs("parent", 0)(ctx, n)
		}),
		engine.BindSequence(outSteps, engine.Then(outLeaf, outLong)),
	}
}

var (
	outLeaf   = engine.Define[int, int]("leaf")
	outLong   = engine.Define[int, int]("long")
	outFails  = engine.Define[int, int]("fails")
	outFlaky  = engine.Define[int, int]("flaky", engine.Retry{MaxRetries: 1, BaseDelay: 2 * time.Second})
	outLate   = engine.Define[int, int]("late", engine.Delay(2*time.Second))
	outParent = engine.Define[int, engine.Gathered[int]]("parent")
	outSteps  = engine.Define[int, int]("steps")
)

// enqueue enqueues one execution of each kind, and waits until all have ended.
func (o *outages) enqueue(w *world) {
	w.t.Helper()
	all := []string{
		enqueue(w, outLeaf, 1).ID(), enqueue(w, outLeaf, 2, engine.ID("leaf-2")).ID(),
		enqueue(w, outLong, 3).ID(), enqueue(w, outLong, 4, engine.ID("long-4")).ID(),
		enqueue(w, outFails, 5).ID(), enqueue(w, outFlaky, 6, engine.ID("flaky-6")).ID(), enqueue(w, outLate, 7, engine.ID("late-7")).ID(),
		enqueue(w, outParent, 8, engine.ID("parent-8")).ID(), enqueue(w, outParent, 9).ID(), enqueue(w, outSteps, 10).ID(),
	}
	m := nats.NewMsg("durable.ready.default.leaf.published")
	m.Data = []byte("11")
	_, err := w.nc.RequestMsg(m, time.Second)
	check(w.t, err)
	for _, id := range append(all, "published") {
		for !w.get(id).Status.Finished() {
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// afterAnOutage runs fn in a namespace with one finished execution of every kind. All their
// acknowledgements got lost, because the server was killed and then down for an hour. Their
// retention ended long before.
func afterAnOutage(t *testing.T, fn func(w *world, ran *outages)) {
	jstest.BubbleHost(t, func(t *testing.T, h *jstest.Host) {
		nc := h.Connect(nats.ReconnectWait(time.Second))
		s, err := jsstore.Open(t.Context(), nc, jsstore.Config{
			Retention: 5 * time.Second, Lease: 10 * time.Second, Logger: slog.New(slog.DiscardHandler),
		})
		check(t, err)
		t.Cleanup(func() { check(t, s.Close()) })
		w, ran := newWorld(t, s, nc), &outages{}
		first := w.start(deaf{s}, workers.Config{}, ran.bindings())
		ran.enqueue(w)
		first.stop()
		check(t, <-first.done)
		before := ran.all()
		h.Crash()
		time.Sleep(time.Hour)
		h.Start()
		fn(w, ran)
		pass(10 * time.Minute)
		ran.wants(t, before...)
		equal(t, "executions", w.count(), 0)
		states := w.streams()
		equal(t, "messages left in the ready stream", states["ready"].Msgs, 0)
		equal(t, "messages left in the timers", states["timers"].Msgs, 0)
	})
}

func TestNothingRunsAgainAfterAnOutageLongerThanItsRetention(t *testing.T) {
	for _, n := range []int{1, 4} {
		t.Run(fmt.Sprint(n, " executors"), func(t *testing.T) {
			afterAnOutage(t, func(w *world, ran *outages) {
				for range n {
					w.executor(workers.Config{}, ran.bindings()...)
				}
			})
		})
	}
}

// A lookless is a store that schedules no expiries.
type lookless struct{ engine.Store }

type noLooks struct {
	messages chan engine.ExpiryMessage
	close    func()
}

func (noLooks) Request(int)                             {}
func (n noLooks) Messages() <-chan engine.ExpiryMessage { return n.messages }
func (noLooks) Fault() (time.Time, error)               { return time.Time{}, nil }
func (n noLooks) Close()                                { n.close() }

func (lookless) Expiries(context.Context) (engine.Feed[engine.ExpiryMessage], error) {
	messages := make(chan engine.ExpiryMessage)
	return noLooks{messages, sync.OnceFunc(func() { close(messages) })}, nil
}

// TestWhatWasWithdrawnWhileItWasInHandDoesNotRun has an executor that reads the record slowly:
// meanwhile another executor removes the record and the message.
func TestWhatWasWithdrawnWhileItWasInHandDoesNotRun(t *testing.T) {
	afterAnOutage(t, func(w *world, ran *outages) {
		line, inHand := newTap(lookless{w.store}), make(chan string, 100)
		line.on(func(call, id string) error {
			if call == "Get" {
				inHand <- id
				time.Sleep(time.Minute)
			}
			return nil
		})
		w.start(line, workers.Config{}, ran.bindings())
		<-inHand
		w.executor(workers.Config{}, ran.bindings()...)
	})
}
