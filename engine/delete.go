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
// ErrNotFound says that the store has no execution with this id. After Delete the id may be
// used again.
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

// delete tries once to remove a tree. The error is ErrConflict if another process has written
// or removed the root meanwhile.
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
		return fmt.Errorf("%w: it is %s, but executions below it have not finished", ErrActive, r.Status)
	}
	if !r.alone() {
		// Schedule an expiry first. If this process dies after it has removed the root, the
		// executor that receives the expiry removes the rest of the tree. If it dies before,
		// that executor finds the root, and its retention decides.
		err := c.store.Carry(ctx, Expire{Execution: &Execution{
			ID: id, FinishedAt: time.Now().UTC(), Policy: Policy{Retention: minRetention},
		}})
		if err != nil {
			return err
		}
	}
	// The message of the last attempt may still be in the queue, or held by an executor that is
	// about to acknowledge it or has died. Without a record the message would run again.
	if err := c.store.Carry(ctx, Withdraw{Execution: &r.Execution}); err != nil {
		return err
	}
	return c.store.Delete(ctx, id, r.Revision)
}
