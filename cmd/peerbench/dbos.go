package main

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Documentation followed: DBOS Transact Go's README and docs (workflows, queues). DBOS can start a
// workflow in two ways, and each has a row: in the calling process (README, "Durable Workflows"),
// or through a queue from which any process may take it ("Durable Queues"). The pool has the
// default of 20 connections. Workers poll the queue every 20 ms: the default is a second, which
// would determine the latency. GetResult polls as often when it waits for one result at a time. A
// short task is a workflow without steps, and a child is a workflow.

// dbosPoll is how often workers poll the queue, and waiters poll a result.
const dbosPoll = 20 * time.Millisecond

func openDBOSInPlace(ctx context.Context, s service) (*peer, error) { return openDBOS(ctx, s, false) }

func openDBOSQueue(ctx context.Context, s service) (*peer, error) { return openDBOS(ctx, s, true) }

// dbosWorkflows has the code of the workflows.
type dbosWorkflows struct {
	ctx   dbos.Context
	where []dbos.WorkflowOption // where workflows run: in this process, or through the queue
	pool  *pgxpool.Pool         // to count outcomes
	calls atomic.Int64
}

func (d *dbosWorkflows) short(_ dbos.Context, j job) (int, error) {
	defer d.calls.Add(1)
	return j.run()
}

func (d *dbosWorkflows) parent(ctx dbos.Context, j job) (int, error) {
	handles := make([]dbos.WorkflowHandle[int], children)
	for i := range handles {
		h, err := dbos.RunWorkflow(ctx, d.short, newJob(j.Number+i), d.where...)
		if err != nil {
			return 0, err
		}
		handles[i] = h
	}
	total := 0
	for _, h := range handles {
		n, err := h.GetResult()
		if err != nil {
			return 0, err
		}
		total += n
	}
	return checkJoined(j.Number, total)
}

func (d *dbosWorkflows) chain(ctx dbos.Context, j job) (job, error) {
	for range steps {
		next, err := dbos.RunAsStep(ctx, func(context.Context) (job, error) {
			defer d.calls.Add(1)
			return j.next()
		}, dbos.WithStepName("next"))
		if err != nil {
			return j, err
		}
		j = next
	}
	return j, nil
}

func openDBOS(ctx context.Context, s service, queued bool) (*peer, error) {
	d := &dbosWorkflows{}
	var err error
	if d.pool, err = pgxpool.New(ctx, s.Address); err != nil {
		return nil, err
	}
	d.ctx, err = dbos.NewContext(context.WithoutCancel(ctx), dbos.Config{
		DatabaseURL: s.Address, AppName: "peerbench", Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	dbos.RegisterWorkflow(d.ctx, d.short, dbos.WithWorkflowName("short"))
	dbos.RegisterWorkflow(d.ctx, d.parent, dbos.WithWorkflowName("parent"))
	dbos.RegisterWorkflow(d.ctx, d.chain, dbos.WithWorkflowName("chain"))
	if queued {
		q, err := dbos.RegisterQueue(d.ctx, "work", dbos.WithQueueBasePollingInterval(dbosPoll))
		if err != nil {
			return nil, err
		}
		d.where = []dbos.WorkflowOption{dbos.WithQueue(q)}
	}
	if err := dbos.Launch(d.ctx); err != nil {
		return nil, err
	}
	return &peer{
		single:   measuredDBOS(d, "short", d.short, 1),
		fanOut:   measuredDBOS(d, "parent", d.parent, children),
		sequence: measuredDBOS(d, "chain", d.chain, steps),
		latency: func(_ context.Context, j job) (int, error) {
			h, err := dbos.RunWorkflow(d.ctx, d.short, j, d.where...)
			if err != nil {
				return 0, err
			}
			return h.GetResult(dbos.WithHandlePollingInterval(dbosPoll))
		},
		close: func() error {
			dbos.Shutdown(d.ctx, 10*time.Second)
			d.pool.Close()
			return nil
		},
	}, nil
}

// measuredDBOS counts the workflows with a name that started in a round.
func measuredDBOS[Out any](d *dbosWorkflows, name string, run func(dbos.Context, job) (Out, error), perOutcome int) func(context.Context, int) error {
	return func(ctx context.Context, n int) error {
		var since int64
		if err := d.pool.QueryRow(ctx, `select coalesce(max(created_at), 0) + 1 from dbos.workflow_status`).Scan(&since); err != nil {
			return err
		}
		time.Sleep(2 * time.Millisecond) // so that every workflow of this round is newer than the last one before it
		count := func(ctx context.Context) (n int, err error) {
			err = d.pool.QueryRow(ctx, `select count(*) from dbos.workflow_status
				where created_at >= $1 and name = $2 and status = 'SUCCESS'`, since, name).Scan(&n)
			return n, err
		}
		return recorded(ctx, n, &d.calls, perOutcome, count, func() error {
			return byCallers(ctx, n, func(_ context.Context, j job) error {
				_, err := dbos.RunWorkflow(d.ctx, run, j, d.where...)
				return err
			})
		})
	}
}
