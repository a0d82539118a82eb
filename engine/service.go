package engine

import "context"

// A Service is a store that serves clients which can't hold one, in other languages
// for instance. It is more than a [Store] has to be: executors and programs ask
// whether theirs is one.
type Service interface {
	// Serve answers requests, and enqueues through c, until stop is called. Stop
	// returns when what was accepted has been answered. Any number of instances share
	// the work; the name tells them apart.
	Serve(ctx context.Context, c *Client, instance string) (stop func(), err error)
}
