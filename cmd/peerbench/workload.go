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
	fanOut   workload = "fan-out"  // a parent, 10 children in parallel, and a join of their results
	sequence workload = "sequence" // five steps, one after the other
	latency  workload = "latency"  // insert one task, wait for its result, then insert the next
)

var workloads = []workload{single, bulk, fanOut, sequence, latency}

const (
	callers  = 64
	bulkSize = 1000
	children = 10
	steps    = 5
)

// A job is the input of every task, about 300 bytes of JSON.
type job struct {
	Number int    `json:"number"`
	Text   string `json:"text"`
}

const jobText = "the quick brown fox jumps over the lazy dog, and then it does so again, and again, since somebody wants to know " +
	"how fast it is at that; the dog, who has been asked for its opinion, has none, but it asks that all foxes be given the same " +
	"dog, and the same time of the day for jumping."

func newJob(number int) job { return job{Number: number, Text: jobText} }

// run is the code of every short task.
func (j job) run() (int, error) {
	if j.Text != jobText {
		return 0, fmt.Errorf("job %d has a wrong text", j.Number)
	}
	return j.Number + 1, nil
}

// next is the code of every step.
func (j job) next() (job, error) {
	n, err := j.run()
	return job{Number: n, Text: j.Text}, err
}

// joined returns the expected sum of the children of the parent with this number.
func joined(number int) int {
	sum := 0
	for i := range children {
		sum += number + i + 1
	}
	return sum
}

// A peer is a running system, with workers and a connected client. Each function runs a workload n
// times, and returns when the outcomes are recorded, or an error. It is nil if the system does not
// support the workload.
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

// each calls fn for 0 to n-1 from that many callers, and returns the first error.
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

// inBulk inserts n jobs, bulkSize per call.
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

// checkJoined checks the sum of a parent's children. The code that joins them calls it.
func checkJoined(number, total int) (int, error) {
	if want := joined(number); total != want {
		return 0, fmt.Errorf("the children of %d add up to %d, not %d", number, total, want)
	}
	return total, nil
}

// A counter returns the total number of recorded outcomes.
type counter func(ctx context.Context) (int, error)

// recorded runs insert and waits for n more outcomes. More than n are an error. Because each request
// for the count costs the service, recorded first waits until the workers in this process have made
// as many calls as n outcomes need; reading that number costs nothing.
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
		return fmt.Errorf("%w: %d of %d calls were still missing", err, want-calls.Load(), n*perOutcome)
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
		return fmt.Errorf("%d outcomes were recorded, want %d", now-before, n)
	}
	return nil
}

// until calls done at this interval until it returns true.
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
