package semantics_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/jstest"
	"github.com/durable-execution/durable/workers"
)

// callers is how many callers enqueue at the same time.
const callers = 64

// A parcel is a task whose executions get their ids from the caller.
type parcel struct {
	task, other engine.Task[string, string]
	ran         journal
}

func newParcel() *parcel {
	return &parcel{task: engine.Define[string, string]("order"), other: engine.Define[string, string]("other")}
}

func (o *parcel) bindings() []engine.Binding {
	return []engine.Binding{
		engine.Bind(o.task, func(ctx context.Context, in string) (string, error) {
			o.ran.add("order")
			return sleeps[string](time.Minute, "out of "+in)(ctx, in)
		}),
		engine.Bind(o.other, func(context.Context, string) (string, error) {
			o.ran.add("other")
			return "other", nil
		}),
	}
}

// again lets many callers enqueue the same id at once, each with a client of its own. Those with an
// even number enqueue the same execution, and must get it. The others enqueue another task or
// another input, and must be refused.
func (o *parcel) again(w *world, id, when string) {
	w.t.Helper()
	var all sync.WaitGroup
	for n := range callers {
		all.Go(func() {
			task, in := o.task, "in"
			switch n % 4 {
			case 1:
				task = o.other
			case 3:
				in = "another"
			}
			h, err := task.Enqueue(w.ctx, engine.NewClient(w.store), in, engine.ID(id))
			switch {
			case n%2 == 1 && !errors.Is(err, engine.ErrIDConflict):
				w.t.Errorf("task %s with %q when %s: %v, want ErrIDConflict", task.ID(), in, when, err)
			case n%2 == 0 && (err != nil || h.ID() != id):
				w.t.Errorf("the same when %s: handle to %q, %v, want it to %q", when, h.ID(), err, id)
			}
		})
	}
	all.Wait()
}

func TestOneIDIsOneExecutionForManyCallersInEveryState(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		o := newParcel()
		enqueue(w, o.task, "in", engine.ID("o"), engine.Delay(time.Hour))
		o.again(w, "o", "delayed")
		pass(time.Hour + time.Second)
		w.want("o", engine.Ready)
		o.again(w, "o", "queued")
		for range 2 {
			w.executor(workers.Config{}, o.bindings()...)
		}
		pass(time.Second)
		w.want("o", engine.Running)
		o.again(w, "o", "running")
		w.ends("o", engine.Completed)
		o.again(w, "o", "completed")
		pass(3 * time.Hour) // longer than a server remembers message ids
		o.again(w, "o", "completed long ago")
		pass(time.Hour)
		o.ran.wants(t, "order")
		equal(t, "executions", w.count(), 1)
	})
}

func TestOneIDIsOneExecutionHoweverItEnded(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		o := newParcel()
		tired := engine.Bind(o.task, func(context.Context, string) (string, error) {
			o.ran.add("order")
			return "", errLuck
		})
		w.executor(workers.Config{}, tired, o.bindings()[1])

		enqueue(w, o.task, "in", engine.ID("failed"), engine.Retry{MaxRetries: 1, BaseDelay: time.Hour})
		pass(time.Minute)
		w.want("failed", engine.Ready)
		o.again(w, "failed", "waiting for a retry")
		w.ends("failed", engine.Failed)
		o.again(w, "failed", "failed")

		h := enqueue(w, o.task, "in", engine.ID("cancelled"), engine.Delay(time.Hour))
		check(t, h.Cancel(t.Context(), "enough"))
		o.again(w, "cancelled", "cancelled before it began")
		pass(2 * time.Hour)
		w.want("cancelled", engine.Cancelled)
		o.ran.wants(t, "order", "order")
		equal(t, "executions", w.count(), 2)
	})
}

