// Command fleet is an executor of a few tasks, for tests with several processes,
// maybe of several builds: fleet URL NAME. It runs until SIGTERM.
package main

import (
	"context"
	"errors"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/workers"
)

var (
	flaky  = engine.Define[int, int]("flaky")
	dream  = engine.Define[int, int]("dream")
	family = engine.Define[int, int]("family")
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, url, name string) error {
	s, err := jsstore.Connect(ctx, url, jsstore.Config{})
	if err != nil {
		return err
	}
	defer s.Close()
	x, err := workers.New(s, workers.Config{Name: name, Slots: 4},
		engine.Bind(flaky, fail), engine.Bind(dream, fail),
		engine.BindParent(family, func(_ context.Context, n int, c *engine.Children) (int, error) {
			for i := range n {
				flaky.Spawn(c, 2, engine.Retry{MaxRetries: 2, BaseDelay: time.Duration(i+1) * 20 * time.Millisecond})
			}
			return n, nil
		}, func(_ context.Context, j engine.Joined[int, int]) (int, error) {
			sum := 0
			for _, r := range flaky.Results(j.Children) {
				n, err := r.Get()
				if err != nil {
					return 0, err
				}
				sum += n
			}
			return sum, nil
		}))
	if err != nil {
		return err
	}
	return x.Run(ctx)
}

// fail returns an error in its first n attempts.
func fail(ctx context.Context, n int) (int, error) {
	if a := engine.FromContext(ctx).Attempt; a < n {
		return a, errors.New("not yet")
	}
	return n, nil
}
