package semantics_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/workers"
)

var (
	ownTask   = engine.Define[string, string]("own", engine.Retry{MaxRetries: 1, BaseDelay: 5 * time.Second})
	otherTask = engine.Define[string, string]("other")
	ownSleep  = engine.DefineSleeping[string, string]("own-sleep")
)

// A contest is an id that several messages use.
type contest struct {
	*world
	seen    *journal // the inputs of all attempts
	execute func()   // starts executors of the queues default and side
	stop    func()   // stops them
}

func newContest(w *world) *contest {
	c := &contest{world: w, seen: &journal{}}
	code := func(ctx context.Context, in string) (string, error) {
		run := engine.FromContext(ctx)
		c.seen.add("%s %s", run.TaskID, in)
		switch {
		case in == "first, long":
			time.Sleep(3 * time.Second)
		case in == "first, flaky" && run.Attempt == 0:
			return "", errors.New("flaky")
		}
		return in, nil
	}
	c.execute = func() {
		var list []*executor
		for range 2 {
			list = append(list, w.executor(workers.Config{Slots: 4, Queues: evenly(engine.DefaultQueue, "side")}, engine.Bind(ownTask, code), engine.Bind(otherTask, code)))
		}
		c.stop = func() {
			for _, x := range list {
				x.stop()
				check(w.t, <-x.done)
			}
		}
	}
	return c
}

// publish enqueues like a plain NATS client, and reports whether the server accepted the message.
func (c *contest) publish(queue, task, id, input string, headers ...string) bool {
	c.t.Helper()
	m := nats.NewMsg(fmt.Sprintf("durable.ready.%s.%s.%s", queue, task, id))
	m.Data = []byte(input)
	for i := 0; i < len(headers); i += 2 {
		m.Header.Set(headers[i], headers[i+1])
	}
	answer, err := c.nc.RequestMsgWithContext(c.ctx, m)
	check(c.t, err)
	return !strings.Contains(string(answer.Data), `"error"`)
}

// intrude publishes later messages with an id that is taken.
func (c *contest) intrude(id string) {
	c.t.Helper()
	c.publish(engine.DefaultQueue, "own", id, `"intruder: input"`)
	c.publish(engine.DefaultQueue, "other", id, `"intruder: task"`)
	c.publish("side", "own", id, `"intruder: queue"`)
	c.publish("side", "own", id, `"intruder: queue again"`, "Durable-Delay", "500")
	c.publish("side", "other", id, `"intruder: task and queue"`, "Durable-Delay", "500")
	c.publish(engine.DefaultQueue, "other", id, `"intruder: settled"`, "Durable-Delay", "500", "Durable-Settled", "1", "Durable-Exclusive", "1")
	c.publish("side", "other", id, `{"intruder`, "Durable-Timeout", "x")
	c.publish(engine.DefaultQueue, "stranger", id, `"intruder: a task that nobody knows"`)
	if _, err := otherTask.Enqueue(c.ctx, c.client, "intruder", engine.ID(id)); !errors.Is(err, engine.ErrIDConflict) {
		c.t.Errorf("enqueue of another task = %v, want ErrIDConflict", err)
	}
	if _, err := ownTask.Enqueue(c.ctx, c.client, "intruder", engine.ID(id)); !errors.Is(err, engine.ErrIDConflict) {
		c.t.Errorf("enqueue of another input = %v, want ErrIDConflict", err)
	}
}

// wins fails unless the first message decides, and no other message runs.
func (c *contest) wins(id, want string) {
	c.t.Helper()
	pass(2 * time.Minute) // every intruder has been claimed by now
	x := c.ends(id, engine.Completed)
	if out := string(x.Output.Data); x.Task == ownTask.ID() && !strings.Contains(out, want) || x.Queue != engine.DefaultQueue {
		c.t.Errorf("%s: task %s, queue %s, output %q, want %q of the first", id, x.Task, x.Queue, out, want)
	}
	if ran := c.seen.about("intruder"); ran != "" {
		c.t.Errorf("%s: code was run for later messages: %s", id, ran)
	}
}

