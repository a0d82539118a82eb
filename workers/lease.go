package workers

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/durable-execution/durable/engine"
)

// hands is the set of all messages that this executor holds. The executor extends their leases
// until it acknowledges or returns them, so that no other executor gets them.
type hands struct {
	mu  sync.Mutex
	set map[*hand]struct{}
}

// A hand is one message that this executor holds, and whose lease it extends.
type hand struct {
	engine.Baton
	hands      *hands
	deliveries int    // how often the message has been delivered
	queue      string // the queue of an execution; empty for any other message
	// until is when the lease ends, in nanoseconds since the epoch. It is 0 for an attempt that
	// has begun, and for messages that are not executions: isLost is then false.
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

// lasts sets the end of the lease of a message whose attempt has not begun.
func (h *hand) lasts(until time.Time) {
	if !until.IsZero() {
		h.until.Store(until.UnixNano())
	}
}

// isLost reports whether the lease ended before the attempt began, because this process was
// frozen or could not extend the lease. The server does not tell, but another executor may
// hold the message by now.
func (h *hand) isLost() bool {
	until := h.until.Load()
	return until != 0 && time.Now().UnixNano() > until
}

// keep ends the check of isLost, because an attempt has begun: from now on, the record tells
// whether the message still belongs to this executor.
func (h *hand) keep() { h.until.Store(0) }

// drop forgets the message without telling the store, because another executor may hold it.
func (h *hand) drop() {
	h.hands.mu.Lock()
	defer h.hands.mu.Unlock()
	delete(h.hands.set, h)
}

// Done acknowledges the message.
func (h *hand) Done(ctx context.Context) error {
	err := h.Baton.Done(ctx)
	if err == nil {
		h.drop()
	}
	return err
}

// SetAside makes the message a dead letter.
func (h *hand) SetAside(ctx context.Context, reason string) error {
	err := h.Baton.SetAside(ctx, reason)
	if err == nil {
		h.drop()
	}
	return err
}

// Return returns the message to the queue. If its lease has ended, Return only drops it: the
// server would redeliver the message at once, even while the next holder works on it.
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

// keepLeases is the loop that extends all leases at a third of the lease, and checks once per
// lease whether the attempts still belong to this executor.
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

// extend extends the leases of all messages that this executor holds. It does not stop at an
// error, so that one message does not cost the others their leases.
func (x *Executor) extend() {
	var failure error
	until := time.Now().Add(x.store.Limits().Lease).UnixNano()
	for _, h := range x.hands.all() {
		if h.isLost() {
			continue // claim drops it
		}
		if err := h.Extend(x.kill); err != nil {
			failure = err
			continue
		}
		if before := h.until.Load(); before != 0 {
			h.until.CompareAndSwap(before, until) // unless an attempt has begun in the meantime
		}
	}
	if failure != nil {
		x.trouble.failed("extend leases", x, failure)
		return
	}
	x.trouble.over("extend leases", x)
}

// recheck reads the record of every attempt that is recorded as running: its cancellation may
// have been missed, or its lease lost.
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
				go a.lose() // the record was deleted with its tree, or can't be read
			}
		case err != nil:
			x.trouble.failed("check the records of attempts", x, err)
			return
		case r.Revision != revision && !a.settled.Load():
			go a.lose()
		}
	}
	x.trouble.over("check the records of attempts", x)
}

// claim returns the revision of the record that says that the attempt runs. It returns false if
// there is no such record, or if the attempt is being settled.
func (a *attempt) claim() (id string, r engine.Revision, ok bool) {
	if !a.tryLock() {
		return "", 0, false
	}
	defer a.unlock()
	return a.execution.ID, a.revision, a.recorded
}

// notice handles a notice of the store. It must return quickly.
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