// TestOneOfManyNewCallersWins lets callers that do not know of each other use a new id at once, with
// different inputs.
func TestOneOfManyNewCallersWins(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		o := newParcel()
		for range 2 {
			w.executor(workers.Config{}, o.bindings()...)
		}
		const ids = 4
		for n := range ids {
			id := engine.ID(fmt.Sprint("o-", n))
			outs := make([]string, callers)
			var all sync.WaitGroup
			for n := range callers {
				all.Go(func() {
					in := fmt.Sprint("in ", n%2)
					h, err := o.task.Enqueue(w.ctx, engine.NewClient(w.store), in, id)
					if errors.Is(err, engine.ErrIDConflict) {
						return
					}
					if err == nil {
						outs[n], err = h.Wait(w.ctx)
					}
					if err != nil {
						t.Error(err)
					} else if outs[n] != "out of "+in {
						t.Errorf("%s of the caller with %q: %q", id, in, outs[n])
					}
				})
			}
			all.Wait()
			winner := w.get(string(id))
			var in string
			check(t, winner.Input.Decode(&in))
			for n, out := range outs {
				if got, want := out != "", in == fmt.Sprint("in ", n%2); got != want {
					t.Errorf("caller %d of %s, which has %q: got a handle %v, want %v", n, id, in, got, want)
				}
			}
		}
		pass(time.Hour)
		equal(t, "runs", len(o.ran.all()), ids)
		equal(t, "executions", w.count(), ids)
	})
}

// TestSecondTaskOfAnIDIsRefused has two callers that use an id for different tasks: the first one
// checks the id before the second one enqueues, and enqueues after it.
func TestSecondTaskOfAnIDIsRefused(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		o := newParcel()
		line := newTap(w.store)
		line.on(func(call, _ string) error {
			if call == "Enqueue" {
				enqueue(w, o.task, "in", engine.ID("o"))
			}
			return nil
		})
		_, err := o.other.Enqueue(t.Context(), engine.NewClient(line), "in", engine.ID("o"))
		if !errors.Is(err, engine.ErrIDConflict) {
			t.Errorf("enqueue of the second task: %v, want ErrIDConflict", err)
		}
		enqueue(w, o.task, "in", engine.ID("o")) // the same execution is not refused
		equal(t, "task", w.get("o").Task, "order")
		w.executor(workers.Config{}, o.bindings()...)
		pass(time.Hour)
		o.ran.wants(t, "order")
	})
}

// A server that was stopped or has crashed has lost everything that it keeps only in memory.
func TestOneIDIsOneExecutionAfterARestartOfTheServer(t *testing.T) {
	for name, down := range map[string]func(*jstest.Host){"stopped": (*jstest.Host).Stop, "crashed": (*jstest.Host).Crash} {
		t.Run(name, func(t *testing.T) {
			jstest.BubbleHost(t, func(t *testing.T, h *jstest.Host) {
				s, err := jsstore.Open(t.Context(), h.Connect(nats.ReconnectBufSize(-1)), jsstore.Config{})
				check(t, err)
				t.Cleanup(func() { check(t, s.Close()) })
				w := newWorld(t, s, nil)
				restart := func() {
					pass(5 * time.Second) // no request may be under way: see jstest.BubbleHost
					down(h)
					h.Start()
					pass(5 * time.Second)
				}
				o := newParcel()
				enqueue(w, o.task, "in", engine.ID("o"))
				enqueue(w, o.task, "in", engine.ID("later"), engine.Delay(time.Hour))
				restart()
				o.again(w, "o", "queued before the restart")
				o.again(w, "later", "delayed before the restart")
				x := w.executor(workers.Config{}, o.bindings()...)
				pass(time.Second)
				w.want("o", engine.Running)
				restart()
				o.again(w, "o", "running since before the restart")
				w.ends("o", engine.Completed)
				restart()
				o.again(w, "o", "completed before the restart")
				w.ends("later", engine.Completed)
				restart()
				o.again(w, "later", "completed before the restart, delayed before that")
				pass(time.Hour)
				o.ran.wants(t, "order", "order")
				equal(t, "executions", w.count(), 2)
				pass(5 * time.Second)
				x.stop()
				check(t, <-x.done)
			})
		})
	}
}
