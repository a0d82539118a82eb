package workers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/durable-execution/durable/engine"
)

const (
	// nearAncestors is how many of the nearest ancestors of an execution are read, besides
	// the root, when a cancellation may have been missed.
	nearAncestors = 4
	// nearInDoubt is the number when a cancellation in the tree was heard.
	nearInDoubt = 64
)

// isOver reports whether y has been cancelled or an ancestor of y has ended. It reads the root
// and as many of the nearest ancestors as near says, because a cancellation goes down a tree
// step by step, and no code may begin below it meanwhile. With 0 it reads nothing: that is for
// a message that nobody had before, while no cancellation in the tree was heard. The parent
// was not cancelled when it spawned y.
func (x *Executor) isOver(ctx context.Context, y *engine.Execution, near int) (engine.Cancel, bool, error) {
	if c, gone := x.heard.of(y); gone {
		return c, true, nil
	}
	if near == 0 {
		return engine.Cancel{}, false, nil
	}
	return x.endedAncestor(ctx, y, near)
}

// endedAncestor reports whether an ancestor of y has ended without completing, and returns the
// cancellation of y that follows. It reads the root and at most near of the nearest ancestors,
// because each of them costs a read. The error is ErrNotFound if the tree was deleted.
func (x *Executor) endedAncestor(ctx context.Context, y *engine.Execution, near int) (engine.Cancel, bool, error) {
	root := y.Root()
	if y.Parent == "" {
		return engine.Cancel{}, false, nil
	}
	for id := root; ; near-- {
		ancestor, err := x.store.Get(ctx, id)
		switch {
		case errors.Is(err, engine.ErrNotFound):
			return engine.Cancel{}, false, err
		case errors.Is(err, engine.ErrDamaged):
			return engine.Cancel{}, false, nil // nobody can tell whether it has ended
		case err != nil && !errors.Is(err, engine.ErrNewer): // a newer record still tells whether it has ended
			return engine.Cancel{}, false, err
		case ancestor.Status.Finished() && ancestor.Status != engine.Completed:
			return engine.Cancel{
				ID: y.ID, At: ancestor.FinishedAt, Parent: id, Reason: fmt.Sprintf("parent %s: %s", id, ancestor.Status),
			}, true, nil
		}
		if id = ancestor.Parent; ancestor.ID == root {
			id = y.Parent
		}
		if id == root || near == 0 {
			return engine.Cancel{}, false, nil
		}
	}
}

// firstCheck is when a running attempt first reads its ancestors after a cancellation in its
// tree was heard: soon enough to stop an attempt within its grace.
const firstCheck = 10 * time.Millisecond

// watchAncestors starts to read the ancestors of a running attempt repeatedly, because a
// cancellation in its tree was heard. A cancellation may be heard before it is recorded, so
// one read does not suffice. It ends when an ancestor has ended, when the attempt is over, or
// when the cancellation is old.
func (a *attempt) watchAncestors() {
	a.renew.Store(true)
	if a.watching.Swap(true) {
		return
	}
	go func() {
		defer a.watching.Store(false)
		var until time.Time
		for pause := firstCheck; ; pause = min(2*pause, lastPause) {
			if a.renew.Swap(false) {
				pause, until = firstCheck, time.Now().Add(a.x.heard.doubt)
			}
			if time.Now().After(until) || !a.rests(pause) {
				return
			}
			// After an error the next round reads again.
			if c, gone, _ := a.x.endedAncestor(a.x.kill, a.execution, nearInDoubt); gone {
				a.cancel(c)
				return
			}
		}
	}()
}

// rests waits for d, and reports whether the attempt still runs.
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
