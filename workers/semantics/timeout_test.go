package semantics_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/workers"
)

func TestTimeoutBoundsOneAttempt(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task", engine.Timeout(time.Minute), engine.Retry{MaxRetries: 2})
		w.executor(workers.Config{}, engine.Bind(task, func(ctx context.Context, in string) (string, error) {
			time.Sleep(50 * time.Second)
			if engine.FromContext(ctx).Attempt < 2 {
				return "", errLuck
			}
			return "out", nil
		}))
		equal(t, "output after 150 s in all", result(w, enqueue(w, task, "in")), "out")
	})
}

func TestTimeoutDoesNotCountTheQueue(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[time.Duration, string]("task", engine.Timeout(time.Minute))
		w.executor(workers.Config{Slots: 1}, engine.Bind(task, func(ctx context.Context, d time.Duration) (string, error) {
			return sleeps[int](d, "out")(ctx, 0)
		}))
		first := enqueue(w, task, time.Hour, engine.NoTimeout)
		pass(time.Second)
		second := enqueue(w, task, 59*time.Second)
		equal(t, "output after an hour in the queue", result(w, second), "out")
		equal(t, "output of the first", result(w, first), "out")
	})
}

func TestTimeoutDoesNotCountTheChildrenOrTheFinalize(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		child := engine.Define[string, string]("child", engine.NoTimeout)
		parent := engine.Define[string, string]("parent", engine.Timeout(time.Minute))
		w.executor(workers.Config{}, engine.Bind(child, sleeps[string](time.Hour, "out")),
			engine.BindParent(parent, func(_ context.Context, in string, c *engine.Children) (string, error) {
				child.Spawn(c, in)
				time.Sleep(50 * time.Second)
				return in, nil
			}, func(ctx context.Context, j engine.Joined[string, string]) (string, error) {
				return sleeps[string](time.Hour, "joined")(ctx, "")
			}, engine.NoTimeout))
		equal(t, "output", result(w, enqueue(w, parent, "in")), "joined")
	})
}

func TestTimeoutEndsTheContextWithACauseAndIsRecordedAtOnce(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task", engine.Timeout(time.Minute))
		cause := make(chan error, 1)
		w.executor(workers.Config{}, engine.Bind(task, func(ctx context.Context, _ string) (string, error) {
			<-ctx.Done()
			cause <- context.Cause(ctx)
			time.Sleep(time.Second) // the code cleans up
			return "late", nil
		}))
		begin := now()
		h := enqueue(w, task, "in")
		x := w.ends(h.ID(), engine.TimedOut)
		equal(t, "now", now(), begin.Add(time.Minute))
		equal(t, "finishedAt", x.FinishedAt, begin.Add(time.Minute))
		equal(t, "kind", x.Failure.Kind, engine.KindTimeout)
		contains(t, "failure", x.Failure.Message, "timed out after 1m0s")
		equal(t, "cause", <-cause, engine.ErrTimedOut)
		_, err := h.Wait(t.Context())
		equal(t, "error is ErrTimedOut", errors.Is(err, engine.ErrTimedOut), true)
	})
}

func TestLateResultOfATimedOutAttemptIsDiscarded(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task", engine.Timeout(time.Minute), engine.Retry{MaxRetries: 1, BaseDelay: time.Minute})
		w.executor(workers.Config{}, engine.Bind(task, func(ctx context.Context, _ string) (string, error) {
			if engine.FromContext(ctx).Attempt == 0 {
				time.Sleep(90 * time.Second)
				return "late", nil
			}
			return "second", nil
		}))
		h := enqueue(w, task, "in")
		pass(100 * time.Second)
		equal(t, "failure", w.want(h.ID(), engine.Ready).Failure.Kind, engine.KindTimeout)
		equal(t, "output", result(w, h), "second")
	})
}

func TestTimeoutIsFiveMinutesByDefault(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task")
		w.executor(workers.Config{}, engine.Bind(task, sleeps[string](time.Hour, "")))
		begin := now()
		x := w.ends(enqueue(w, task, "in").ID(), engine.TimedOut)
		equal(t, "finishedAt", x.FinishedAt, begin.Add(5*time.Minute))
	})
}

func TestTimeoutCanBeSwitchedOff(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task", engine.NoTimeout)
		w.executor(workers.Config{}, engine.Bind(task, sleeps[string](3*time.Hour, "out")))
		h := enqueue(w, task, "in")
		pass(time.Hour)
		equal(t, "expiresAt", w.want(h.ID(), engine.Running).ExpiresAt, time.Time{})
		equal(t, "output", result(w, h), "out")
	})
}

