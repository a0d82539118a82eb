package engine_test

import (
	"context"
	"log"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/memstore"
	"github.com/durable-execution/durable/workers"
)

// start runs an executor with the bindings on a store in memory. A real program uses
// jsstore.Connect instead of memstore.New. Call stop at the end.
func start(bindings ...engine.Binding) (ctx context.Context, client *engine.Client, stop func()) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	store := memstore.New(memstore.Config{})
	executor, err := workers.New(store, workers.Config{}, bindings...)
	must(err)
	done := make(chan error, 1)
	go func() { done <- executor.Run(ctx) }()
	return ctx, executor.Client(), func() {
		cancel()
		must(<-done)
		store.Close()
	}
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
