package main

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
)

// Documentation followed: asynq's README and wiki (getting started, task retention and result).
// Its examples and its own benchmark use a concurrency of 10; here it is 100, so that 64 callers
// find free workers. Workers poll an empty queue every 20 ms: the default is a second, which would
// determine the latency. Retention keeps outcomes for an hour; without it there would be none.
// asynq has no way to wait for a result, so the workload latency polls the Inspector every
// millisecond.

// asynqTasks has the code of the tasks.
type asynqTasks struct {
	client    *asynq.Client
	inspector *asynq.Inspector
	calls     atomic.Int64
}

func (a *asynqTasks) enqueue(ctx context.Context, kind string, j job) (*asynq.TaskInfo, error) {
	payload, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	return a.client.EnqueueContext(ctx, asynq.NewTask(kind, payload), asynq.Retention(time.Hour))
}

func (a *asynqTasks) short(_ context.Context, t *asynq.Task) error {
	defer a.calls.Add(1)
	var j job
	if err := json.Unmarshal(t.Payload(), &j); err != nil {
		return err
	}
	n, err := j.run()
	if err != nil {
		return err
	}
	_, err = t.ResultWriter().Write(strconv.AppendInt(nil, int64(n), 10))
	return err
}

func asynqStep(n int) string { return "step:" + strconv.Itoa(n) }

// step is the code of the nth of five tasks, chained by hand.
func (a *asynqTasks) step(n int) asynq.HandlerFunc {
	return func(ctx context.Context, t *asynq.Task) error {
		defer a.calls.Add(1)
		var j job
		if err := json.Unmarshal(t.Payload(), &j); err != nil {
			return err
		}
		next, err := j.next()
		if err != nil {
			return err
		}
		if n < steps {
			_, err := a.enqueue(ctx, asynqStep(n+1), next)
			return err
		}
		result, err := json.Marshal(next)
		if err != nil {
			return err
		}
		_, err = t.ResultWriter().Write(result)
		return err
	}
}

func openAsynq(_ context.Context, s service) (*peer, error) {
	where := asynq.RedisClientOpt{Addr: s.Address, PoolSize: 150}
	a := &asynqTasks{client: asynq.NewClient(where), inspector: asynq.NewInspector(where)}
	mux := asynq.NewServeMux()
	mux.HandleFunc("short", a.short)
	for n := 1; n <= steps; n++ {
		mux.Handle(asynqStep(n), a.step(n))
	}
	server := asynq.NewServer(where, asynq.Config{Concurrency: 100, TaskCheckInterval: 20 * time.Millisecond, LogLevel: asynq.FatalLevel})
	if err := server.Start(mux); err != nil {
		return nil, err
	}
	return &peer{
		single:   a.measured("short", 1),
		sequence: a.measured(asynqStep(1), steps),
		latency:  a.wait,
		close: func() error {
			server.Shutdown()
			return errors.Join(a.client.Close(), a.inspector.Close())
		},
	}, nil
}

func (a *asynqTasks) measured(kind string, tasks int) func(context.Context, int) error {
	return func(ctx context.Context, n int) error {
		return recorded(ctx, n*tasks, &a.calls, 1, a.completed, func() error {
			return byCallers(ctx, n, func(ctx context.Context, j job) error {
				_, err := a.enqueue(ctx, kind, j)
				return err
			})
		})
	}
}

func (a *asynqTasks) completed(context.Context) (int, error) {
	queues, err := a.inspector.Queues()
	if err != nil || !slices.Contains(queues, "default") {
		return 0, err // the first task that is enqueued creates the queue
	}
	q, err := a.inspector.GetQueueInfo("default")
	if err != nil {
		return 0, err
	}
	return q.Completed, nil
}

func (a *asynqTasks) wait(ctx context.Context, j job) (n int, err error) {
	t, err := a.enqueue(ctx, "short", j)
	if err != nil {
		return 0, err
	}
	err = until(ctx, time.Millisecond, func() (bool, error) {
		t, err := a.inspector.GetTaskInfo(t.Queue, t.ID)
		if err != nil || t.State != asynq.TaskStateCompleted {
			return false, err
		}
		n, err = strconv.Atoi(string(t.Result))
		return true, err
	})
	return n, err
}