func TestTheFirstMessageOfAnIDDecidesWhereverItLies(t *testing.T) {
	for limit, what := range []string{"no limit", "a limit of the queue"} {
		for _, place := range []struct {
			name string
			fn   func(c *contest)
		}{
			{"queued", func(c *contest) {
				enqueue(c.world, ownTask, "first", engine.ID("x"))
				c.intrude("x")
				c.execute()
				c.wins("x", "first")
			}},
			{"queued without a definition", func(c *contest) {
				c.publish(engine.DefaultQueue, "own", "x", `"first"`)
				c.intrude("x")
				c.execute()
				c.wins("x", "first")
			}},
			{"running", func(c *contest) {
				c.execute()
				enqueue(c.world, ownTask, "first, long", engine.ID("x"))
				pass(time.Second)
				c.intrude("x")
				c.wins("x", "first, long")
			}},
			{"about to be moved to the timers", func(c *contest) {
				c.execute()
				enqueue(c.world, ownTask, "first", engine.ID("x"), engine.Delay(5*time.Second))
				c.intrude("x")
				c.wins("x", "first")
			}},
			{"delayed in the queue, with nobody to move it", func(c *contest) {
				enqueue(c.world, ownTask, "first", engine.ID("x"), engine.Delay(5*time.Second))
				c.intrude("x")
				c.execute()
				c.wins("x", "first")
			}},
			{"delayed without a definition", func(c *contest) {
				c.publish(engine.DefaultQueue, "own", "x", `"first"`, "Durable-Delay", "5000")
				c.intrude("x")
				c.execute()
				c.wins("x", "first")
			}},
			{"in the timers", func(c *contest) {
				c.execute()
				enqueue(c.world, ownTask, "first", engine.ID("x"), engine.Delay(5*time.Second))
				pass(1500 * time.Millisecond)
				c.intrude("x")
				c.wins("x", "first")
			}},
			{"in the timers, under an id that was made", func(c *contest) {
				c.execute()
				id := enqueue(c.world, ownTask, "first", engine.Delay(5*time.Second)).ID()
				pass(1500 * time.Millisecond)
				c.intrude(id)
				c.wins(id, "first")
			}},
			{"due, and in nobody's hands", func(c *contest) {
				c.execute()
				enqueue(c.world, ownTask, "first", engine.ID("x"), engine.Delay(5*time.Second))
				pass(time.Second)
				c.stop()
				pass(10 * time.Second)
				c.intrude("x")
				c.execute()
				c.wins("x", "first")
			}},
			{"between two attempts", func(c *contest) {
				c.execute()
				enqueue(c.world, ownTask, "first, flaky", engine.ID("x"))
				pass(2 * time.Second)
				c.intrude("x")
				c.wins("x", "first, flaky")
			}},
			{"finished", func(c *contest) {
				c.execute()
				enqueue(c.world, ownTask, "first", engine.ID("x"))
				pass(2 * time.Second)
				c.intrude("x")
				c.wins("x", "first")
			}},
		} {
			t.Run(place.name+", "+what, func(t *testing.T) {
				onNamespace(t, jsstore.Config{}, func(t *testing.T, w *world) {
					c := newContest(w)
					if limit > 0 {
						check(t, w.store.(*jsstore.Store).LimitQueue(t.Context(), engine.DefaultQueue, 2))
						check(t, w.store.(*jsstore.Store).LimitQueue(t.Context(), "side", 2))
					}
					place.fn(c)
				})
			})
		}
	}
}

func TestASleepingExecutionKeepsItsID(t *testing.T) {
	onNamespace(t, jsstore.Config{}, func(t *testing.T, w *world) {
		c := newContest(w)
		c.execute()
		h, err := ownSleep.Enqueue(t.Context(), w.client, "first", engine.ID("x"))
		check(t, err)
		pass(time.Second)
		c.publish(engine.DefaultQueue, "own-sleep", "x", `"intruder"`)
		c.intrude("x")
		pass(time.Minute)
		check(t, ownSleep.Wake(t.Context(), w.client, "x", "woken"))
		equal(t, "output", result(w, h), "woken")
		equal(t, "run", c.seen.about("intruder"), "")
		equal(t, "input", string(w.get("x").Input.Data), string(w.ends("x", engine.Completed).Input.Data))
	})
}

// TestAMessageInAQueueThatNobodyServesGoesWithItsID publishes a second message with the id to a
// queue that no executor serves, and removes the first execution.
func TestAMessageInAQueueThatNobodyServesGoesWithItsID(t *testing.T) {
	onNamespace(t, jsstore.Config{}, func(t *testing.T, w *world) {
		c := newContest(w)
		c.execute()
		enqueue(w, ownTask, "first", engine.ID("x"))
		w.ends("x", engine.Completed)
		c.publish("nowhere", "own", "x", `"intruder"`)
		check(t, w.client.Delete(t.Context(), "x"))
		equal(t, "executions", w.count(), 0)
		w.executor(workers.Config{Queues: evenly("nowhere")}, engine.Bind(ownTask, func(context.Context, string) (string, error) {
			t.Error("a message was run that came while another had its id")
			return "", nil
		}))
		pass(time.Minute)
		// The id is free: a message that is published now makes a new execution.
		equal(t, "taken", c.publish(engine.DefaultQueue, "other", "x", `"second"`), true)
		equal(t, "task", w.ends("x", engine.Completed).Task, "other")
	})
}
