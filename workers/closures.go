package workers

import (
	"context"
	"errors"
	"sync"

	"github.com/durable-execution/durable/engine"
)

const (
	// closureBatch is how many closures are taken at a time. Those of one parent
	// become one write of its record.
	closureBatch = 512
	// parentsAtOnce is how many parents of a batch are written at the same time.
	parentsAtOnce = 16
)

// takeClosures is the loop that tells parents what became of their children.
// While one batch is written the next gathers, so that the more children end,
// the fewer writes each of them costs.
func (x *Executor) takeClosures(feed engine.Feed[engine.ClosureMessage]) {
	feed.Request(closureBatch)
	for first := range feed.Messages() {
		batch := gather(first, feed.Messages())
		var held []*hand
		for _, m := range batch {
			held = append(held, x.hands.take(m.Baton))
		}
		groups := map[string]*family{}
		for i, m := range batch {
			f := groups[m.Closure.Parent]
			if f == nil {
				f = &family{parent: m.Closure.Parent}
				groups[f.parent] = f
			}
			f.add(m, held[i])
		}
		var all sync.WaitGroup
		gate := make(chan struct{}, parentsAtOnce)
		for _, f := range groups {
			gate <- struct{}{}
			all.Go(func() {
				defer func() { <-gate }()
				x.steady("close children", func(ctx context.Context) error { return x.closeChildren(ctx, f) })
			})
		}
		all.Wait()
		feed.Request(len(batch))
	}
}

// gather returns first and what else is there at once, up to a batch.
func gather[M any](first M, more <-chan M) []M {
	batch := []M{first}
	for len(batch) < closureBatch {
		select {
		case m, ok := <-more:
			if !ok {
				return batch
			}
			batch = append(batch, m)
		default:
			return batch
		}
	}
	return batch
}

// A family is what the closures of a batch tell one parent.
type family struct {
	parent   string
	held     []*hand
	children []engine.Closure
	finalize *engine.Closure
	again    bool // some of it may have been told before
}

func (f *family) add(m engine.ClosureMessage, held *hand) {
	f.held = append(f.held, held)
	f.again = f.again || m.Again
	if m.Closure.IsFinalize {
		f.finalize = &m.Closure
		return
	}
	f.children = append(f.children, m.Closure)
}

func (f *family) event() engine.Event {
	if f.finalize != nil {
		return engine.FinalizeEnded{At: now(), Closure: *f.finalize}
	}
	return engine.ChildrenEnded{At: now(), Children: f.children}
}

// closeChildren records in one write that children have ended, or the finalize,
// carries out what follows, and puts all the messages down.
func (x *Executor) closeChildren(ctx context.Context, f *family) error {
	r, err := x.store.Get(ctx, f.parent)
	if errors.Is(err, engine.ErrNotFound) {
		return f.done(ctx) // deleted, with its tree
	}
	if err != nil {
		return err
	}
	r, fx, err := engine.Modify(ctx, x.store, r, f.event())
	if late := (*engine.TransitionError)(nil); errors.As(err, &late) {
		// The parent knows, or does not care any more. What followed from it may
		// not have been carried out, if the message had another holder before; but
		// spawning is the business of the parent's own message.
		if f.again && r.Status != engine.WaitingForChildren && r.Status != engine.Ready {
			fx = engine.Effects(r.Execution)
		}
		err = nil
	}
	if err != nil {
		return err
	}
	if err := x.carry(fx); err != nil {
		return err
	}
	return f.done(ctx)
}

func (f *family) done(ctx context.Context) error {
	for _, h := range f.held {
		if err := h.Done(ctx); err != nil {
			return err
		}
	}
	return nil
}
