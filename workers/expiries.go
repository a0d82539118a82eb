package workers

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/durable-execution/durable/engine"
)

const (
	// expiriesAtOnce is how many trees are looked at at the same time.
	expiriesAtOnce = 32
	// lookAgain is when a tree is looked at again that is active when its time comes:
	// something below it ended early, or its id is used again.
	lookAgain = 24 * time.Hour
)

// takeExpiries is the loop that removes trees whose retention is over.
func (x *Executor) takeExpiries(feed engine.Feed[engine.ExpiryMessage]) {
	feed.Request(expiriesAtOnce)
	var all sync.WaitGroup
	for m := range feed.Messages() {
		held := x.hands.take(m.Baton, m.Deliveries, "")
		all.Go(func() {
			defer feed.Request(1)
			x.steadyUntilStop("remove a tree", func(ctx context.Context) error {
				for {
					err := x.expire(ctx, m.Root, held)
					if !errors.Is(err, engine.ErrConflict) {
						return x.unread(ctx, err, held)
					}
				}
			}, held)
		})
	}
	all.Wait()
}

// expire removes a tree if it is time, and else has it looked at again. Without a
// root there is no more than what was written below it too late.
func (x *Executor) expire(ctx context.Context, root string, held *hand) error {
	r, err := x.store.Get(ctx, root)
	switch {
	case errors.Is(err, engine.ErrNotFound):
		r = engine.Record{}
	case err != nil:
		return err
	case !r.Status.Finished():
		return held.Return(ctx, now().Add(lookAgain), true)
	default:
		at, ends := r.RemoveAt(x.store.Limits())
		if !ends {
			return held.Done(ctx)
		}
		if at.After(now()) {
			return held.Return(ctx, at, true)
		}
	}
	// What led to the end may lie there still: its acknowledgement got lost, with a server for
	// instance that was down for longer than the retention. Without a record it would run again.
	if r.Revision > 0 {
		if err := x.store.Carry(ctx, engine.Withdraw{Execution: &r.Execution}); err != nil {
			return err
		}
	}
	if err := x.store.Delete(ctx, root, r.Revision); err != nil {
		return err
	}
	x.log.Debug("tree removed", "execution", root)
	return held.Done(ctx)
}
