package main

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// Documentation followed: Temporal's docs (Go SDK; standalone activities; worker performance, which
// recommends poller autoscaling). A short task is a standalone activity, which costs less than a
// workflow with one activity. Children are activities of the parent's workflow, which cost less
// than child workflows. The server is Temporal's development server; in production there would be
// another server with a separate database.

const temporalQueue = "peerbench"

// temporalAttempt is the StartToCloseTimeout of activities. On a busy machine, the development
// server sometimes records that an activity has started, but misses its own deadline for giving it
// to a worker ("Update workflow execution operation failed" in its log). It retries the activity
// after this time.
const temporalAttempt = 10 * time.Second

type quietTemporal struct{}

func (quietTemporal) Debug(string, ...any) {}
func (quietTemporal) Info(string, ...any)  {}
func (quietTemporal) Warn(string, ...any)  {}
func (quietTemporal) Error(string, ...any) {}

var _ log.Logger = quietTemporal{}

// temporalTasks has the code of the activities and workflows.
type temporalTasks struct{ calls atomic.Int64 }

func (t *temporalTasks) Short(_ context.Context, j job) (int, error) {
	defer t.calls.Add(1)
	return j.run()
}

func (t *temporalTasks) Step(_ context.Context, j job) (job, error) {
	defer t.calls.Add(1)
	return j.next()
}

func (t *temporalTasks) activity(ctx workflow.Context) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: temporalAttempt})
}

func (t *temporalTasks) Parent(ctx workflow.Context, j job) (int, error) {
	ctx = t.activity(ctx)
	begun := make([]workflow.Future, children)
	for i := range begun {
		begun[i] = workflow.ExecuteActivity(ctx, t.Short, newJob(j.Number+i))
	}
	total := 0
	for _, f := range begun {
		var n int
		if err := f.Get(ctx, &n); err != nil {
			return 0, err
		}
		total += n
	}
	return checkJoined(j.Number, total)
}

func (t *temporalTasks) Chain(ctx workflow.Context, j job) (job, error) {
	ctx = t.activity(ctx)
	for range steps {
		if err := workflow.ExecuteActivity(ctx, t.Step, j).Get(ctx, &j); err != nil {
			return j, err
		}
	}
	return j, nil
}

func openTemporal(ctx context.Context, s service) (*peer, error) {
	c, err := client.DialContext(ctx, client.Options{HostPort: s.Address, Logger: quietTemporal{}})
	if err != nil {
		return nil, err
	}
	t := &temporalTasks{}
	pollers := worker.NewPollerBehaviorAutoscaling(worker.PollerBehaviorAutoscalingOptions{})
	w := worker.New(c, temporalQueue, worker.Options{WorkflowTaskPollerBehavior: pollers, ActivityTaskPollerBehavior: pollers})
	w.RegisterActivity(t.Short)
	w.RegisterActivity(t.Step)
	w.RegisterWorkflow(t.Parent)
	w.RegisterWorkflow(t.Chain)
	if err := w.Start(); err != nil {
		return nil, err
	}
	// All ids of a round begin with the time of its start.
	begun := func(round string) client.StartActivityOptions {
		return client.StartActivityOptions{ID: round + uuid.NewString(), TaskQueue: temporalQueue, StartToCloseTimeout: temporalAttempt}
	}
	round := func() string { return "r" + strconv.FormatInt(time.Now().UnixNano(), 36) + "-" }
	activities := func(ctx context.Context, n int) error {
		round := round()
		count := func(ctx context.Context) (int, error) {
			r, err := c.CountActivities(ctx, client.CountActivitiesOptions{Query: completed("ActivityId", round)})
			if err != nil {
				return 0, err
			}
			return int(r.Count), nil
		}
		return recorded(ctx, n, &t.calls, 1, count, func() error {
			return byCallers(ctx, n, func(ctx context.Context, j job) error {
				_, err := c.ExecuteActivity(ctx, begun(round), t.Short, j)
				return err
			})
		})
	}
	workflows := func(perOutcome int, run any) func(context.Context, int) error {
		return func(ctx context.Context, n int) error {
			round := round()
			count := func(ctx context.Context) (int, error) {
				r, err := c.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: completed("WorkflowId", round)})
				return int(r.GetCount()), err
			}
			return recorded(ctx, n, &t.calls, perOutcome, count, func() error {
				return byCallers(ctx, n, func(ctx context.Context, j job) error {
					_, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: round + uuid.NewString(), TaskQueue: temporalQueue}, run, j)
					return err
				})
			})
		}
	}
	return &peer{
		single:   activities,
		fanOut:   workflows(children, t.Parent),
		sequence: workflows(steps, t.Chain),
		latency: func(ctx context.Context, j job) (n int, err error) {
			h, err := c.ExecuteActivity(ctx, begun("l"), t.Short, j)
			if err != nil {
				return 0, err
			}
			return n, h.Get(ctx, &n)
		},
		close: func() error {
			w.Stop()
			c.Close()
			return nil
		},
	}, nil
}

// completed returns a query for the visibility store.
func completed(attribute, prefix string) string {
	return fmt.Sprintf("ExecutionStatus = 'Completed' AND %s STARTS_WITH '%s'", attribute, prefix)
}
