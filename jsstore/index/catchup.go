package index

import (
	"context"
	"time"

	"github.com/durable-execution/durable/jsstore/scan"
)

const (
	// forgotten is how many executions one transaction removes.
	forgotten = 1000
	// lookedFor is how many queued executions one catch-up looks up.
	lookedFor = 100
)

// catchUp reads new messages into the index, and removes executions that are gone.
func (w *writer) catchUp(ctx context.Context) error {
	if err := w.forgetVanished(ctx); err != nil {
		return err
	}
	for _, p := range parts {
		if err := w.read(ctx, p); err != nil {
			return err
		}
	}
	if !w.done.Complete {
		err := w.transact(ctx, func(context.Context) error {
			if _, err := w.tx.Exec(indexes + "PRAGMA optimize;"); err != nil {
				return err
			}
			return w.set(complete, 1)
		})
		if err != nil {
			return err
		}
		w.done.Complete = true
	}
	if err := w.forgetVanished(ctx); err != nil { // what was gone when it was read
		return err
	}
	if err := w.reconcile(ctx); err != nil {
		return err
	}
	w.done.Left = w.lagging
	return w.lookForQueued(ctx)
}

const (
	// lagPause is how long to wait before reading again from a replica that lags behind.
	lagPause = 10 * time.Millisecond
	// lagMost is how long to go on with that.
	lagMost = 2 * time.Second
)

// read reads the messages of a stream, from those read before up to the last one that its
// leader had when this run began.
func (w *writer) read(ctx context.Context, p scan.Area) error {
	if p != scan.Records && w.done.Complete {
		// Most messages leave a queue at its front.
		err := w.transact(ctx, func(context.Context) error { return w.forgetBefore(p, w.state[p].First) })
		if err != nil {
			return err
		}
	}
	for began := time.Now(); ; {
		if err := w.readOn(ctx, p); err != nil {
			return err
		}
		if uint64(w.about[position(p)]) >= w.state[p].Last {
			return nil
		}
		behind, err := w.store.Scan().Behind(ctx, p, uint64(w.about[position(p)])+1)
		if err != nil || !behind {
			return err // the remaining messages have been deleted
		}
		if time.Since(began) > lagMost {
			w.lagging++
			return nil
		}
		select {
		case <-time.After(lagPause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// readOn reads the messages that the replica has. It reads a page while it writes the previous
// one.
func (w *writer) readOn(ctx context.Context, p scan.Area) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	from, last := uint64(w.about[position(p)])+1, w.state[p].Last
	type page struct {
		messages []scan.Message
		err      error
	}
	pages := make(chan page, 2)
	go func() {
		defer close(pages)
		var next page
		for m, err := range w.store.Scan().Messages(ctx, p, from, 0) {
			if next.err = err; err == nil {
				next.messages = append(next.messages, m)
			}
			// Stop at the last message that existed when this run began: newer ones are for the
			// next run. For each answer the server counts the remaining messages, which blocks
			// its writers.
			end := err == nil && m.Left == 0 && m.Sequence >= last
			if err == nil && len(next.messages) < w.batch && !end {
				continue
			}
			select {
			case pages <- next:
			case <-ctx.Done():
				return
			}
			if next = (page{}); err != nil || end {
				return
			}
		}
		if len(next.messages) > 0 {
			select {
			case pages <- next:
			case <-ctx.Done():
			}
		}
	}()
	for next := range pages {
		if err := w.applyAll(ctx, p, next.messages); err != nil {
			return err
		}
		if next.err != nil {
			return next.err
		}
		w.progress(w.done)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	w.done.Left = 0
	if _, known := w.about[created(p)]; known {
		return nil
	}
	return w.transact(ctx, func(context.Context) error { return w.set(created(p), w.state[p].Created.UnixNano()) })
}

func (w *writer) applyAll(ctx context.Context, p scan.Area, messages []scan.Message) error {
	if len(messages) == 0 {
		return nil
	}
	last := messages[len(messages)-1]
	err := w.transact(ctx, func(ctx context.Context) error {
		for _, m := range messages {
			if err := w.apply(ctx, p, m); err != nil {
				return err
			}
		}
		if _, known := w.about[created(p)]; !known {
			if err := w.set(created(p), w.state[p].Created.UnixNano()); err != nil {
				return err
			}
		}
		return w.set(position(p), int64(last.Sequence))
	})
	if err == nil {
		w.done.Read += uint64(len(messages))
		w.done.Left = last.Left
	}
	return err
}
