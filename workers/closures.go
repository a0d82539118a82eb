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
	// closuresAtOnce is how many closures an executor holds at a time.
	closuresAtOnce = 512
	// A parent that still waits for wideParent children will soon get more closures. After
	// each write of its record the executor lets closures gather for gatherTime: otherwise
	// a thousand children that finish together would cost hundreds of writes. Such a parent
	// may finish gatherTime later; other parents are not delayed.
	wideParent = 32
	gatherTime = 5 * time.Millisecond
)

// takeClosures is the loop that tells parents that their children have finished. One
// goroutine at a time writes the record of a parent. Meanwhile further closures for that
// parent gather, and the next write records all of them: the more children finish together,
// the fewer writes each of them costs.
func (x *Executor) takeClosures(feed engine.Feed[engine.ClosureMessage]) {
	feed.Request(closuresAtOnce)
	c := collector{byParent: map[string]*batch{}}
	var all sync.WaitGroup
	for m := range feed.Messages() {
		if parent := m.Closure.Parent; c.add(m, x.hands.take(m.Baton, m.Deliveries, "")) {
			all.Go(func() { x.tellParent(parent, &c, feed) })
		}
	}
	all.Wait()
}

// tellParent records all closures that gather for one parent, until there are none left.
func (x *Executor) tellParent(parent string, c *collector, feed engine.Feed[engine.ClosureMessage]) {
	for b := c.next(parent); b != nil; b = c.next(parent) {
		taken := len(b.held)
		x.steadyUntilStop("record finished children", func(ctx context.Context) error {
			err := x.closeChildren(ctx, b)
			err = x.unread(ctx, err, b.held...)         // without the wakes that closeChildren has set aside
			b.redelivered = b.redelivered || err != nil // the write may have succeeded
			return err
		}, b.held...)
		feed.Request(taken)
		if b.open < wideParent {
			continue
		}
		select {
		case <-time.After(gatherTime):
		case <-x.kill.Done():
		}
	}
}

// tell records in the parent that its only child, which this executor has just finished, has
// ended. No closure message is sent.
func (x *Executor) tell(ctx context.Context, t engine.TellParent) error {
	b := batch{parent: t.Closure.Parent, direct: t.Child}
	b.count(t.Closure)
	return x.closeChildren(ctx, &b)
}

// A collector gathers closures by parent until a goroutine records them.
type collector struct {
	mu sync.Mutex
	// byParent has the next batch of each parent that has a goroutine. The batch may be empty.
	byParent map[string]*batch
}

// add adds a closure to the next batch of its parent. It returns true if the parent has no
// goroutine yet: the caller then starts one.
func (c *collector) add(m engine.ClosureMessage, held *hand) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, known := c.byParent[m.Closure.Parent]
	if !known {
		b = &batch{parent: m.Closure.Parent}
		c.byParent[b.parent] = b
	}
	b.add(m, held)
	return !known
}

// next takes the batch of a parent. It returns nil if no closure has gathered: the parent's
// goroutine must then end.
func (c *collector) next(parent string) *batch {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.byParent[parent]
	if len(b.held) == 0 {
		delete(c.byParent, parent)
		return nil
	}
	c.byParent[parent] = &batch{parent: parent}
	return b
}

// A batch holds the closures that one write records in a parent.
type batch struct {
	parent      string
	held        []*hand // the messages of the closures
	children    []engine.Closure
	finalize    *engine.Closure
	wakes       []wake            // the first valid one decides the parent's outcome
	wake        *engine.Closure   // the first valid one, once judgeWakes has found it
	redelivered bool              // a message may have been delivered before
	republished bool              // a closure may have been sent before, or recorded without a message
	direct      *engine.Execution // the only child, if it is recorded without a closure message
	open        int               // unfinished children of the parent after the write
}

// A wake is a closure that wakes the parent, with its message.
type wake struct {
	closure engine.Closure
	held    *hand
}

func (b *batch) add(m engine.ClosureMessage, held *hand) {
	b.held = append(b.held, held)
	b.redelivered = b.redelivered || m.Again
	if m.Closure.IsWake {
		b.wakes = append(b.wakes, wake{m.Closure, held})
		return
	}
	b.count(m.Closure)
}

func (b *batch) count(c engine.Closure) {
	b.republished = b.republished || c.Again
	if c.IsFinalize {
		b.finalize = &c
		return
	}
	b.children = append(b.children, c)
}

func (b *batch) event() engine.Event {
	if b.wake != nil {
		return b.wake.Woken(now())
	}
	if b.finalize != nil {
		return engine.FinalizeEnded{At: now(), Closure: *b.finalize}
	}
	return engine.ChildrenEnded{At: now(), Children: b.children}
}

