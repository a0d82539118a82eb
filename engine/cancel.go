package engine

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Cancel ends an execution and everything below it. Once Cancel returns nil, the record
// says cancelled, with the reason: a ready execution never starts, and the context of a
// running attempt ends. ErrFinished says that the execution had already finished, and
// with which status; ErrNotFound says that the store has no execution with this id.
func (c *Client) Cancel(ctx context.Context, id, reason string) error {
	if err := ValidateID(id); err != nil {
		return fmt.Errorf("cancel: %w", err)
	}
	r, err := c.store.Get(ctx, id)
	if err != nil {
		return fmt.Errorf("cancel %s: %w", id, err)
	}
	if r.Status.Finished() {
		return fmt.Errorf("cancel %s: %w: it is %s", id, ErrFinished, r.Status)
	}
	now := time.Now().UTC()
	// Publish the message before writing the record: after a crash in between, an
	// executor continues from the message.
	if err := c.store.Cancel(ctx, Cancel{ID: id, At: now, Reason: reason, Born: r.CreatedAt}); err != nil {
		return fmt.Errorf("cancel %s: %w", id, err)
	}
	err = c.end(ctx, r, CancelRequested{At: now, Reason: reason}, func(x Execution) bool {
		return x.Status == Cancelled && x.Failure != nil && x.Failure.Message == bounded(reason) // the record holds the bounded reason
	})
	if err != nil {
		return fmt.Errorf("cancel %s: %w", id, err)
	}
	return nil
}

// end records an outcome, after a durable message has asked the executors to do so. If an
// executor has recorded an outcome first, ours reports whether it is the requested one.
func (c *Client) end(ctx context.Context, r Record, ev Event, ours func(Execution) bool) error {
	r, fx, err := Modify(ctx, c.store, r, ev)
	if over := (*TransitionError)(nil); errors.As(err, &over) {
		if ours(r.Execution) {
			return nil // an executor has recorded it first
		}
		return fmt.Errorf("%w: it is %s", ErrFinished, r.Status)
	}
	if err != nil {
		return err
	}
	// The executor that holds the message carries out the effects, all but one. This
	// process does the Withdraw at once: a ready execution must not start meanwhile.
	for _, f := range fx {
		if w, ok := f.(Withdraw); ok {
			return c.store.Carry(ctx, w)
		}
	}
	return nil
}
