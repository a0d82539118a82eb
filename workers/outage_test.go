package workers_test

import (
	"context"
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

// Done implements [engine.Baton]: it is sent, and never heard.
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

// TestATreeIsNotRunAgainAfterAnOutageLongerThanItsRetention loses every acknowledgement of a
// tree's messages with the server, which is then down until the tree's time is over.
func TestATreeIsNotRunAgainAfterAnOutageLongerThanItsRetention(t *testing.T) {
	jstest.BubbleHost(t, func(t *testing.T, h *jstest.Host) {
		s, err := jsstore.Open(t.Context(), h.Connect(nats.ReconnectWait(time.Second)), jsstore.Config{Retention: 2 * time.Second, Lease: 10 * time.Second})
		check(t, err)
		t.Cleanup(func() { check(t, s.Close()) })
		w, ran := newWorld(t, s, nil), &journal{}
		leaf := engine.Define[int, int]("leaf")
		parent := engine.Define[int, engine.Gathered[int]]("parent")
		bindings := []engine.Binding{
			engine.Bind(leaf, func(_ context.Context, n int) (int, error) { ran.add("leaf %d", n); return n, nil }),
			engine.BindFanOut(parent, func(_ context.Context, n int, c *engine.Children) (int, error) {
				ran.add("parent %d", n)
				leaf.Spawn(c, 10*n)
				leaf.Spawn(c, 10*n+1)
				return n, nil
			}),
		}
		first := w.start(deaf{s}, workers.Config{}, bindings)
		for n := range 3 {
			result(w, enqueue(w, parent, n+1, engine.ID(string(rune('a'+n)))))
		}
		first.stop()
		check(t, <-first.done)
		before := ran.all()
		h.Crash()
		time.Sleep(time.Hour)
		h.Start()
		w.executor(workers.Config{}, bindings...)
		pass(10 * time.Minute)
		ran.wants(t, before...)
		equal(t, "executions", w.count(), 0)
	})
}
