package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/cschleiden/go-workflows/backend"
	"github.com/cschleiden/go-workflows/backend/monoprocess"
	wfredis "github.com/cschleiden/go-workflows/backend/redis"
	"github.com/cschleiden/go-workflows/backend/sqlite"
	"github.com/cschleiden/go-workflows/client"
	"github.com/cschleiden/go-workflows/worker"
	"github.com/cschleiden/go-workflows/workflow"
	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

// Documentation followed: go-workflows' docs (guide, backends) and its own bench. It uses the
// SQLite backend behind the monoprocess backend, which avoids polling within a process, or the
// Redis backend without a polling interval. Its cache of 128 running workflows is enlarged to hold
// all workflows of a round. A short task is a workflow with one activity, because only activities
// may run nondeterministic code. Children are activities, which cost less than sub-workflows.

func openGoWorkflowsSQLite(ctx context.Context, s service) (*peer, error) {
	b := sqlite.NewSqliteBackend(filepath.Join(s.Dir, "workflows.sqlite"), sqlite.WithBackendOptions(quietBackend()))
	return openGoWorkflows(ctx, monoprocess.NewMonoprocessBackend(b), worker.DefaultOptions)
}

func openGoWorkflowsRedis(ctx context.Context, s service) (*peer, error) {
	c := redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs: []string{s.Address}, WriteTimeout: 30 * time.Second, ReadTimeout: 30 * time.Second,
	})
	b, err := wfredis.NewRedisBackend(c, wfredis.WithBackendOptions(quietBackend()))
	if err != nil {
		return nil, err
	}
	options := worker.DefaultOptions
	options.ActivityPollingInterval, options.WorkflowPollingInterval = 0, 0
	return openGoWorkflows(ctx, b, options)
}

func quietBackend() backend.BackendOption { return backend.WithLogger(slog.New(slog.DiscardHandler)) }

// goWorkflowsTasks has the code of the activities and workflows.
type goWorkflowsTasks struct{ calls atomic.Int64 }

func (t *goWorkflowsTasks) Run(_ context.Context, j job) (int, error) {
	defer t.calls.Add(1)
	return j.run()
}

func (t *goWorkflowsTasks) Next(_ context.Context, j job) (job, error) {
	defer t.calls.Add(1)
	return j.next()
}

func (t *goWorkflowsTasks) Short(ctx workflow.Context, j job) (int, error) {
	return workflow.ExecuteActivity[int](ctx, workflow.DefaultActivityOptions, t.Run, j).Get(ctx)
}

func (t *goWorkflowsTasks) Parent(ctx workflow.Context, j job) (int, error) {
	begun := make([]workflow.Future[int], children)
	for i := range begun {
		begun[i] = workflow.ExecuteActivity[int](ctx, workflow.DefaultActivityOptions, t.Run, newJob(j.Number+i))
	}
	total := 0
	for _, f := range begun {
		n, err := f.Get(ctx)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return checkJoined(j.Number, total)
}

func (t *goWorkflowsTasks) Chain(ctx workflow.Context, j job) (job, error) {
	for range steps {
		next, err := workflow.ExecuteActivity[job](ctx, workflow.DefaultActivityOptions, t.Next, j).Get(ctx)
		if err != nil {
			return j, err
		}
		j = next
	}
	return j, nil
}

func openGoWorkflows(ctx context.Context, b backend.Backend, options worker.Options) (*peer, error) {
	options.WorkflowExecutorCacheSize = maxCount
	t := &goWorkflowsTasks{}
	w := worker.New(b, &options)
	for _, f := range []any{t.Short, t.Parent, t.Chain} {
		if err := w.RegisterWorkflow(f); err != nil {
			return nil, err
		}
	}
	for _, f := range []any{t.Run, t.Next} {
		if err := w.RegisterActivity(f); err != nil {
			return nil, err
		}
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	if err := w.Start(run); err != nil {
		stop()
		return nil, err
	}
	c := client.New(b)
	begin := func(ctx context.Context, f any, j job) (*workflow.Instance, error) {
		return c.CreateWorkflowInstance(ctx, client.WorkflowInstanceOptions{InstanceID: uuid.NewString()}, f, j)
	}
	measured := func(f any, perOutcome int) func(context.Context, int) error {
		return func(ctx context.Context, n int) error {
			// The backend counts unfinished workflows. All workflows of earlier rounds have
			// finished.
			begun := atomic.Int64{}
			count := func(ctx context.Context) (int, error) {
				s, err := b.GetStats(ctx)
				if err != nil {
					return 0, err
				}
				return int(begun.Load() - s.ActiveWorkflowInstances), nil
			}
			return recorded(ctx, n, &t.calls, perOutcome, count, func() error {
				return byCallers(ctx, n, func(ctx context.Context, j job) error {
					_, err := begin(ctx, f, j)
					begun.Add(1)
					return err
				})
			})
		}
	}
	return &peer{
		single:   measured(t.Short, 1),
		fanOut:   measured(t.Parent, children),
		sequence: measured(t.Chain, steps),
		latency: func(ctx context.Context, j job) (int, error) {
			i, err := begin(ctx, t.Short, j)
			if err != nil {
				return 0, err
			}
			return client.GetWorkflowResult[int](ctx, c, i, time.Minute)
		},
		close: func() error {
			stop()
			return errors.Join(w.WaitForCompletion(), b.Close())
		},
	}, nil
}
