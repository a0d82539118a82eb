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
		// If this process dies between deleting the root and the rest, the expiry finds
		// the rest. If it dies before, the expiry finds the root and waits for its time.
		err = c.store.Carry(ctx, Expire{Execution: &Execution{
			ID: id, FinishedAt: time.Now().UTC(), Policy: Policy{Retention: minRetention},
		}})
	}
	if err == nil {
		// The message of the last attempt may still exist: its executor is about to
		// acknowledge it, or has died. Without a record the message would run again.
		err = c.store.Carry(ctx, Withdraw{Execution: &r.Execution})
	}
	if err == nil {
		err = c.store.Delete(ctx, id, r.Revision)
	}
	if errors.Is(err, ErrConflict) {
		err = ErrNotFound // another caller has deleted it
	}
	if err != nil {
		return fmt.Errorf("delete %s: %w", id, err)
	}
	return nil
}
