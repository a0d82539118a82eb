package workers_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/embedded"
	"github.com/durable-execution/durable/workers"
)

// A task is a name with types. Code that enqueues needs nothing else.
var (
	Shout = engine.Define[string, string]("shout", engine.Retry{MaxRetries: 5, BaseDelay: time.Second, Multiplier: 2})
	Greet = engine.Define[[]string, string]("greet", engine.Timeout(time.Minute))
)

func Example() {
	ctx, stop := context.WithCancel(context.Background())
	dir, err := os.MkdirTemp("", "durable")
	must(err)
	store, err := embedded.Open(ctx, embedded.Config{Dir: dir}) // or, for a fleet, jsstore.Connect
	must(err)
	x, err := workers.New(store, workers.Config{Slots: 100},
		engine.Bind(Shout, func(_ context.Context, word string) (string, error) {
			return strings.ToUpper(word), nil
		}),
		engine.BindParent(Greet, func(_ context.Context, words []string, children *engine.Children) (int, error) {
			for _, word := range words {
				Shout.Spawn(children, word) // in parallel, on any executor
			}
			return len(words), nil
		}, func(_ context.Context, j engine.Joined[[]string, int]) (string, error) {
			greeting := fmt.Sprint(j.Output, " words:")
			for _, r := range Shout.Results(j.Children) {
				word, err := r.Get()
				if err != nil {
					return "", err
				}
				greeting += " " + word
			}
			return greeting, nil
		}))
	must(err)
	ended := make(chan error, 1)
	go func() { ended <- x.Run(ctx) }() // until ctx ends and running attempts have been drained

	h, err := Greet.Enqueue(ctx, x.Client(), []string{"hello", "durable", "world"})
	must(err)
	greeting, err := h.Wait(ctx)
	must(err)
	fmt.Println(greeting)
	stop()
	must(<-ended)
	must(store.Close())
	// Output: 3 words: HELLO DURABLE WORLD
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