// closeChildren records a batch in one write, carries out the effects, and acknowledges all
// messages of the batch.
func (x *Executor) closeChildren(ctx context.Context, b *batch) error {
	if err := x.judgeWakes(ctx, b); err != nil || b.isEmpty() {
		return err
	}
	r, fx, err := x.moveParent(ctx, b)
	if errors.Is(err, engine.ErrNotFound) {
		// The parent was deleted with its tree. Remove the child too, which ended too late
		// to be removed with the tree.
		if err := x.carry(b.expires(now())); err != nil {
			return err
		}
		return b.done(ctx)
	}
	if rejected := (*engine.TransitionError)(nil); errors.As(err, &rejected) {
		fx, err = x.repeatedEffects(&r.Execution, b), nil
	}
	if err != nil {
		return err
	}
	if b.direct != nil {
		for i, e := range fx {
			if s, ok := e.(engine.SpawnChildren); ok {
				fx[i] = s.Hand(b.direct)
			}
		}
	}
	x.parents.remember(r)
	if err := x.carry(fx); err != nil && !errors.Is(err, engine.ErrNotFound) { // deleted since
		return err
	}
	if r.Status == engine.WaitingForChildren {
		b.open = r.Spawned - r.Ended.Len()
	}
	return b.done(ctx)
}

// repeatedEffects returns the effects to carry out for a batch whose event the parent does not
// accept: the parent has already counted the closures, or it has finished.
func (x *Executor) repeatedEffects(parent *engine.Execution, b *batch) (fx []engine.Effect) {
	if b.wake != nil && !b.redelivered {
		x.reportWake(parent, b.wake)
	}
	// An earlier holder of the messages may have written the record without carrying out the
	// effects. A waker writes the record too, and leaves the effects to this executor.
	//
	// A finished parent may lack a child whose closure was republished. The executor that
	// finished the parent cancels that child, and the cancelled child publishes its closure
	// once more. Repeating the parent's effects for it would cancel the child again, forever.
	repeat := b.redelivered || b.wake != nil || b.republished && b.isKnownTo(parent)
	// FollowsClosure leaves out spawns: only the holder of the parent's own message spawns.
	if repeat && parent.Status != engine.Ready && parent.Status != engine.Running && parent.FollowsClosure() {
		fx = engine.Effects(*parent)
	}
	if parent.Status.Finished() && parent.Parent != "" {
		fx = append(fx, b.expires(now())...) // the root may have been removed already
	}
	return fx
}

// judgeWakes finds the first valid wake of the batch. It sets aside the wakes before it, whose
// output is not a valid output of the parent's task.
func (x *Executor) judgeWakes(ctx context.Context, b *batch) error {
	for ; b.wake == nil && len(b.wakes) > 0; b.wakes = b.wakes[1:] {
		w := b.wakes[0]
		r, err := x.store.Get(ctx, b.parent)
		if err == nil && !r.Status.Finished() {
			err = x.client.JudgeWake(ctx, r.Execution, w.closure)
		}
		switch {
		case errors.Is(err, engine.ErrInvalidOutput):
			x.log.Error("a wake is set aside", "execution", b.parent, "error", err)
			if err := w.held.SetAside(ctx, err.Error()); err != nil {
				return err
			}
			// Copy the list: tellParent keeps the old one, to return the messages at a shutdown.
			b.held = slices.DeleteFunc(slices.Clone(b.held), func(h *hand) bool { return h == w.held })
		case err != nil && !errors.Is(err, engine.ErrNotFound):
			return err
		default:
			b.wake = &w.closure
		}
	}
	return nil
}

// isEmpty reports whether the batch has nothing to record.
func (b *batch) isEmpty() bool { return b.wake == nil && b.finalize == nil && len(b.children) == 0 }

// moveParent records the batch. It first tries the parent's record as this executor remembers
// it, which usually is the latest and saves a read.
func (x *Executor) moveParent(ctx context.Context, b *batch) (engine.Record, []engine.Effect, error) {
	if r, known := x.parents.recall(b.parent); known {
		r, fx, err := x.move(ctx, r, b.event())
		// A record that is not the latest may not know the child yet.
		stale := errors.Is(err, engine.ErrConflict) || errors.As(err, new(*engine.TransitionError))
		x.parents.learn(!stale)
		if !stale {
			return r, fx, err
		}
	}
	r, err := x.store.Get(ctx, b.parent)
	if err != nil {
		return r, nil, err
	}
	return x.modify(ctx, r, b.event())
}

// isKnownTo reports whether the parent has counted a closure of the batch.
func (b *batch) isKnownTo(parent *engine.Execution) bool {
	return b.finalize != nil && parent.Knows(*b.finalize) || slices.ContainsFunc(b.children, parent.Knows)
}

// expires returns the effect that schedules the expiry of the tree in which the batch's
// children ended. It returns nil for a batch of wakes: no execution sent them.
func (b *batch) expires(at time.Time) []engine.Effect {
	if b.finalize == nil && len(b.children) == 0 {
		return nil
	}
	return []engine.Effect{engine.Expire{Execution: &engine.Execution{
		ID: b.child(), Parent: b.parent, FinishedAt: at,
	}}}
}

// child returns the id of one execution that sent a closure of the batch.
func (b *batch) child() string {
	if b.finalize != nil {
		return b.finalize.ID
	}
	return b.children[0].ID
}

// done acknowledges all messages of the batch.
func (b *batch) done(ctx context.Context) error {
	for _, h := range b.held {
		if err := h.Done(ctx); err != nil {
			return err
		}
	}
	return nil
}
