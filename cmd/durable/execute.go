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
	// enqueuers is how many enqueue at a time: enough to keep a connection busy.
	enqueuers = 8
	// waiters is how many executions are waited for at a time. They end about in
	// the order in which they were enqueued.
	waiters = 64
)

// crashCap is how often an execution may be in hand while the demo is killed. No
// task here kills its process: whoever does it again and again means to.
const crashCap = 1000

// execute sees a plan through, with an executor in this process, and returns
// what became of each job. When ctx ends the executor drains; the jobs that have
// not finished then are left to the next run.
func (d *demo) execute(ctx context.Context, p plan) ([]result, error) {
	d.meter = newMeter(d.say)
	defer d.meter.close()
	up := &uploader{delay: d.delay, maxSize: int64(d.maxSize), log: d.log, done: d.meter.step}
	drain := d.drain
	if drain == 0 {
		drain = workers.NoDrain
	}
	x, err := workers.New(d.store.Store, workers.Config{ // itself, which serves other clients too
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

	// Waiting outlives ctx: what ends while the executor drains counts.
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
	if err != nil && !errors.Is(err, context.Canceled) { // it may have been stopped before it had begun
		return nil, err
	}
	return c.results, c.lookAgain(context.WithoutCancel(ctx), p.all())
}

func (d *demo) farewell() string {
	what := "are handed back"
	if d.drain > 0 {
		what = "have " + d.drain.String() + " to finish"
	}
	return "interrupted: tasks that run " + what + "; Ctrl-C again ends at once"
}

// A course is the way of the jobs through the executor. Each result is written
// by one goroutine, at the index of its job.
type course struct {
	*demo
	client  *engine.Client
	results []result
	printed sync.Mutex
}

// follow enqueues the jobs that are new, until ctx ends, and waits for all that
// have been enqueued, until waiting ends.
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

// lookAgain settles what finished while nobody waited any more, and finds out
// how far the rest has come.
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
	// Nobody waits for this for long.
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

// finish is called once for each job that has come to its end in this run.
func (c *course) finish(j *job, r result) {
	c.meter.end(j.id, r.completed())
	c.tell(r)
}

// tell prints a result where results are printed as they come.
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
