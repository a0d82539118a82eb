package workers

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/durable-execution/durable/engine"
)

const (
	// expiriesAtOnce is how many expiries are handled at the same time.
	expiriesAtOnce = 32
	// expiryDelay is how long an expiry is delayed if the root is active: it was scheduled for
	// an execution below the root that ended early, or the id of the root is used again.
	expiryDelay = 24 * time.Hour
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

// expire removes a tree if its retention is over. Otherwise it delays the expiry. If there is no
// record of the root, expire removes the records that were written below it too late.
func (x *Executor) expire(ctx context.Context, root string, held *hand) error {
	r, err := x.store.Get(ctx, root)
	switch {
	case errors.Is(err, engine.ErrNotFound):
		r = engine.Record{}
	case err != nil:
		return err
	case !r.Status.Finished():
		return held.Return(ctx, now().Add(expiryDelay), true)
	default:
		at, ends := r.RemoveAt(x.store.Limits())
		if !ends {
			return held.Done(ctx)
		}
		if at.After(now()) {
			return held.Return(ctx, at, true)
		}
	}
	// The message of the root may still exist, because its acknowledgement got lost: for example,
	// a server was down for longer than the retention. Without a record the message would run
	// the root again.
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
