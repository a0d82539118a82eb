package workers

import (
	"context"
	"errors"
	"sync"

	"github.com/durable-execution/durable/engine"
)

// cancelsAtOnce is how many cancellations are carried out at the same time.
const cancelsAtOnce = 32

// takeCancels is the loop that carries out cancellations.
func (x *Executor) takeCancels(feed engine.Feed[engine.CancelMessage]) {
	feed.Request(cancelsAtOnce)
	var all sync.WaitGroup
	for m := range feed.Messages() {
		held := x.hands.take(m.Baton, m.Deliveries, "")
		all.Go(func() {
			defer feed.Request(1)
			x.steadyUntilStop("cancel", func(ctx context.Context) error {
				return x.unread(ctx, x.carryOutCancel(ctx, m.Cancel, held), held)
			}, held)
		})
	}
	all.Wait()
}

// carryOutCancel records the cancellation, if the caller has not done so, cancels the executions
// below, tells the parent, and acknowledges the message.
func (x *Executor) carryOutCancel(ctx context.Context, c engine.Cancel, held *hand) error {
	r, err := x.store.Get(ctx, c.ID)
	if errors.Is(err, engine.ErrNotFound) {
		var born bool
		if r, born, err = x.unborn(ctx, c); err == nil && !born {
			return held.Done(ctx)
		}
	}
	if err != nil {
		return err
	}
	if !c.Means(&r.Execution) {
		return held.Done(ctx) // it means an earlier execution with this id, whose tree was removed
	}
	r, fx, err := x.modify(ctx, r, requested(c))
	if rejected := (*engine.TransitionError)(nil); errors.As(err, &rejected) {
		if r.Status == engine.Cancelled {
			fx = engine.Effects(r.Execution) // the caller has only written the record
		}
		err = nil
	}
	if err != nil {
		return err
	}
	if err := x.acknowledge(ctx, held, fx); err != nil {
		return err
	}
	if r.Status == engine.Cancelled {
		x.reportCancel(&r.Execution, c)
	}
	return nil
}

// unborn returns a child that its finished parent cancels before a slow executor has spawned it.
// The caller records it as cancelled, so that it can't run once it is spawned. unborn returns
// false if there is no such child.
func (x *Executor) unborn(ctx context.Context, c engine.Cancel) (engine.Record, bool, error) {
	if c.Parent == "" {
		return engine.Record{}, false, nil
	}
	parent, err := x.store.Get(ctx, c.Parent)
	if errors.Is(err, engine.ErrNotFound) {
		return engine.Record{}, false, nil
	}
	if err != nil {
		return engine.Record{}, false, err
	}
	spawns, err := x.store.Spawns(ctx, parent.Execution)
	if err != nil {
		return engine.Record{}, false, err
	}
	child, ok := parent.Unborn(c.ID, spawns)
	return engine.Record{Execution: child}, ok, nil
}
