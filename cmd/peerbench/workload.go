package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// A workload is a column of the table.
type workload string

const (
	single   workload = "single"   // short tasks, inserted one by one by 64 callers
	bulk     workload = "bulk"     // short tasks, inserted 1,000 at once
	fanOut   workload = "fan-out"  // a parent, 10 children in parallel, and what joins their results
	sequence workload = "sequence" // five steps, one after the other
	latency  workload = "latency"  // insert one, wait for its result, and again
)

var workloads = []workload{single, bulk, fanOut, sequence, latency}

const (
	callers  = 64
	bulkSize = 1000
	children = 10
	steps    = 5
)

// A job is what every task is given, some 300 bytes as JSON.
type job struct {
	Number int    `json:"number"`
	Text   string `json:"text"`
}

const jobText = "the quick brown fox jumps over the lazy dog, and then it does so again, and again, since somebody wants to know " +
	"how fast it is at that; the dog, who has been asked for its opinion, has none, but it asks that all foxes be given the same " +
	"dog, and the same time of the day for jumping."

func newJob(number int) job { return job{Number: number, Text: jobText} }

// run is what the code of every short task does.
func (j job) run() (int, error) {
	if j.Text != jobText {
		return 0, fmt.Errorf("job %d came with another text than it was given", j.Number)
	}
	return j.Number + 1, nil
}

// next is what the code of every step does.
func (j job) next() (job, error) {
	n, err := j.run()
	return job{Number: n, Text: j.Text}, err
}

// joined is what the children of a parent with this number add up to.
func joined(number int) int {
	sum := 0
	for i := range children {
		sum += number + i + 1
	}
	return sum
}

// A peer is a system that is up: its workers run, its client is connected. Each
// function carries out n of a workload, and returns when their outcomes are
// recorded, or why not. Nil is a workload that it has no means for.
type peer struct {
	single, bulk, fanOut, sequence func(ctx context.Context, n int) error
	// latency inserts the job and returns its result.
	latency func(ctx context.Context, j job) (int, error)
	close   func() error
}

func (p *peer) throughput(w workload) func(context.Context, int) error {
	switch w {
	case single:
		return p.single
	case bulk:
		return p.bulk
	case fanOut:
		return p.fanOut
	case sequence:
		return p.sequence
	}
	return nil
}

// each calls fn for 0 to n-1 from so many callers, and returns their first error.
func each(ctx context.Context, n, callers int, fn func(ctx context.Context, i int) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(callers, n) {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := fn(ctx, i); err != nil {
					stop(err)
				}
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// byCallers inserts n jobs one by one, from all callers.
func byCallers(ctx context.Context, n int, insert func(ctx context.Context, j job) error) error {
	return each(ctx, n, callers, func(ctx context.Context, i int) error { return insert(ctx, newJob(i)) })
}

// inBulk inserts n jobs, bulkSize of them at once.
func inBulk(n int, insert func([]job) error) error {
	for from := 0; from < n; from += bulkSize {
		jobs := make([]job, 0, bulkSize)
		for i := from; i < min(from+bulkSize, n); i++ {
			jobs = append(jobs, newJob(i))
		}
		if err := insert(jobs); err != nil {
			return err
		}
	}
	return nil
}

// checkJoined is what the end of every parent does with its children's sum.
func checkJoined(number, total int) (int, error) {
	if want := joined(number); total != want {
		return 0, fmt.Errorf("the children of %d add up to %d, not %d", number, total, want)
	}
	return total, nil
}

// A counter says how many outcomes are recorded, in all.
type counter func(ctx context.Context) (int, error)

// recorded runs insert, waits for n more outcomes than there were, and complains of
// more than that. Since asking costs the service, it first waits until code in this
// process, which is free to ask, has been called so often as n outcomes need.
func recorded(ctx context.Context, n int, calls *atomic.Int64, perOutcome int, count counter, insert func() error) error {
	before, err := count(ctx)
	if err != nil {
		return err
	}
	want := calls.Load() + int64(n*perOutcome)
	if err := insert(); err != nil {
		return err
	}
	if err := until(ctx, time.Millisecond, func() (bool, error) { return calls.Load() >= want, nil }); err != nil {
		return fmt.Errorf("%w: %d of %d calls were left to be made", err, want-calls.Load(), n*perOutcome)
	}
	var now int
	err = until(ctx, 5*time.Millisecond, func() (done bool, err error) {
		now, err = count(ctx)
		return now-before >= n, err
	})
	switch {
	case err != nil:
		return fmt.Errorf("%w: %d of %d outcomes were recorded", err, now-before, n)
	case now-before > n:
		return fmt.Errorf("%d outcomes are recorded where %d were to be", now-before, n)
	}
	return nil
}

// until asks so often until done.
func until(ctx context.Context, every time.Duration, done func() (bool, error)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}
