package engine

import (
	"context"
	"fmt"

	"github.com/durable-execution/durable/codec"
)

// Retry starts a tree that did not complete again, from its root, as a new
// execution, whose id it returns: with the same task, queue, policy and metadata, changed by
// opts, and the same input, or the one given. It starts at once, whatever the first
// one's delay was. The old one stays as it is, and the new one says of which it is
// a retry. The id may be that of any execution of the tree; with an [ID] among the
// options, Retry may be repeated. Errors: ErrNotFound; ErrActive; ErrFinished if it
// has completed; those of Enqueue.
//
// An input that is given is validated by the executor.
func (c *Client) Retry(ctx context.Context, id string, input *codec.Payload, opts ...Option) (string, error) {
	if err := ValidateID(id); err != nil {
		return "", fmt.Errorf("retry: %w", err)
	}
	next, err := c.again(ctx, RootOf(id), input, opts)
	if err != nil {
		return "", fmt.Errorf("retry %s: %w", RootOf(id), err)
	}
	return next, nil
}

func (c *Client) again(ctx context.Context, root string, input *codec.Payload, opts []Option) (string, error) {
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
		// What a store keeps beside goes with the tree: the new one has its own.
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
