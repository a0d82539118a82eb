package workers

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/memstore"
)

// A stillBaton fails the test if it is acknowledged, returned or set aside: the message belongs
// to another process.
type stillBaton struct{ t *testing.T }

func (b stillBaton) Extend(context.Context) error { b.t.Error("extended"); return nil }
func (b stillBaton) Done(context.Context) error   { b.t.Error("put down"); return nil }
func (b stillBaton) Return(context.Context, time.Time, bool) error {
	b.t.Error("returned")
	return nil
}
func (b stillBaton) SetAside(context.Context, string) error { b.t.Error("set aside"); return nil }

// A delivery whose lease ended before its attempt began belongs to another process: this one was
// frozen, or cut off. The executor drops it silently, fresh or not.
func TestDeliveryThatOutlivedItsLeaseDoesNotBegin(t *testing.T) {
	task := engine.Define[int, int]("task")
	x, err := New(memstore.New(memstore.Config{}), Config{}, engine.Bind(task, func(context.Context, int) (int, error) { return 0, nil }))
	if err != nil {
		t.Fatal(err)
	}
	for _, fresh := range []bool{true, false} {
		d := &engine.Delivery{
			Baton: stillBaton{t}, Fresh: fresh, First: fresh, Deliveries: 1, Until: time.Now().Add(-time.Millisecond),
			Execution: engine.Execution{ID: "x", Task: "task", Queue: engine.DefaultQueue, Status: engine.Ready},
		}
		held := x.hands.take(d.Baton, 1, engine.DefaultQueue)
		held.lasts(d.Until)
		x.extend()
		a := newAttempt(x, d, held, func() {})
		if err := x.claim(t.Context(), a); err != nil || a.claimed {
			t.Errorf("fresh %v: claim = %v, claimed %v, want that it does not begin", fresh, err, a.claimed)
		}
		if n := len(x.hands.all()); n != 0 {
			t.Errorf("fresh %v: %d messages in hand, want none", fresh, n)
		}
	}
}

// one is a feed of one delivery.
type one chan *engine.Delivery

func (f one) Messages() <-chan *engine.Delivery { return f }
func (one) Request(int)                         {}
func (one) Fault() (time.Time, error)           { return time.Time{}, nil }
func (one) Close()                              {}

// An execution whose lease ends while it waits for a slot is not returned: the server would
// believe that its present holder returned it, and redeliver it while that holder works on it.
func TestDeliveryThatOutlivedItsLeaseIsNotReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, err := New(memstore.New(memstore.Config{}), Config{})
		if err != nil {
			t.Fatal(err)
		}
		feed := make(one, 1)
		feed <- &engine.Delivery{Baton: stillBaton{t}, Until: time.Now().Add(maxSlotWait / 2)}
		close(feed)
		x.takeExecutions(&queue{feed: feed}, &slots{})
		time.Sleep(2 * maxSlotWait)
		synctest.Wait()
		if n := len(x.hands.all()); n != 0 {
			t.Errorf("%d messages in hand, want none", n)
		}
		x.pool.close()
	})
}
