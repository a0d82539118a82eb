package workers

import (
	"context"
	"sync"

	"github.com/durable-execution/durable/engine"
)

// serve has the executor serve the API of its store, if the store has one, until stop
// is called.
func (x *Executor) serve(ctx context.Context) (stop func(), err error) {
	s, ok := x.store.(engine.Service)
	if !ok || x.config.NoAPI {
		return func() {}, nil
	}
	if stop, err = s.Serve(ctx, x.client, x.config.Name); err != nil {
		return nil, err
	}
	return sync.OnceFunc(stop), nil
}
