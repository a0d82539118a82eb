package workers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/embedded"
	"github.com/durable-execution/durable/workers"
)

// The files reference_01 to reference_15 have the examples of the reference document, in its
// order. This file has the code that they share.

// A person is the input of most examples.
type person struct {
	Name string `json:"name"`
}

// serve runs an executor of the bindings, on a server of its own, until stop is called. If an
// example hangs, the end of ctx ends it.
func serve(bs ...engine.Binding) (ctx context.Context, c *engine.Client, stop func()) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	dir, err := os.MkdirTemp("", "durable")
	must(err)
	// The examples need not survive a power failure.
	store, err := embedded.Open(ctx, embedded.Config{Dir: dir, SyncInterval: time.Minute})
	must(err)
	x, err := workers.New(store, workers.Config{}, bs...)
	must(err)
	ended := make(chan error, 1)
	go func() { ended <- x.Run(ctx) }()
	return ctx, x.Client(), func() {
		cancel()
		must(<-ended)
		must(store.Close())
		must(os.RemoveAll(dir))
	}
}

// show prints an output, and panics if there is an error.
func show(output any, err error) {
	must(err)
	text, err := json.MarshalIndent(output, "", "  ")
	must(err)
	fmt.Println(string(text))
}

// sleep waits for d, or until the attempt ends.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
