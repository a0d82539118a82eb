package workers_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/embedded"
	"github.com/durable-execution/durable/workers"
)

var Loud = engine.Define[string, string]("loud", engine.Retry{MaxRetries: 5, BaseDelay: time.Second})

func Example_quick() {
	ctx, stop := context.WithCancel(context.Background())
	dir, err := os.MkdirTemp("", "durable")
	must(err)
	store, err := embedded.Open(ctx, embedded.Config{Dir: dir}) // a fleet: jsstore.Connect
	must(err)
	executor, err := workers.New(store, workers.Config{}, engine.Bind(Loud,
		func(_ context.Context, word string) (string, error) { return strings.ToUpper(word), nil }))
	must(err)
	ended := make(chan error, 1)
	go func() { ended <- executor.Run(ctx) }() // until ctx ends; then it drains

	handle, err := Loud.Enqueue(ctx, executor.Client(), "hello")
	must(err)
	out, err := handle.Wait(ctx)
	fmt.Println(out, err)
	stop()
	must(<-ended)
	must(store.Close())
	// Output:
	// HELLO <nil>
}
