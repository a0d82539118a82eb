package workers

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/durable-execution/durable/engine"
)

// hands holds the messages in hand. Each is extended until it is put down, so
// that nobody else gets it while this executor lives.
type hands struct {
	mu  sync.Mutex
	set map[*hand]struct{}
}

// A hand is a baton that is extended while it is held.
type hand struct {
	engine.Baton
	hands      *hands
	deliveries int    // how often the message has been delivered
	queue      string // of an execution; empty for any other message
	// until is when the lease ends, in nanoseconds since the epoch; 0 if that does not matter.
	until atomic.Int64
}

func (h *hands) take(b engine.Baton, deliveries int, queue string) *hand {
	held := &hand{Baton: b, hands: h, deliveries: deliveries, queue: queue}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.set == nil {
		h.set = map[*hand]struct{}{}
	}
	h.set[held] = struct{}{}
	return held
}

func (h *hands) all() []*hand {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]*hand, 0, len(h.set))
	for held := range h.set {
		list = append(list, held)
	}
	return list
}

// lasts notes when the lease ends, of a message that nothing has begun for.
func (h *hand) lasts(until time.Time) {
	if !until.IsZero() {
		h.until.Store(until.UnixNano())
	}
}

// isLost reports whether the lease has ended before anything was begun: this process was
// frozen, or could not extend it. Nobody says so, and the message is somebody else's by now.
func (h *hand) isLost() bool {
	until := h.until.Load()
	return until != 0 && time.Now().UnixNano() > until
}

// keep has the message extended whatever the time: an attempt has begun, and its record
// tells whether it is still this executor's.
func (h *hand) keep() { h.until.Store(0) }

// drop lets go of a message that is somebody else's by now, without a word.
func (h *hand) drop() {
	h.hands.mu.Lock()
	defer h.hands.mu.Unlock()
	delete(h.hands.set, h)
}

// Done puts the message down for good.
func (h *hand) Done(ctx context.Context) error {
	err := h.Baton.Done(ctx)
	if err == nil {
		h.drop()
	}
	return err
}

// SetAside puts the message where an operator finds it.
func (h *hand) SetAside(ctx context.Context, reason string) error {
	err := h.Baton.SetAside(ctx, reason)
	if err == nil {
		h.drop()
	}
	return err
}

// Return gives the message back. If its lease has ended it is only dropped: a server that is
// told to deliver it again does so even while its next holder is at work.
func (h *hand) Return(ctx context.Context, at time.Time, recorded bool) error {
	if h.isLost() {
		h.drop()
		return nil
	}
	err := h.Baton.Return(ctx, at, recorded)
	if err == nil {
		h.drop()
	}
	return err
}

// keepLeases is the loop that extends what is in hand, at a third of the lease,
// and looks once in a lease whether the attempts are still this executor's.
func (x *Executor) keepLeases(stop <-chan struct{}) {
	tick := time.NewTicker(x.store.Limits().Lease / 3)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-tick.C:
		case <-stop:
			return
		}
		x.extend()
		if n%3 == 0 {
			x.recheck()
		}
	}
}

// extend extends all that is in hand: what fails for one must not cost the others
// their leases.
func (x *Executor) extend() {
	var failure error
	until := time.Now().Add(x.store.Limits().Lease).UnixNano()
	for _, h := range x.hands.all() {
		if h.isLost() {
			continue // claim lets it go
		}
		if err := h.Extend(x.kill); err != nil {
			failure = err
			continue
		}
		if before := h.until.Load(); before != 0 {
			h.until.CompareAndSwap(before, until) // or an attempt has begun meanwhile
		}
	}
	if failure != nil {
		x.trouble.failed("extend leases", x, failure)
		return
	}
	x.trouble.over("extend leases", x)
}

// recheck looks at the record of every attempt that has one: a cancellation may
// have passed unheard, and a lease may have been lost.
func (x *Executor) recheck() {
	for _, a := range x.attempts.all() {
		id, revision, ok := a.claim()
		if !ok {
			continue
		}
		r, err := x.store.Get(x.kill, id)
		switch {
		case errors.Is(err, engine.ErrNotFound), unreadable(err):
			if !a.settled.Load() {
				go a.lose() // deleted, with its tree; or what there is can't be read
			}
		case err != nil:
			x.trouble.failed("look at the records of attempts", x, err)
			return
		case r.Revision != revision && !a.settled.Load():
			go a.lose()
		}
	}
	x.trouble.over("look at the records of attempts", x)
}

// claim returns the revision at which the attempt was recorded as running; false
// if it was not, or is being settled.
func (a *attempt) claim() (id string, r engine.Revision, ok bool) {
	if !a.tryLock() {
		return "", 0, false
	}
	defer a.unlock()
	return a.execution.ID, a.revision, a.recorded
}

// notice takes what the store has news of. It must not take long.
func (x *Executor) notice(n engine.Notice) {
	if n.Closed != nil {
		x.lose(n.Closed)
		return
	}
	if n.Reconnected {
		x.heard.miss()
		go x.recheck()
	}
	if n.Cancel == nil {
		return
	}
	x.heard.add(*n.Cancel)
	if a := x.attempts.find(n.Cancel.ID); a != nil && n.Cancel.Means(a.execution) {
		go a.cancel(*n.Cancel)
	}
	for _, a := range x.attempts.inTree(engine.RootOf(n.Cancel.ID)) {
		a.watchAncestors()
	}
}
