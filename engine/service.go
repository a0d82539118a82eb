package engine

import "context"

// A Service is a store that also serves clients without a Store of their own, for instance in
// other languages. A [Store] need not implement it: executors and programs check whether
// theirs does.
type Service interface {
	// Serve answers requests, and enqueues through c, until stop is called. Stop returns
	// once all accepted requests are answered. Any number of instances share the work; the
	// name distinguishes them.
	Serve(ctx context.Context, c *Client, instance string) (stop func(), err error)
}
