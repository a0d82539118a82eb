package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/embedded"
	"github.com/durable-execution/durable/workers"
)

// Documentation followed: this repository's README ("A complete program"), with 100 slots, the
// default.

func openDurable(ctx context.Context, s service) (*peer, error) {
	return connectDurable(ctx, s, jsstore.Config{})
}

// openGrouped is for a server that syncs always, with the settings that the README recommends.
func openGrouped(ctx context.Context, s service) (*peer, error) {
	return connectDurable(ctx, s, jsstore.Config{GroupWrites: true})
}

func connectDurable(ctx context.Context, s service, c jsstore.Config) (*peer, error) {
	store, err := jsstore.Connect(ctx, s.Address, c)
	if err != nil {
		return nil, err
	}
	return newDurable(ctx, store, s.Address, store.Close)
}

func openEmbedded(ctx context.Context, s service) (*peer, error) {
	store, err := embedded.Open(ctx, embedded.Config{Dir: s.Dir, Port: -1})
	if err != nil {
		return nil, err
	}
	return newDurable(ctx, store, store.URL(), store.Close)
}

var (
	durableShort  = engine.Define[job, int]("short")
	durableParent = engine.Define[job, int]("parent")
	durableChain  = engine.Define[job, job]("chain")
)

// durableTasks has the code of the tasks.
type durableTasks struct{ calls atomic.Int64 }

func (t *durableTasks) bindings() []engine.Binding {
	var list []engine.Binding
	step := func(n int) engine.Task[job, job] {
		s := engine.Define[job, job](fmt.Sprint("step", n))
		list = append(list, engine.Bind(s, t.step))
		return s
	}
	s1, s2, s3, s4, s5 := step(1), step(2), step(3), step(4), step(5)
	return append(list,
		engine.Bind(durableShort, t.short),
		engine.BindParent(durableParent, t.parent, t.finalize),
		engine.BindSequence(durableChain, engine.Seq5(s1, s2, s3, s4, s5)))
}

func (t *durableTasks) short(_ context.Context, j job) (int, error) {
	defer t.calls.Add(1)
	return j.run()
}

func (t *durableTasks) step(_ context.Context, j job) (job, error) {
	defer t.calls.Add(1)
	return j.next()
}

func (t *durableTasks) parent(_ context.Context, j job, c *engine.Children) (int, error) {
	for i := range children {
		durableShort.Spawn(c, newJob(j.Number+i))
	}
	return 0, nil
}

func (t *durableTasks) finalize(_ context.Context, j engine.Joined[job, int]) (int, error) {
	total := 0
	for _, r := range durableShort.Results(j.Children) {
		n, err := r.Get()
		if err != nil {
			return 0, err
		}
		total += n
	}
	return checkJoined(j.Input.Number, total)
}

func newDurable(ctx context.Context, store engine.Store, url string, closeStore func() error) (*peer, error) {
	t := &durableTasks{}
	x, err := workers.New(store, workers.Config{Logger: slog.New(slog.DiscardHandler)}, t.bindings()...)
	if err != nil {
		return nil, err
	}
	nc, count, err := countRoots(url)
	if err != nil {
		return nil, err
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	down := make(chan error, 1)
	go func() { down <- x.Run(run) }()
	c := x.Client()
	one := func(perOutcome int, insert func(context.Context, job) error) func(context.Context, int) error {
		return func(ctx context.Context, n int) error {
			return recorded(ctx, n, &t.calls, perOutcome, count, func() error { return byCallers(ctx, n, insert) })
		}
	}
	return &peer{
		single: one(1, func(ctx context.Context, j job) error {
			_, err := durableShort.Enqueue(ctx, c, j)
			return err
		}),
		bulk: func(ctx context.Context, n int) error {
			return recorded(ctx, n, &t.calls, 1, count, func() error {
				return inBulk(n, func(jobs []job) error {
					_, err := durableShort.EnqueueMany(ctx, c, jobs)
					return err
				})
			})
		},
		fanOut: one(children, func(ctx context.Context, j job) error {
			_, err := durableParent.Enqueue(ctx, c, j)
			return err
		}),
		sequence: one(steps, func(ctx context.Context, j job) error {
			_, err := durableChain.Enqueue(ctx, c, j)
			return err
		}),
		latency: func(ctx context.Context, j job) (int, error) {
			h, err := durableShort.Enqueue(ctx, c, j)
			if err != nil {
				return 0, err
			}
			return h.Wait(ctx)
		},
		close: func() error {
			stop()
			err := <-down
			nc.Close()
			return errors.Join(err, closeStore())
		},
	}, nil
}

// countRoots counts recorded outcomes by their notices. The id of a root is one token of the
// notice's subject; the id of a child has more tokens.
func countRoots(url string) (*nats.Conn, counter, error) {
	nc, err := nats.Connect(url)
	if err != nil {
		return nil, nil, err
	}
	var ended atomic.Int64
	notices, err := nc.Subscribe(jsstore.DefaultNamespace+".ended.*", func(*nats.Msg) { ended.Add(1) })
	if err != nil {
		return nil, nil, err
	}
	if err := errors.Join(notices.SetPendingLimits(-1, -1), nc.Flush()); err != nil {
		return nil, nil, err
	}
	return nc, func(context.Context) (int, error) { return int(ended.Load()), nil }, nil
}
