package workers

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/durable-execution/durable/engine"
)

const (
	// closureBatch is how many closures an executor has in hand at a time.
	closureBatch = 512
	// A parent that still waits for wideParent children will soon be told of more:
	// an executor that has just written its record gathers for gatherTime before it
	// writes again, or a thousand children that end together were hundreds of
	// writes. It costs such a parent up to gatherTime, and no other anything.
	wideParent = 32
	gatherTime = 5 * time.Millisecond
)

// takeClosures is the loop that tells parents what became of their children. A
// parent is told by one goroutine at a time. While that writes the record, what
// is to be told next gathers, so that the more children end together, the fewer
// writes each of them costs.
func (x *Executor) takeClosures(feed engine.Feed[engine.ClosureMessage]) {
	feed.Request(closureBatch)
	d := desk{byParent: map[string]*family{}}
	var all sync.WaitGroup
	for m := range feed.Messages() {
		if parent := m.Closure.Parent; d.add(m, x.hands.take(m.Baton, m.Deliveries, "")) {
			all.Go(func() { x.tellParent(parent, &d, feed) })
		}
	}
	all.Wait()
}

// tellParent tells one parent what gathers on the desk, until there is nothing left.
func (x *Executor) tellParent(parent string, d *desk, feed engine.Feed[engine.ClosureMessage]) {
	for f := d.next(parent); f != nil; f = d.next(parent) {
		taken := len(f.held)
		x.steadyUntilStop("close children", func(ctx context.Context) error {
			err := x.closeChildren(ctx, f)
			err = x.unread(ctx, err, f.held...) // without the wakes that closeChildren has set aside
			f.again = f.again || err != nil     // the write may have succeeded
			return err
		}, f.held...)
		feed.Request(taken)
		if f.open < wideParent {
			continue
		}
		select {
		case <-time.After(gatherTime):
		case <-x.kill.Done():
		}
	}
}

// tell tells a parent what its one child was told for, which has just ended, in place of
// the message that would.
func (x *Executor) tell(ctx context.Context, t engine.TellParent) error {
	f := family{parent: t.Closure.Parent, step: t.Child}
	f.count(t.Closure)
	return x.closeChildren(ctx, &f)
}

// A desk is where closures gather until their parents are told.
type desk struct {
	mu sync.Mutex
	// byParent has a family, maybe an empty one, for each parent that somebody is
	// about to tell.
	byParent map[string]*family
}

// add reports whether nobody is about to tell the parent.
func (d *desk) add(m engine.ClosureMessage, held *hand) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, known := d.byParent[m.Closure.Parent]
	if !known {
		f = &family{parent: m.Closure.Parent}
		d.byParent[f.parent] = f
	}
	f.add(m, held)
	return !known
}

// next takes what is to be told to a parent; nil if there is nothing, and nobody
// is about to tell it any more.
func (d *desk) next(parent string) *family {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.byParent[parent]
	if len(f.held) == 0 {
		delete(d.byParent, parent)
		return nil
	}
	d.byParent[parent] = &family{parent: parent}
	return f
}

// A family is what closures tell one parent at a time.
type family struct {
	parent   string
	held     []*hand
	children []engine.Closure
	finalize *engine.Closure
	wakes    []wake            // of which the first good one counts: there is one outcome
	wake     *engine.Closure   // that one
	again    bool              // some of it may have been delivered before
	retold   bool              // some of it may have been told before, by another message or none
	step     *engine.Execution // the one child, where there is no message of it
	open     int               // children that the parent waits for once it is told
}

// A wake is a closure that wakes the parent, with its message.
type wake struct {
	closure engine.Closure
	held    *hand
}

func (f *family) add(m engine.ClosureMessage, held *hand) {
	f.held = append(f.held, held)
	f.again = f.again || m.Again
	if m.Closure.IsWake {
		f.wakes = append(f.wakes, wake{m.Closure, held})
		return
	}
	f.count(m.Closure)
}

func (f *family) count(c engine.Closure) {
	f.retold = f.retold || c.Again
	if c.IsFinalize {
		f.finalize = &c
		return
	}
	f.children = append(f.children, c)
}

func (f *family) event() engine.Event {
	if f.wake != nil {
		return f.wake.Woken(now())
	}
	if f.finalize != nil {
		return engine.FinalizeEnded{At: now(), Closure: *f.finalize}
	}
	return engine.ChildrenEnded{At: now(), Children: f.children}
}

