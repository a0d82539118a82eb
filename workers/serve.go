package workers

import (
	"context"
	"sync/atomic"

	"github.com/durable-execution/durable/engine"
)

// serve serves the API of the store, if the store has one, until stop is called. A second call of
// stop waits until the first one has returned. It waits on a channel, because a goroutine that
// waits for a mutex stops the clock of a synctest bubble.
func (x *Executor) serve(ctx context.Context) (stop func(), err error) {
	s, ok := x.store.(engine.Service)
	if !ok || x.config.NoAPI {
		return func() {}, nil
	}
	end, err := s.Serve(ctx, x.client, x.config.Name)
	if err != nil {
		return nil, err
	}
	var begun atomic.Bool
	over := make(chan struct{})
	return func() {
		if begun.CompareAndSwap(false, true) {
			end()
			close(over)
		}
		<-over
	}, nil
}
