package workers

import (
	"context"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/memstore"
)

// A still baton can't be put down: nothing may touch what is somebody else's.
type stillBaton struct{ t *testing.T }

func (b stillBaton) Extend(context.Context) error { b.t.Error("extended"); return nil }
func (b stillBaton) Done(context.Context) error   { b.t.Error("put down"); return nil }
func (b stillBaton) Return(context.Context, time.Time, bool) error {
	b.t.Error("returned")
	return nil
}
func (b stillBaton) SetAside(context.Context, string) error { b.t.Error("set aside"); return nil }

// A delivery whose lease ended before it begins - its process was frozen, or cut off - is
// somebody else's: it is let go without a word, fresh or not.
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