// stubborn ignores its context.
func stubborn(context.Context, string) (string, error) {
	time.Sleep(time.Hour)
	return "late", nil
}

const strayLogged = "code ignores that its context has ended: it holds a goroutine, and its result will be discarded"

func TestCodeThatIgnoresItsContextIsCountedAndLoggedWithItsStack(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("stubborn", engine.Timeout(time.Minute))
		other := engine.Define[string, string]("other")
		x := w.executor(workers.Config{Slots: 1}, engine.Bind(task, stubborn), engine.Bind(other, returns[string]("out")))
		h := enqueue(w, task, "in")
		w.ends(h.ID(), engine.TimedOut)
		pass(time.Second)
		equal(t, "strays at first", x.Stats().Strays, 0)
		pass(time.Minute)
		equal(t, "strays", x.Stats().Strays, 1)
		equal(t, "running", x.Stats().Running, 0)
		equal(t, "its slot is free", result(w, enqueue(w, other, "in")), "out")
		logs := x.logs.FilterMessage(strayLogged).All()
		if len(logs) != 1 {
			t.Fatalf("logged %d times, want once", len(logs))
		}
		about := logs[0].ContextMap()
		equal(t, "task", about["task"], any("stubborn"))
		equal(t, "execution", about["execution"], any(h.ID()))
		contains(t, "stack", about["stack"].(string), "semantics_test.stubborn", "timeout_test.go:")

		pass(time.Hour)
		equal(t, "strays once it has returned", x.Stats().Strays, 0)
		equal(t, "logged", x.logged(strayLogged), 1)
		w.want(h.ID(), engine.TimedOut)
	})
}

func TestCodeThatIgnoresItsContextIsCountedWhenCancelled(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("stubborn", engine.NoTimeout)
		x := w.executor(workers.Config{}, engine.Bind(task, stubborn))
		h := enqueue(w, task, "in")
		pass(time.Minute)
		check(t, h.Cancel(t.Context(), "enough"))
		pass(time.Minute)
		equal(t, "strays", x.Stats().Strays, 1)
		equal(t, "logged", x.logged(strayLogged), 1)
		pass(time.Hour)
		equal(t, "strays once it has returned", x.Stats().Strays, 0)
		w.want(h.ID(), engine.Cancelled)
	})
}

func TestTimeoutIsTimedOutWhateverErrorTheCodeReturnsForIt(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		const n = 300
		task := engine.Define[int, string]("task", engine.Timeout(time.Second))
		w.executor(workers.Config{Slots: n}, engine.Bind(task, func(ctx context.Context, _ int) (string, error) {
			<-ctx.Done()
			return "", errors.New("interrupted")
		}))
		hs, err := task.EnqueueMany(t.Context(), w.client, make([]int, n))
		check(t, err)
		for _, h := range hs {
			x := w.ends(h.ID(), engine.TimedOut)
			equal(t, "failure", x.Failure.Message, "execution timed out after 1s")
		}
	})
}

func TestTimeoutDoesNotCountTheReadingOfTheChildren(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		parent := engine.Define[string, string]("parent")
		x := w.tapped(workers.Config{}, engine.Bind(kids, grow), engine.BindParent(parent, spawns(kid{}), joins, engine.Timeout(time.Second)))
		x.tap.on(func(call, _ string) error {
			if call == "GetMany" {
				time.Sleep(10 * time.Second)
			}
			return nil
		})
		equal(t, "output", result(w, enqueue(w, parent, "in")), "in, mid of in")
	})
}

func TestContextHasTheDeadlineOfTheTimeout(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		type sight struct {
			at time.Time
			ok bool
		}
		saw := make(chan sight, 2)
		sees := func(ctx context.Context, in string) (string, error) {
			inner, cancel := context.WithTimeout(ctx, 24*time.Hour) // the earlier one counts
			defer cancel()
			at, ok := inner.Deadline()
			if in == "none" {
				at, ok = ctx.Deadline()
			}
			saw <- sight{at, ok}
			return in, nil
		}
		timed := engine.Define[string, string]("timed", engine.Timeout(time.Minute))
		w.executor(workers.Config{}, engine.Bind(timed, sees))
		began := time.Now()
		result(w, enqueue(w, timed, "in"))
		s := <-saw
		equal(t, "has a deadline", s.ok, true)
		between(t, "deadline", s.at, began.Add(time.Minute), began.Add(time.Minute+late))
		result(w, enqueue(w, timed, "none", engine.NoTimeout))
		equal(t, "has a deadline without a timeout", (<-saw).ok, false)
	})
}
