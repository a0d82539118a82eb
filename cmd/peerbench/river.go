package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// Documentation followed: River's README and docs (getting started, batch job insertion with
// InsertManyFast, recorded output, subscriptions, transactional job completion). FetchCooldown,
// FetchPollInterval and the 1,000 workers are the same as in its own benchmark (river bench),
// which says that they perform much better than the defaults: the default cooldown of 100 ms
// limits the throughput.

type riverShort struct{ job }

func (riverShort) Kind() string { return "short" }

// riverStep is one of five jobs, chained by hand.
type riverStep struct {
	job
	Step int `json:"step"`
}

func (riverStep) Kind() string { return "step" }

// riverJobs has the code of the jobs.
type riverJobs struct {
	pool   *pgxpool.Pool
	client *river.Client[pgx.Tx]
	calls  atomic.Int64
	events <-chan *river.Event // events of completed jobs; nil until a caller waits
}

func (r *riverJobs) short(ctx context.Context, j *river.Job[riverShort]) error {
	defer r.calls.Add(1)
	n, err := j.Args.run()
	if err != nil {
		return err
	}
	return river.RecordOutput(ctx, n)
}

func (r *riverJobs) step(ctx context.Context, j *river.Job[riverStep]) error {
	defer r.calls.Add(1)
	next, err := j.Args.next()
	if err != nil {
		return err
	}
	if j.Args.Step == steps {
		return river.RecordOutput(ctx, next)
	}
	tx, err := r.pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx)
	if _, err := r.client.InsertTx(ctx, tx, riverStep{next, j.Args.Step + 1}, nil); err != nil {
		return err
	}
	if _, err := river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, j); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

func openRiver(ctx context.Context, s service) (*peer, error) {
	config, err := pgxpool.ParseConfig(s.Address)
	if err != nil {
		return nil, err
	}
	config.MaxConns = 50
	r := &riverJobs{}
	if r.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, err
	}
	migrator, err := rivermigrate.New(riverpgxv5.New(r.pool), nil)
	if err != nil {
		return nil, err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return nil, err
	}
	w := river.NewWorkers()
	river.AddWorker(w, river.WorkFunc(r.short))
	river.AddWorker(w, river.WorkFunc(r.step))
	r.client, err = river.NewClient(riverpgxv5.New(r.pool), &river.Config{
		FetchCooldown:     2 * time.Millisecond,
		FetchPollInterval: 20 * time.Millisecond,
		Logger:            slog.New(slog.DiscardHandler),
		Queues:            map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 1000}},
		Workers:           w,
	})
	if err != nil {
		return nil, err
	}
	if err := r.client.Start(context.WithoutCancel(ctx)); err != nil {
		return nil, err
	}
	return r.peer(), nil
}

func (r *riverJobs) peer() *peer {
	return &peer{
		single: r.measured(1, func(ctx context.Context, n int) error {
			return byCallers(ctx, n, func(ctx context.Context, j job) error {
				_, err := r.client.Insert(ctx, riverShort{j}, nil)
				return err
			})
		}),
		bulk: r.measured(1, func(ctx context.Context, n int) error {
			return inBulk(n, func(jobs []job) error {
				var list []river.InsertManyParams
				for _, j := range jobs {
					list = append(list, river.InsertManyParams{Args: riverShort{j}})
				}
				_, err := r.client.InsertManyFast(ctx, list)
				return err
			})
		}),
		sequence: r.measured(steps, func(ctx context.Context, n int) error {
			return byCallers(ctx, n, func(ctx context.Context, j job) error {
				_, err := r.client.Insert(ctx, riverStep{j, 1}, nil)
				return err
			})
		}),
		latency: r.wait,
		close: func() error {
			stop, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			err := r.client.StopAndCancel(stop)
			r.pool.Close()
			return err
		},
	}
}

// measured counts only the jobs of a round: their ids are greater than all earlier ones.
func (r *riverJobs) measured(jobs int, insert func(ctx context.Context, n int) error) func(context.Context, int) error {
	return func(ctx context.Context, n int) error {
		var last int64
		if err := r.pool.QueryRow(ctx, "select coalesce(max(id), 0) from river_job").Scan(&last); err != nil {
			return err
		}
		count := func(ctx context.Context) (n int, err error) {
			err = r.pool.QueryRow(ctx, "select count(*) from river_job where id > $1 and state = 'completed'", last).Scan(&n)
			return n, err
		}
		return recorded(ctx, n*jobs, &r.calls, 1, count, func() error { return insert(ctx, n) })
	}
}

// wait inserts a job and waits for its end with a subscription, which only the client of a worker
// has.
func (r *riverJobs) wait(ctx context.Context, j job) (n int, err error) {
	if r.events == nil {
		r.events, _ = r.client.Subscribe(river.EventKindJobCompleted)
	}
	inserted, err := r.client.Insert(ctx, riverShort{j}, nil)
	if err != nil {
		return 0, err
	}
	for {
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case e, ok := <-r.events:
			if !ok {
				return 0, errors.New("the subscription has ended")
			}
			if e.Job.ID != inserted.Job.ID {
				continue
			}
			if _, err := fmt.Sscan(string(e.Job.Output()), &n); err != nil {
				return 0, fmt.Errorf("output %q: %w", e.Job.Output(), err)
			}
			return n, nil
		}
	}
}
