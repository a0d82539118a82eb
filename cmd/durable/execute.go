package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/workers"
)

const (
	// enqueuers is how many goroutines enqueue: enough to keep a connection busy.
	enqueuers = 8
	// waiters is how many goroutines wait for executions. Executions finish roughly in the
	// order in which they were enqueued, so that few waiters suffice.
	waiters = 64
)

// crashCap is how often an execution may lose its executor before it fails. It is high
// because no task here crashes its process: a user who kills the demo repeatedly means to.
const crashCap = 1000

// execute runs the jobs of a plan with an executor in this process, and returns the result
// of each. When ctx ends, the executor drains; the next run continues unfinished jobs.
func (d *demo) execute(ctx context.Context, p plan) ([]result, error) {
	d.meter = newMeter(d.say)
	defer d.meter.close()
	up := &uploader{delay: d.delay, maxSize: int64(d.maxSize), log: d.log, done: d.meter.step}
	drain := d.drain
	if drain == 0 {
		drain = workers.NoDrain
	}
	x, err := workers.New(d.store.Store, workers.Config{ // the jsstore.Store itself, so that the executor serves the API too
		Name: fmt.Sprintf("demo-%d", os.Getpid()), Slots: d.slots, Drain: drain, Logger: slogs(d.log),
		Queues:   map[string]int{engine.DefaultQueue: 1, string(parts): 1},
		CrashCap: crashCap,
	}, up.bindings()...)
	if err != nil {
		return nil, err
	}
	_, stopProbes, err := answerProbes(ctx, d.health, x)
	if err != nil {
		return nil, err
	}
	defer stopProbes()
	c := &course{demo: d, client: x.Client(), results: make([]result, len(p.all()))}
	running, stop := context.WithCancel(ctx)
	defer stop()
	ran := make(chan error, 1)
	go func() { ran <- x.Run(running) }()

	// Waiting outlives ctx: an execution that finishes while the executor drains counts.
	waiting, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		c.follow(ctx, waiting, p.all())
	}()

	select {
	case <-finished:
		stop()
		err = <-ran
	case <-ctx.Done():
		d.meter.stop()
		d.meter.line(d.farewell())
		err = <-ran
	case err = <-ran:
	}
	giveUp()
	<-finished
	if err != nil && !errors.Is(err, context.Canceled) { // Run returns Canceled if it is stopped before it has begun
		return nil, err
	}
	return c.results, c.lookAgain(context.WithoutCancel(ctx), p.all())
}

func (d *demo) farewell() string {
	what := "are handed back"
	if d.drain > 0 {
		what = "have " + d.drain.String() + " to finish"
	}
	return "interrupted: running tasks " + what + "; press Ctrl-C again to end at once"
}

// A course follows the jobs through the executor. Each result is written by one goroutine
// only, at the index of its job.
type course struct {
	*demo
	client  *engine.Client
	results []result
	printed sync.Mutex
}

// follow enqueues the new jobs until ctx ends, and waits for all enqueued jobs until waiting
// ends.
func (c *course) follow(ctx, waiting context.Context, jobs []*job) {
	for i, j := range jobs {
		c.results[i] = settled(j, j.found)
		if j.isNew() {
			c.results[i].Status = statusUnqueued
		}
		if j.found.Status.Finished() {
			c.tell(c.results[i])
			continue
		}
		c.meter.expect(j.found, j.id)
	}
	toEnqueue, toWait := make(chan int), make(chan int, len(jobs))
	var enqueuing, following sync.WaitGroup
	for range enqueuers {
		enqueuing.Go(func() {
			for i := range toEnqueue {
				if c.enqueue(ctx, jobs[i], &c.results[i]) {
					toWait <- i
				}
			}
		})
	}
	for range waiters {
		following.Go(func() {
			for i := range toWait {
				c.await(waiting, jobs[i], &c.results[i])
			}
		})
	}
	for i, j := range jobs {
		if !j.found.Status.Finished() {
			toEnqueue <- i
		}
	}
	close(toEnqueue)
	enqueuing.Wait()
	close(toWait)
	following.Wait()
}

// enqueue reports whether the job is in the store now.
func (c *course) enqueue(ctx context.Context, j *job, r *result) bool {
	if !j.isNew() {
		return true
	}
	if ctx.Err() != nil {
		return false
	}
	// The timeout depends on the flags of this run; the id does not.
	timeout := engine.Timeout(uploadTimeout + c.delay)
	_, err := uploadFile.Enqueue(ctx, c.client, j.input, engine.ID(j.id), timeout)
	if err == nil {
		r.Status = engine.Ready
		return true
	}
	if ctx.Err() == nil && !errors.Is(err, engine.ErrShutdown) {
		r.Error = err.Error()
		c.finish(j, *r)
	}
	return false
}

func (c *course) await(waiting context.Context, j *job, r *result) {
	x, err := c.client.Wait(waiting, j.id)
	if err != nil {
		if waiting.Err() == nil {
			r.Error = err.Error()
			c.finish(j, *r)
		}
		return
	}
	*r = settled(j, x)
	c.finish(j, *r)
}

// lookAgain reads the state of the jobs without a result: some may have finished after the
// waiters stopped.
func (c *course) lookAgain(ctx context.Context, jobs []*job) error {
	var left []int
	for i, r := range c.results {
		if !r.Status.Finished() && r.Error == "" {
			left = append(left, i)
		}
	}
	if len(left) == 0 {
		return nil
	}
	// The process is ending: don't keep the user waiting.
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	k, err := recall(ctx, c.store)
	if err != nil {
		return err
	}
	for _, i := range left {
		j := jobs[i]
		if x, ok := k[j.id]; ok {
			c.results[i] = settled(j, x)
		}
		if c.results[i].Status.Finished() {
			c.finish(j, c.results[i])
			continue
		}
		c.tell(c.results[i])
	}
	return nil
}

// finish counts and prints a result. It is called once for each job that ends in this run.
func (c *course) finish(j *job, r result) {
	c.meter.end(j.id, r.completed())
	c.tell(r)
}

// tell prints a result at once with --json; otherwise it prints only an error at once.
func (c *course) tell(r result) {
	if c.json {
		c.printed.Lock()
		defer c.printed.Unlock()
		_ = printJSON(c.out, r) // the writer keeps the error
		return
	}
	if r.Error != "" {
		c.meter.line(fmt.Sprintf("%s  %s: %s", c.say.paint(red, "failed"), shortPath(r.File), oneLine(r.Error)))
	}
}
