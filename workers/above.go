package workers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/durable-execution/durable/engine"
)

const (
	// looksAbove is how many executions above one are looked at, beside the root.
	looksAbove = 4
	// looksInDoubt is as many where a cancellation in the tree was heard of.
	looksInDoubt = 64
)

// isOver reports whether y has been cancelled or an execution above it has ended. It reads that
// many executions above y, because a cancellation goes down a tree step by step, and no code
// may begin below it meanwhile. No reads are needed if the message is new and no cancellation
// in the tree was heard: y's parent was not cancelled when it spawned y.
func (x *Executor) isOver(ctx context.Context, y *engine.Execution, looks int) (engine.Cancel, bool, error) {
	if c, gone := x.heard.of(y); gone {
		return c, true, nil
	}
	if looks == 0 {
		return engine.Cancel{}, false, nil
	}
	return x.endedAbove(ctx, y, looks)
}

// endedAbove looks for the end of an execution above y: at the root, and at as many of the
// nearest as may be looked at, since each costs a read. The error is ErrNotFound if the tree
// was deleted.
func (x *Executor) endedAbove(ctx context.Context, y *engine.Execution, looks int) (engine.Cancel, bool, error) {
	root := y.Root()
	if y.Parent == "" {
		return engine.Cancel{}, false, nil
	}
	for id := root; ; looks-- {
		above, err := x.store.Get(ctx, id)
		switch {
		case errors.Is(err, engine.ErrNotFound):
			return engine.Cancel{}, false, err
		case errors.Is(err, engine.ErrDamaged):
			return engine.Cancel{}, false, nil // nobody knows that it has ended
		case err != nil && !errors.Is(err, engine.ErrNewer): // whether it has ended is understood
			return engine.Cancel{}, false, err
		case above.Status.Finished() && above.Status != engine.Completed:
			return engine.Cancel{
				ID: y.ID, At: above.FinishedAt, Parent: id, Reason: fmt.Sprintf("parent %s: %s", id, above.Status),
			}, true, nil
		}
		if id = above.Parent; above.ID == root {
			id = y.Parent
		}
		if id == root || looks == 0 {
			return engine.Cancel{}, false, nil
		}
	}
}

// firstLook is when an attempt that runs looks above, once a cancellation in its tree was
// heard of: soon enough to be over within the grace of one that has just begun.
const firstLook = 10 * time.Millisecond

// lookAbove has an attempt that runs in a tree of which a cancellation was heard look above
// until it finds the end of something there, is over, or the cancellation is old. That may
// have been heard before it was recorded.
func (a *attempt) lookAbove() {
	a.renew.Store(true)
	if a.looking.Swap(true) {
		return
	}
	go func() {
		defer a.looking.Store(false)
		var until time.Time
		for pause := firstLook; ; pause = min(2*pause, lastPause) {
			if a.renew.Swap(false) {
				pause, until = firstLook, time.Now().Add(a.x.heard.doubt)
			}
			if time.Now().After(until) || !a.rests(pause) {
				return
			}
			// A store that fails is asked again.
			if c, gone, _ := a.x.endedAbove(a.x.kill, a.execution, looksInDoubt); gone {
				a.cancel(c)
				return
			}
		}
	}()
}

// rests waits, and reports whether the attempt still runs then.
func (a *attempt) rests(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-a.ctx.Done():
	case <-a.x.kill.Done():
	}
	return false
}
