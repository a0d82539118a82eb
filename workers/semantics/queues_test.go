package semantics_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/workers"
)

// A turnstile counts attempts by queue.
type turnstile struct {
	mu      sync.Mutex
	running map[string]int
	began   map[string]int
	all     int
}

func newTurnstile() *turnstile { return &turnstile{running: map[string]int{}, began: map[string]int{}} }

func (c *turnstile) run(d time.Duration) func(context.Context, int) (int, error) {
	return func(ctx context.Context, n int) (int, error) {
		queue := engine.FromContext(ctx).Queue
		c.mu.Lock()
		c.began[queue]++
		c.running[queue]++
		c.all++
		d := d * time.Duration(90+7*c.all%20) / 100 // otherwise all attempts would end at the same time
		c.mu.Unlock()
		defer func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.running[queue]--
		}()
		return sleeps[int](d, n)(ctx, n)
	}
}

func (c *turnstile) of(queue string) (began, running int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.began[queue], c.running[queue]
}

// flood enqueues n executions in each queue.
func flood(w *world, task engine.Task[int, int], n int, queues ...string) {
	w.t.Helper()
	for _, q := range queues {
		_, err := task.EnqueueMany(w.t.Context(), w.client, make([]int, n), engine.Queue(q))
		check(w.t, err)
	}
}

func TestQueuesShareSlotsByTheirWeights(t *testing.T) {
	for what, nap := range map[string]time.Duration{"short": 100 * time.Millisecond, "long": 20 * time.Second} {
		t.Run(what, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				c := newTurnstile()
				task := engine.Define[int, int]("task", engine.NoTimeout)
				flood(w, task, 600, "a", "b", "c")
				w.executor(workers.Config{Slots: 10, Queues: map[string]int{"a": 5, "b": 4, "c": 1}}, engine.Bind(task, c.run(nap)))
				pass(100 * nap)
				a, _ := c.of("a")
				b, _ := c.of("b")
				rest, _ := c.of("c")
				all := a + b + rest
				// A slot is idle during the round trip to the server: a small part of a long nap, a larger
				// part of a short one.
				if all < 700 || all > 1030 {
					t.Errorf("%d began in 100 naps on 10 slots", all)
				}
				for queue, share := range map[string]float64{"a": float64(a) / 5, "b": float64(b) / 4, "c": float64(rest)} {
					if share < 0.8*float64(all)/10 || share > 1.2*float64(all)/10 {
						t.Errorf("queue %s: %.0f began for each part of its weight, want about %d: %d, %d, %d", queue, share, all/10, a, b, rest)
					}
				}
			})
		})
	}
}

func TestAQueueAloneHasAllSlots(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		c := newTurnstile()
		task := engine.Define[int, int]("task", engine.NoTimeout)
		w.executor(workers.Config{Slots: 10, Queues: map[string]int{"a": 100, "b": 1}}, engine.Bind(task, c.run(time.Hour)))
		pass(time.Second)
		flood(w, task, 20, "b")
		pass(time.Second)
		_, running := c.of("b")
		equal(t, "running", running, 10)
	})
}

// TestWhatWaitsForASlotIsLeftToWhoHasOne has an executor whose slots are taken for hours, and a
// second executor that starts later and has free slots.
func TestWhatWaitsForASlotIsLeftToWhoHasOne(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		busy, idle := newTurnstile(), newTurnstile()
		task := engine.Define[int, int]("task", engine.NoTimeout)
		w.executor(workers.Config{Slots: 8, Queues: evenly("a", "b", "c")}, engine.Bind(task, busy.run(10*time.Hour)))
		flood(w, task, 20, "a")
		pass(time.Second)
		flood(w, task, 20, "b")
		pass(5 * time.Second)
		w.executor(workers.Config{Slots: 100, Queues: evenly("a", "b")}, engine.Bind(task, idle.run(10*time.Hour)))
		pass(2 * time.Second)
		for _, c := range []*turnstile{busy, idle} {
			_, a := c.of("a")
			_, b := c.of("b")
			if want := map[*turnstile]int{busy: 8, idle: 32}[c]; a+b != want {
				t.Errorf("%d and %d run, want %d in all", a, b, want)
			}
		}
	})
}

// TestManyQueuesLoseNothing has few slots, many queues, and executors that start and stop, each
// with different queues and weights.
func TestManyQueuesLoseNothing(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		c := newTurnstile()
		task := engine.Define[int, int]("task")
		var queues []string
		for i := range 12 {
			queues = append(queues, fmt.Sprint("q", i))
		}
		bound := engine.Bind(task, c.run(30*time.Millisecond))
		flood(w, task, 25, queues...)
		first := w.executor(workers.Config{Slots: 2, Queues: evenly(queues...)}, bound)
		w.executor(workers.Config{Slots: 3, Queues: map[string]int{"q0": 1, "q1": 7, "q2": 50}}, bound)
		pass(time.Second)
		w.executor(workers.Config{Slots: 30, Queues: evenly(queues[3:]...)}, bound)
		first.stop()
		check(t, <-first.done)
		first.done <- nil
		w.executor(workers.Config{Slots: 1, Queues: evenly(queues...)}, bound)
		pass(time.Minute)
		for _, q := range queues {
			began, _ := c.of(q)
			equal(t, "runs in "+q, began, 25)
		}
		equal(t, "executions", w.count(), 300)
		for x, err := range w.client.List(w.ctx, engine.Filter{}) {
			check(t, err)
			if x.Status != engine.Completed || x.Crashes > 0 {
				t.Errorf("%s is %s after %d crashes", x.ID, x.Status, x.Crashes)
			}
		}
	})
}
