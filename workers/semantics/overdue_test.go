package semantics_test

import (
	"context"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/jstest"
	"github.com/durable-execution/durable/workers"
)

// TestTimersFireThatCameDueWhileTheAccountWasFull lets timers of every kind become due while the
// server has no room for their messages, with one executor and with several.
func TestTimersFireThatCameDueWhileTheAccountWasFull(t *testing.T) {
	for _, executors := range []int{1, 5} {
		jstest.BubbleFull(t, 8<<20, func(t *testing.T, h *jstest.Host) {
			s, err := jsstore.Open(t.Context(), h.Connect(), jsstore.Config{})
			check(t, err)
			t.Cleanup(func() { check(t, s.Close()) })
			w := newWorld(t, s, nil)
			task := engine.Define[string, string]("task", engine.Retry{MaxRetries: 1, BaseDelay: 5 * time.Second})
			sleeper := engine.DefineSleeping[string, string]("sleeper", engine.Timeout(5*time.Second))
			code := func(ctx context.Context, in string) (string, error) {
				if in == "retried" && engine.FromContext(ctx).Attempt == 0 {
					return "", context.DeadlineExceeded
				}
				return in, nil
			}
			var list []*executor
			for range executors {
				list = append(list, w.executor(workers.Config{}, engine.Bind(task, code)))
			}
			delayed := enqueue(w, task, "delayed", engine.Delay(5*time.Second))
			retried := enqueue(w, task, "retried")
			slept, err := sleeper.Enqueue(t.Context(), w.client, "slept")
			check(t, err)
			far := enqueue(w, task, "far", engine.Delay(time.Hour))
			pass(2 * time.Second)
			empty := h.Fill()
			pass(30 * time.Second)
			empty()
			room := time.Now()
			w.ends(delayed.ID(), engine.Completed)
			w.ends(retried.ID(), engine.Completed)
			w.ends(slept.ID(), engine.TimedOut)
			between(t, "the last has ended", time.Now(), room, room.Add(time.Minute))
			n := 0
			for _, x := range list {
				n += x.logged("timers set again that had not fired")
			}
			if n == 0 {
				t.Error("no timer was set again: the test tests nothing")
			}
			x := w.ends(far.ID(), engine.Completed)
			between(t, "the timer that was not due", x.StartedAt, x.StartAt, x.StartAt.Add(late))
		})
	}
}

// TestLookingForOverdueTimersCostsLittle lets a fleet idle for an hour while one timer is set to a
// time far in the future.
func TestLookingForOverdueTimersCostsLittle(t *testing.T) {
	onNamespace(t, jsstore.Config{}, func(t *testing.T, w *world) {
		task := engine.Define[int, int]("task")
		for range 5 {
			w.executor(workers.Config{}, engine.Bind(task, returns[int](1)))
		}
		enqueue(w, task, 1, engine.Delay(24*time.Hour))
		pass(time.Minute)
		before := w.nc.Stats().OutMsgs
		pass(time.Hour)
		// In each 15 s, every executor asks for the stream and tries to take the turn, and one of
		// them scans. All other messages are pull requests: one for each of its five consumers.
		if n := w.nc.Stats().OutMsgs - before; n > 5*4*60*8 {
			t.Errorf("five idle executors sent %d messages in an hour, want at most 8 in each round", n)
		}
	})
}
