package engine

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Delete removes a tree, by the id of its root, before its retention is over. It
// refuses with ErrActive where the root, or something below it that it is yet to
// hear of, has not finished: cancel it first. ErrNotRoot says that the id is that
// of an execution below a root, and of which; ErrNotFound that nothing is known
// of it. What was deleted is gone: its id may be used again.
func (c *Client) Delete(ctx context.Context, id string) error {
	if err := ValidateID(id); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	if root := RootOf(id); root != id {
		return fmt.Errorf("delete %s: %w: its root is %s", id, ErrNotRoot, root)
	}
	r, err := c.store.Get(ctx, id)
	if err != nil {
		return fmt.Errorf("delete %s: %w", id, err)
	}
	if !r.Status.Finished() {
		return fmt.Errorf("delete %s: %w: it is %s", id, ErrActive, r.Status)
	}
	closed, err := c.isClosed(ctx, r.Execution)
	if err == nil && !closed {
		err = fmt.Errorf("%w: it is %s, and what is below it has yet to end", ErrActive, r.Status)
	}
	if err == nil && !r.alone() {
		// Should this process die between the root and what is below it, the look
		// finds the rest; should it die before, the look finds the root and its time.
		err = c.store.Carry(ctx, Expire{Execution: &Execution{
			ID: id, FinishedAt: time.Now().UTC(), Policy: Policy{Retention: minRetention},
		}})
	}
	if err == nil {
		// The message that led to the end may lie there still, in the hands of an executor
		// that is about to put it down or has died. Without a record it would run again.
		err = c.store.Carry(ctx, Withdraw{Execution: &r.Execution})
	}
	if err == nil {
		err = c.store.Delete(ctx, id, r.Revision)
	}
	if errors.Is(err, ErrConflict) {
		err = ErrNotFound // somebody was faster
	}
	if err != nil {
		return fmt.Errorf("delete %s: %w", id, err)
	}
	return nil
}
