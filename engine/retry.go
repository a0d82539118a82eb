package engine

import (
	"context"
	"fmt"

	"github.com/durable-execution/durable/codec"
)

// Retry repeats a finished tree that did not complete, from its root. It enqueues a new
// execution and returns its id. The new execution has the old root's task, queue, policy and
// metadata, changed by opts, and its input, unless input is not nil. It starts at once, even
// if the old root had a delay. The old execution stays as it is; the new one's RetryOf names
// it. The id may name any execution of the tree. With an [ID] among the options, Retry
// is idempotent. Errors: ErrNotFound; ErrActive; ErrFinished if the root has completed; the
// errors of Enqueue.
//
// The executor validates an input that the caller gives.
func (c *Client) Retry(ctx context.Context, id string, input *codec.Payload, opts ...Option) (string, error) {
	if err := ValidateID(id); err != nil {
		return "", fmt.Errorf("retry: %w", err)
	}
	next, err := c.retryRoot(ctx, RootOf(id), input, opts)
	if err != nil {
		return "", fmt.Errorf("retry %s: %w", RootOf(id), err)
	}
	return next, nil
}

func (c *Client) retryRoot(ctx context.Context, root string, input *codec.Payload, opts []Option) (string, error) {
	if c.closed.Load() {
		return "", ErrShutdown
	}
	r, err := c.store.Get(ctx, root)
	switch {
	case err != nil:
		return "", err
	case !r.Status.Finished():
		return "", fmt.Errorf("%w: it is %s", ErrActive, r.Status)
	case r.Status == Completed:
		return "", fmt.Errorf("%w: it is %s", ErrFinished, r.Status)
	}
	o := options{policy: r.Policy, queue: r.Queue, metadata: r.Metadata}
	o.policy.Delay = 0
	if o, err = o.with(opts); err != nil {
		return "", err
	}
	var given codec.Payload
	if input == nil {
		// The store may keep a large input outside the record and delete it with the old tree:
		// load it, so that the new tree stores its own.
		given, err = c.store.Load(ctx, root, r.Input)
	} else {
		given, err = c.seal("input", *input, append(c.layersOf(Encoding{}), r.Input.Type.Layers()...))
	}
	if err != nil {
		return "", fmt.Errorf("input: %w", err)
	}
	var due Due
	(&Definition{ID: r.Task, sleeping: r.Sleeping}).due(&due, &o, given)
	due.RetryOf, due.Validated = root, r.Validated && input == nil
	if err := c.enqueue(ctx, due); err != nil {
		return "", err
	}
	return due.ID, nil
}
