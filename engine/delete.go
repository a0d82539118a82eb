package engine

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Delete removes a tree before its retention is over; id must be the id of the root. It
// returns ErrActive if the root has not finished, or if an execution below the root has
// not: cancel first. ErrNotRoot says that id is below a root, and names the root.
// ErrNotFound says that the store knows nothing of id. After Delete the id may be used
// again.
func (c *Client) Delete(ctx context.Context, id string) error {
	if err := ValidateID(id); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	if root := RootOf(id); root != id {
		return fmt.Errorf("delete %s: %w: its root is %s", id, ErrNotRoot, root)
	}
	for {
		err := c.delete(ctx, id)
		if err == nil {
			return nil
		}
		if !errors.Is(err, ErrConflict) {
			return fmt.Errorf("delete %s: %w", id, err)
		}
		// Another caller was faster, or the history of a cancelled root has gained an attempt.
	}
}

// delete is one try to remove a tree. The error is ErrConflict if its root was written, or
// removed, meanwhile.
func (c *Client) delete(ctx context.Context, id string) error {
	r, err := c.store.Get(ctx, id)
	if err != nil {
		return err
	}
	if !r.Status.Finished() {
		return fmt.Errorf("%w: it is %s", ErrActive, r.Status)
	}
	closed, err := c.isClosed(ctx, r.Execution)
	if err != nil {
		return err
	}
	if !closed {
		return fmt.Errorf("%w: it is %s, and what is below it has yet to end", ErrActive, r.Status)
	}
	if !r.alone() {
		// If this process dies after it has removed the root, the look removes the rest; if
		// it dies before, the look finds the root and its time.
		err := c.store.Carry(ctx, Expire{Execution: &Execution{
			ID: id, FinishedAt: time.Now().UTC(), Policy: Policy{Retention: minRetention},
		}})
		if err != nil {
			return err
		}
	}
	// The message that led to the end may still be in the queue, or in the hands of an executor
	// that is about to acknowledge it or has died. Without a record it would run again.
	if err := c.store.Carry(ctx, Withdraw{Execution: &r.Execution}); err != nil {
		return err
	}
	return c.store.Delete(ctx, id, r.Revision)
}
