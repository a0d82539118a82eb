package semantics_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/workers"
)

// A bounded is a namespace with room for one root, and tasks of every kind.
type bounded struct {
	*world
	limits map[string]int // by queue

	mu      sync.Mutex
	running map[string]int
	most    map[string]int // by queue: the most attempts that ran at once
}

var (
	boundLeaf   = engine.Define[int, int]("bound-leaf")
	boundRemote = engine.Define[int, int]("bound-remote", engine.Queue("remote"))
	boundFlaky  = engine.Define[int, int]("bound-flaky", engine.Retry{MaxRetries: 2, BaseDelay: 2 * time.Second})
	boundLate   = engine.Define[int, int]("bound-late", engine.Delay(3*time.Second))
	boundParent = engine.Define[int, int]("bound-parent")
	boundJoin   = engine.Define[engine.Joined[int, int], int]("bound-join")
	boundSteps  = engine.Define[int, int]("bound-steps")
	boundPoll   = engine.DefinePoll[int, int]("bound-poll", engine.Poll{Every: 2 * time.Second})
)

// attempt is the code of the tasks: it counts how many attempts run at once.
func (b *bounded) attempt(ctx context.Context, n int) (int, error) {
	run := engine.FromContext(ctx)
	b.mu.Lock()
	b.running[run.Queue]++
	b.most[run.Queue] = max(b.most[run.Queue], b.running[run.Queue])
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.running[run.Queue]--
	}()
	time.Sleep(20 * time.Millisecond)
	if run.TaskID == boundFlaky.ID() && run.Attempt == 0 {
		return 0, errors.New("flaky")
	}
	return n, nil
}

func (b *bounded) bindings() []engine.Binding {
	return []engine.Binding{
		engine.Bind(boundLeaf, b.attempt), engine.Bind(boundRemote, b.attempt), engine.Bind(boundFlaky, b.attempt), engine.Bind(boundLate, b.attempt),
		engine.BindParentTask(boundParent, func(ctx context.Context, n int, c *engine.Children) (int, error) {
			for i := range 4 {
				boundLeaf.Spawn(c, i)
				boundRemote.Spawn(c, i)
			}
			boundFlaky.Spawn(c, n)
			boundLate.Spawn(c, n)
			return b.attempt(ctx, n)
		}, boundJoin),
		engine.Bind(boundJoin, func(ctx context.Context, j engine.Joined[int, int]) (int, error) {
			for _, e := range j.Children {
				if e.Status != engine.Completed {
					return 0, fmt.Errorf("child %d is %s", e.Index, e.Status)
				}
			}
			return b.attempt(ctx, j.Output)
		}),
		engine.BindSequence(boundSteps, engine.Then(engine.Then(boundLeaf, boundRemote), boundFlaky)),
		engine.BindPoll(boundPoll, func(ctx context.Context, n int) (int, bool, error) {
			_, err := b.attempt(ctx, n)
			return n, engine.FromContext(ctx).Polls > 1, err
		}),
	}
}

// insists enqueues again until it is not refused.
func insists[In, Out any](b *bounded, task engine.Task[In, Out], in In) string {
	for {
		h, err := task.Enqueue(b.ctx, b.client, in)
		if err == nil {
			return h.ID()
		}
		if !errors.Is(err, engine.ErrQueueFull) {
			b.t.Errorf("enqueue %s: %v", task.ID(), err)
			return ""
		}
		time.Sleep(30 * time.Millisecond)
	}
}

func TestABoundOfOneIsForNewRootsOnly(t *testing.T) {
	for name, limits := range map[string]map[string]int{
		"no limit of a queue":                  nil,
		"both queues run one at a time":        {engine.DefaultQueue: 1, "remote": 1},
		"a queue that only children go to":     {"remote": 1},
		"the queue that roots come to is busy": {engine.DefaultQueue: 2},
	} {
		t.Run(name, func(t *testing.T) {
			onNamespace(t, jsstore.Config{MaxReady: 1}, func(t *testing.T, w *world) {
				b := &bounded{world: w, limits: limits, running: map[string]int{}, most: map[string]int{}}
				for q, n := range limits {
					check(t, w.store.(*jsstore.Store).LimitQueue(t.Context(), q, n))
				}
				for range 3 {
					w.executor(workers.Config{Slots: 2, Queues: evenly(engine.DefaultQueue, "remote")}, b.bindings()...)
				}
				b.crowd(5)
				for q, n := range limits {
					if b.most[q] > n {
						t.Errorf("queue %s: %d ran at once, its limit is %d", q, b.most[q], n)
					}
				}
			})
		})
	}
}

// crowd enqueues n executions of every kind at once, and waits until all have completed.
func (b *bounded) crowd(n int) {
	b.t.Helper()
	ids := make(chan string, 100*n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { ids <- insists(b, boundParent, i) })
		all.Go(func() { ids <- insists(b, boundSteps, i) })
		all.Go(func() { ids <- insists(b, boundPoll.Task, i) })
		all.Go(func() { ids <- insists(b, boundFlaky, i) })
		all.Go(func() { ids <- insists(b, boundLate, i) })
		for range 5 {
			all.Go(func() { ids <- insists(b, boundLeaf, i) })
		}
	}
	all.Wait()
	close(ids)
	for id := range ids {
		b.ends(id, engine.Completed)
	}
}