// closeChildren records in one write that children have ended, or the finalize,
// carries out what follows, and puts all the messages down.
func (x *Executor) closeChildren(ctx context.Context, f *family) error {
	if err := x.judgeWakes(ctx, f); err != nil || f.isEmpty() {
		return err
	}
	r, fx, err := x.moveParent(ctx, f)
	if errors.Is(err, engine.ErrNotFound) {
		// Deleted, with its tree, and so must be what ended too late for that.
		if err := x.carry(f.expires(now())); err != nil {
			return err
		}
		return f.done(ctx)
	}
	if late := (*engine.TransitionError)(nil); errors.As(err, &late) {
		if f.wake != nil && !f.again {
			x.reportWake(&r.Execution, f.wake)
		}
		// The parent knows, or does not care any more. What followed from it may
		// not have been carried out, if the message had another holder before; but
		// spawning is the business of the parent's own message.
		// Who wakes an execution writes its record, and leaves the rest to this.
		// A parent that is over and does not know of a child that tells again was ended by
		// somebody else, whose business the rest is: they have the child cancelled, upon which
		// it tells again; were they to do so once more for that, it would have no end.
		again := f.again || f.wake != nil || f.retold && f.isKnownTo(&r.Execution)
		if again && r.Status != engine.Ready && r.Status != engine.Running && r.FollowsClosure() {
			fx = engine.Effects(r.Execution)
		}
		if r.Status.Finished() && r.Parent != "" {
			fx = append(fx, f.expires(now())...) // the root may be gone already
		}
		err = nil
	}
	if err != nil {
		return err
	}
	if f.step != nil {
		for i, e := range fx {
			if s, ok := e.(engine.SpawnChildren); ok {
				fx[i] = s.Hand(f.step)
			}
		}
	}
	x.parents.remember(r)
	if err := x.carry(fx); err != nil && !errors.Is(err, engine.ErrNotFound) { // deleted since
		return err
	}
	if r.Status == engine.WaitingForChildren {
		f.open = r.Spawned - r.Ended.Len()
	}
	return f.done(ctx)
}

// judgeWakes finds the wake that counts, and sets those aside that would complete the
// parent with what is no output of its task.
func (x *Executor) judgeWakes(ctx context.Context, f *family) error {
	for ; f.wake == nil && len(f.wakes) > 0; f.wakes = f.wakes[1:] {
		w := f.wakes[0]
		r, err := x.store.Get(ctx, f.parent)
		if err == nil && !r.Status.Finished() {
			err = x.client.JudgeWake(ctx, r.Execution, w.closure)
		}
		switch {
		case errors.Is(err, engine.ErrInvalidOutput):
			x.log.Error("a wake is set aside", "execution", f.parent, "error", err)
			if err := w.held.SetAside(ctx, err.Error()); err != nil {
				return err
			}
			// In a copy: tellParent, which returns the messages at a shutdown, has the old list.
			f.held = slices.DeleteFunc(slices.Clone(f.held), func(h *hand) bool { return h == w.held })
		case err != nil && !errors.Is(err, engine.ErrNotFound):
			return err
		default:
			f.wake = &w.closure
		}
	}
	return nil
}

// isEmpty reports whether there is nothing to tell.
func (f *family) isEmpty() bool { return f.wake == nil && f.finalize == nil && len(f.children) == 0 }

// moveParent records what the family tells. It begins with the record as this executor
// knows it: where that is the latest, as it mostly is, nothing is read.
func (x *Executor) moveParent(ctx context.Context, f *family) (engine.Record, []engine.Effect, error) {
	if r, known := x.parents.recall(f.parent); known {
		r, fx, err := x.move(ctx, r, f.event())
		// In a record that is not the latest, what ends may be unheard of.
		stale := errors.Is(err, engine.ErrConflict) || errors.As(err, new(*engine.TransitionError))
		x.parents.learn(!stale)
		if !stale {
			return r, fx, err
		}
	}
	r, err := x.store.Get(ctx, f.parent)
	if err != nil {
		return r, nil, err
	}
	return x.modify(ctx, r, f.event())
}

// isKnownTo reports whether the parent counts any of the family.
func (f *family) isKnownTo(parent *engine.Execution) bool {
	return f.finalize != nil && parent.Knows(*f.finalize) || slices.ContainsFunc(f.children, parent.Knows)
}

// expires returns what has the tree looked at in which the family ended. Who wakes
// an execution is no family.
func (f *family) expires(at time.Time) []engine.Effect {
	if f.finalize == nil && len(f.children) == 0 {
		return nil
	}
	return []engine.Effect{engine.Expire{Execution: &engine.Execution{
		ID: f.child(), Parent: f.parent, FinishedAt: at,
	}}}
}

// child returns the id of one of the family.
func (f *family) child() string {
	if f.finalize != nil {
		return f.finalize.ID
	}
	return f.children[0].ID
}

func (f *family) done(ctx context.Context) error {
	for _, h := range f.held {
		if err := h.Done(ctx); err != nil {
			return err
		}
	}
	return nil
}
