package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	aj "github.com/choria-io/asyncjobs"
	"github.com/nats-io/nats.go"
)

// Documentation followed: asyncjobs' README and docs (Go overview, task lifecycle events, task
// dependencies). The default concurrency of 10 is raised to 100, the default limit of its queues.
// Outcomes are counted from its events. A fan-in is a task that depends on ten others and gets
// their results; asyncjobs retries a task that is not ready yet after five seconds. Steps are
// chained by hand, because a step that depends on another would wait for these five seconds.

// asyncTasks has the code of the tasks.
type asyncTasks struct {
	client *aj.Client
	calls  atomic.Int64
	done   atomic.Int64 // completed tasks of the kinds whose end counts as an outcome
	ended  atomic.Pointer[chan string]
}

func (a *asyncTasks) enqueue(ctx context.Context, kind string, payload any, options ...aj.TaskOpt) (*aj.Task, error) {
	t, err := aj.NewTask(kind, payload, options...)
	if err != nil {
		return nil, err
	}
	return t, a.client.EnqueueTask(ctx, t)
}

func asyncStep(n int) string { return fmt.Sprint("step", n) }

func (a *asyncTasks) handler(do func(ctx context.Context, j job, t *aj.Task) (any, error)) aj.HandlerFunc {
	return func(ctx context.Context, _ aj.Logger, t *aj.Task) (any, error) {
		defer a.calls.Add(1)
		var j job
		if err := json.Unmarshal(t.Payload, &j); err != nil {
			return nil, err
		}
		return do(ctx, j, t)
	}
}

func (a *asyncTasks) join(_ context.Context, j job, t *aj.Task) (any, error) {
	total := 0
	for _, r := range t.DependencyResults {
		n, err := asyncResult(r)
		if err != nil {
			return nil, err
		}
		total += n
	}
	return checkJoined(j.Number, total)
}

// asyncResult returns a result as a number: it has been decoded from JSON.
func asyncResult(r *aj.TaskResult) (int, error) {
	n, ok := r.Payload.(float64)
	if !ok {
		return 0, fmt.Errorf("the result is %v, not a number", r.Payload)
	}
	return int(n), nil
}

func (a *asyncTasks) routes() (*aj.Mux, error) {
	short := a.handler(func(_ context.Context, j job, _ *aj.Task) (any, error) { return j.run() })
	handlers := map[string]aj.HandlerFunc{"short": short, "child": short, "join": a.handler(a.join)}
	for n := 1; n <= steps; n++ {
		handlers[asyncStep(n)] = a.handler(func(ctx context.Context, j job, _ *aj.Task) (any, error) {
			next, err := j.next()
			if err == nil && n < steps {
				_, err = a.enqueue(ctx, asyncStep(n+1), next)
			}
			return next, err
		})
	}
	mux := aj.NewTaskRouter()
	for kind, h := range handlers {
		if err := mux.HandleFunc(kind, h); err != nil {
			return nil, err
		}
	}
	return mux, nil
}

// hear counts completed tasks, and notifies the waiter of a task.
func (a *asyncTasks) hear(m *nats.Msg) {
	var e aj.TaskStateChangeEvent
	if json.Unmarshal(m.Data, &e) != nil || e.State != aj.TaskStateCompleted {
		return
	}
	switch e.TaskType {
	case "short", "join", asyncStep(steps):
		a.done.Add(1)
	}
	if ended := a.ended.Load(); ended != nil {
		*ended <- e.TaskID
	}
}

func openAsyncjobs(ctx context.Context, s service) (*peer, error) {
	nc, err := nats.Connect(s.Address, nats.UseOldRequestStyle()) // asyncjobs requires this option
	if err != nil {
		return nil, err
	}
	a := &asyncTasks{}
	a.client, err = aj.NewClient(aj.NatsConn(nc), aj.ClientConcurrency(100), aj.WorkQueue(&aj.Queue{Name: "PEERBENCH", MaxRunTime: time.Minute}))
	if err != nil {
		return nil, err
	}
	mux, err := a.routes()
	if err != nil {
		return nil, err
	}
	events, err := nc.Subscribe(aj.TaskStateChangeEventSubjectWildcard, a.hear)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(events.SetPendingLimits(-1, -1), nc.Flush()); err != nil {
		return nil, err
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	down := make(chan error, 1)
	go func() { down <- a.client.Run(run, mux) }()
	p := a.peer()
	p.close = func() error {
		stop()
		err := <-down
		nc.Close()
		return err
	}
	return p, nil
}

func (a *asyncTasks) peer() *peer {
	return &peer{
		single: a.measured(1, func(ctx context.Context, j job) error {
			_, err := a.enqueue(ctx, "short", j)
			return err
		}),
		fanOut: a.measured(children+1, func(ctx context.Context, j job) error {
			begun := make([]*aj.Task, children)
			for i := range begun {
				t, err := a.enqueue(ctx, "child", newJob(j.Number+i))
				if err != nil {
					return err
				}
				begun[i] = t
			}
			_, err := a.enqueue(ctx, "join", j, aj.TaskDependsOn(begun...), aj.TaskRequiresDependencyResults())
			return err
		}),
		sequence: a.measured(steps, func(ctx context.Context, j job) error {
			_, err := a.enqueue(ctx, asyncStep(1), j)
			return err
		}),
		latency: a.wait,
	}
}

func (a *asyncTasks) measured(perOutcome int, insert func(context.Context, job) error) func(context.Context, int) error {
	count := func(context.Context) (int, error) { return int(a.done.Load()), nil }
	return func(ctx context.Context, n int) error {
		return recorded(ctx, n, &a.calls, perOutcome, count, func() error { return byCallers(ctx, n, insert) })
	}
}

func (a *asyncTasks) wait(ctx context.Context, j job) (int, error) {
	ended := make(chan string, 16) // more than the tasks in progress
	a.ended.Store(&ended)
	defer a.ended.Store(nil)
	t, err := a.enqueue(ctx, "short", j)
	if err != nil {
		return 0, err
	}
	for {
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case id := <-ended:
			if id != t.ID {
				continue
			}
			t, err := a.client.LoadTaskByID(id)
			if err != nil {
				return 0, err
			}
			return asyncResult(t.Result)
		}
	}
}
