package semantics_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/workers"
)

var errLuck = errors.New("no luck")

// starts returns the code of a task that notes when each attempt starts. All attempts but the last
// fail.
func starts(j *[]time.Time, last int) func(context.Context, string) (string, error) {
	return func(ctx context.Context, _ string) (string, error) {
		*j = append(*j, now())
		if engine.FromContext(ctx).Attempt < last {
			return "", errLuck
		}
		return "out", nil
	}
}

func TestMaxRetriesIsTheNumberOfRunsAfterTheFirst(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var attempts journal
		task := engine.Define[string, string]("task")
		w.executor(workers.Config{}, engine.Bind(task, func(ctx context.Context, in string) (string, error) {
			attempts.add("%s %d", in, engine.FromContext(ctx).Attempt)
			return "", errLuck
		}))
		x := w.ends(enqueue(w, task, "default").ID(), engine.Failed)
		equal(t, "attempt", x.Attempt, 0)
		x = w.ends(enqueue(w, task, "three", engine.Retry{MaxRetries: 3}).ID(), engine.Failed)
		equal(t, "attempt", x.Attempt, 3)
		attempts.wants(t, "default 0", "three 0", "three 1", "three 2", "three 3")
	})
}

func TestRetryDelayGrowsByTheMultiplierUpToTheCap(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var at []time.Time
		task := engine.Define[string, string]("task", engine.Retry{
			MaxRetries: 5, BaseDelay: 500 * time.Millisecond, Multiplier: 3, MaxDelay: 10 * time.Second,
		})
		w.executor(workers.Config{}, engine.Bind(task, starts(&at, 5)))
		w.ends(enqueue(w, task, "in").ID(), engine.Completed)
		for k, want := range []time.Duration{500, 1500, 4500, 10_000, 10_000} {
			want *= time.Millisecond
			between(t, fmt.Sprintf("retry %d", k+1), at[k+1], at[k].Add(want), at[k].Add(want+late))
		}
	})
}

func TestRetryDelayIsByDefaultNone(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var at []time.Time
		task := engine.Define[string, string]("task", engine.Retry{MaxRetries: 2})
		w.executor(workers.Config{}, engine.Bind(task, starts(&at, 2)))
		w.ends(enqueue(w, task, "in").ID(), engine.Completed)
		equal(t, "second retry", at[2], at[0])
	})
}

func TestRetryDelayIsByDefaultConstant(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var at []time.Time
		task := engine.Define[string, string]("task", engine.Retry{MaxRetries: 3, BaseDelay: time.Minute})
		w.executor(workers.Config{}, engine.Bind(task, starts(&at, 3)))
		w.ends(enqueue(w, task, "in").ID(), engine.Completed)
		for k := range 3 {
			between(t, fmt.Sprintf("retry %d", k+1), at[k+1], at[k].Add(time.Minute), at[k].Add(time.Minute+late))
		}
	})
}

func TestRetryDelayCountsFromTheRecordedFailure(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task", engine.Retry{MaxRetries: 1, BaseDelay: time.Minute})
		w.executor(workers.Config{}, engine.Bind(task, func(ctx context.Context, _ string) (string, error) {
			if engine.FromContext(ctx).Attempt == 0 {
				time.Sleep(30 * time.Second)
				return "", errLuck
			}
			return "", nil
		}))
		begin := now()
		x := w.ends(enqueue(w, task, "in").ID(), engine.Completed)
		failed := begin.Add(30 * time.Second)
		equal(t, "end of the first attempt", x.History[0].EndedAt, failed)
		between(t, "start of the second", x.History[1].StartedAt, failed.Add(time.Minute), failed.Add(time.Minute+late))
	})
}

func TestRetryJitterShortensTheDelayByUpToItsFraction(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var at []time.Time
		const n = 40
		task := engine.Define[string, string]("task", engine.Retry{MaxRetries: n, BaseDelay: time.Minute, Jitter: 0.5})
		w.executor(workers.Config{}, engine.Bind(task, starts(&at, n)))
		w.ends(enqueue(w, task, "in").ID(), engine.Completed)
		shorter := 0
		for k := range n {
			between(t, fmt.Sprintf("retry %d", k+1), at[k+1], at[k].Add(30*time.Second), at[k].Add(time.Minute+late))
			if at[k+1].Before(at[k].Add(59 * time.Second)) {
				shorter++
			}
		}
		if shorter == 0 {
			t.Errorf("none of %d delays is shorter than the full one", n)
		}
	})
}

func TestDelayDelaysTheFirstStartOnly(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var at []time.Time
		task := engine.Define[string, string]("task", engine.Delay(time.Hour), engine.Retry{MaxRetries: 2, BaseDelay: time.Second})
		w.executor(workers.Config{}, engine.Bind(task, starts(&at, 2)))
		begin := now()
		w.ends(enqueue(w, task, "in").ID(), engine.Completed)
		between(t, "first start", at[0], begin.Add(time.Hour), begin.Add(time.Hour+late))
		for k := range 2 {
			between(t, fmt.Sprintf("retry %d", k+1), at[k+1], at[k].Add(time.Second), at[k].Add(time.Second+late))
		}
	})
}

func TestPanicIsRetriedAndLeavesItsStackInTheRecord(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task", engine.Retry{MaxRetries: 1, BaseDelay: time.Minute})
		w.executor(workers.Config{}, engine.Bind(task, explodes))
		h := enqueue(w, task, "in")
		pass(time.Second)
		for _, x := range []engine.Execution{w.want(h.ID(), engine.Ready), w.ends(h.ID(), engine.Failed)} {
			equal(t, "attempt", x.Attempt, 1)
			equal(t, "kind", x.Failure.Kind, engine.KindPanic)
			equal(t, "error", x.Failure.Message, "panic: boom")
			contains(t, "stack", x.Failure.Stack, "semantics_test.explodes", "retry_test.go:")
		}
	})
}

func explodes(context.Context, string) (string, error) { panic("boom") }

func TestCodeThatEndsItsGoroutineFailsAsAPanic(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task")
		x := w.executor(workers.Config{Slots: 1}, engine.Bind(task, func(_ context.Context, in string) (string, error) {
			if in == "exit" {
				runtime.Goexit()
			}
			return in, nil
		}))
		y := w.ends(enqueue(w, task, "exit").ID(), engine.Failed)
		equal(t, "kind", y.Failure.Kind, engine.KindPanic)
		contains(t, "error", y.Failure.Message, "Goexit")
		equal(t, "output of the next in its slot", result(w, enqueue(w, task, "next")), "next")
		pass(time.Second) // the waiter may get the outcome before the executor removes the attempt
		equal(t, "running", x.Stats().Running, 0)
	})
}

func TestTimeoutIsRetried(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task", engine.Timeout(time.Second), engine.Retry{MaxRetries: 1})
		w.executor(workers.Config{}, engine.Bind(task, func(ctx context.Context, in string) (string, error) {
			if engine.FromContext(ctx).Attempt == 0 {
				return sleeps[string](time.Hour, "")(ctx, in)
			}
			return "second", nil
		}))
		equal(t, "output", result(w, enqueue(w, task, "in")), "second")
	})
}

func TestPermanentErrorIsNotRetried(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task", engine.Retry{MaxRetries: 5})
		w.executor(workers.Config{}, engine.Bind(task, fails[string, string](fmt.Errorf("give up: %w", engine.Permanent(errLuck)))))
		x := w.ends(enqueue(w, task, "in").ID(), engine.Failed)
		equal(t, "attempt", x.Attempt, 0)
		equal(t, "error", x.Failure.Message, "give up: no luck")
	})
}

func TestErrorMayCarryTheNextDelay(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var at []time.Time
		task := engine.Define[string, string]("task", engine.Retry{MaxRetries: 1, BaseDelay: time.Second})
		w.executor(workers.Config{}, engine.Bind(task, func(context.Context, string) (string, error) {
			at = append(at, now())
			return "", fmt.Errorf("busy: %w", engine.RetryAfter(errLuck, time.Hour))
		}))
		x := w.ends(enqueue(w, task, "in").ID(), engine.Failed)
		equal(t, "attempts", len(at), 2)
		between(t, "retry", at[1], at[0].Add(time.Hour), at[0].Add(time.Hour+late))
		equal(t, "error", x.Failure.Message, "busy: no luck")
	})
}

func TestCancelledIsNeverRetried(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var runs journal
		task := engine.Define[string, string]("task", engine.Retry{MaxRetries: 5})
		w.executor(workers.Config{}, engine.Bind(task, func(ctx context.Context, in string) (string, error) {
			runs.add("run")
			return sleeps[string](time.Hour, "")(ctx, in)
		}))
		h := enqueue(w, task, "in")
		pass(time.Second)
		check(t, h.Cancel(t.Context(), "enough"))
		pass(time.Hour)
		x := w.want(h.ID(), engine.Cancelled)
		equal(t, "attempt", x.Attempt, 0)
		runs.wants(t, "run")
	})
}

func TestRetryKeepsTheErrorOfTheLastAttempt(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var saw journal
		task := engine.Define[string, string]("task", engine.Retry{MaxRetries: 2, BaseDelay: time.Minute})
		w.executor(workers.Config{}, engine.Bind(task, func(ctx context.Context, in string) (string, error) {
			r := engine.FromContext(ctx)
			saw.add("attempt %d after %v", r.Attempt, r.PrevError)
			time.Sleep(10 * time.Second)
			if r.Attempt < 2 {
				return "", fmt.Errorf("failure %d", r.Attempt)
			}
			return "out", nil
		}))
		h := enqueue(w, task, "in")
		for k := range 2 {
			pass(10*time.Second + time.Duration(k)*late)
			equal(t, "error while ready", w.want(h.ID(), engine.Ready).Failure.Message, fmt.Sprintf("failure %d", k))
			pass(time.Minute + late)
			equal(t, "error while running", w.want(h.ID(), engine.Running).Failure.Message, fmt.Sprintf("failure %d", k))
		}
		x := w.ends(h.ID(), engine.Completed)
		if x.Failure != nil {
			t.Errorf("error once completed = %v, want none", x.Failure)
		}
		saw.wants(t, "attempt 0 after <nil>", "attempt 1 after failure 0", "attempt 2 after failure 1")
	})
}

func TestEveryAttemptIsInTheHistory(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task", engine.Retry{MaxRetries: 2, BaseDelay: time.Minute})
		w.executor(workers.Config{Name: "alpha"}, engine.Bind(task, func(ctx context.Context, in string) (string, error) {
			time.Sleep(10 * time.Second)
			if n := engine.FromContext(ctx).Attempt; n < 2 {
				return "", fmt.Errorf("failure %d", n)
			}
			return "out", nil
		}))
		x := w.ends(enqueue(w, task, "in").ID(), engine.Completed)
		equal(t, "attempts", len(x.History), 3)
		for n, a := range x.History {
			equal(t, "number", a.Number, n)
			equal(t, "executor", a.Executor, "alpha")
			equal(t, "duration", a.EndedAt.Sub(a.StartedAt), 10*time.Second)
			switch {
			case n == 2 && a.Failure != nil:
				t.Errorf("last attempt: %v, want no failure", a.Failure)
			case n < 2:
				equal(t, "failure", a.Failure.Message, fmt.Sprintf("failure %d", n))
			}
		}
	})
}

func TestHistoryIsBounded(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task", engine.Retry{MaxRetries: 30})
		w.executor(workers.Config{}, engine.Bind(task, fails[string, string](errors.New(strings.Repeat("long ", 10_000)))))
		x := w.ends(enqueue(w, task, "in").ID(), engine.Failed)
		equal(t, "attempts kept", len(x.History), 20)
		equal(t, "first kept", x.History[0].Number, 11)
		equal(t, "last kept", x.History[19].Number, 30)
		data, err := engine.EncodeRecord(x)
		check(t, err)
		if len(data) > 50<<10 {
			t.Errorf("record of %d bytes, want it bounded", len(data))
		}
	})
}

// badOptions has options that every call refuses, according to SEMANTICS.md.
var badOptions = map[string]engine.Option{
	"timeout -1ns":                    engine.Timeout(-1),
	"timeout 1µs":                     engine.Timeout(time.Microsecond),
	"delay -1ns":                      engine.Delay(-1),
	"retry: -1 retries":               engine.Retry{MaxRetries: -1},
	"retry: base delay -1ns":          engine.Retry{BaseDelay: -1},
	"retry: max delay -1ns":           engine.Retry{MaxDelay: -1},
	"retry: multiplier 0.09":          engine.Retry{Multiplier: 0.09},
	"retry: multiplier -1":            engine.Retry{Multiplier: -1},
	"retry: jitter 1.5":               engine.Retry{Jitter: 1.5},
	"retry: jitter -0.5":              engine.Retry{Jitter: -0.5},
	"queue is empty":                  engine.Queue(""),
	`queue "a.b"`:                     engine.Queue("a.b"),
	`child policy "hope"`:             engine.ChildPolicy("hope"),
	"an option is nil":                nil,
	"delay 2000000h0m0s: longer than": engine.Delay(2_000_000 * time.Hour),
}

func TestInvalidOptionIsRefusedWhereATaskIsDefined(t *testing.T) {
	for says, opt := range badOptions {
		said := panics(func() { engine.Define[int, int]("task", opt) })
		contains(t, "panic", said, says, `define task "task"`)
		if !here.MatchString(said) {
			t.Errorf("panic = %q, want the place in it", said)
		}
	}
}

func TestInvalidOptionIsRefusedWhereAFinalizeIsBound(t *testing.T) {
	for says, opt := range badOptions {
		said := panics(func() {
			engine.BindParent(engine.Define[string, string]("task"), noChildren, joins, opt)
		})
		contains(t, "panic", said, says, "task-finalize")
	}
}

func TestInvalidOptionIsRefusedWhereATaskIsEnqueued(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[int, int]("task")
		for says, opt := range badOptions {
			_, err := task.Enqueue(t.Context(), w.client, 1, opt)
			if !errors.Is(err, engine.ErrInvalidOption) {
				t.Fatalf("%s: %v, want ErrInvalidOption", says, err)
			}
			contains(t, "error", err.Error(), says, `"task"`)
			if _, err = task.EnqueueMany(t.Context(), w.client, []int{1}, opt); !errors.Is(err, engine.ErrInvalidOption) {
				t.Errorf("%s: %v, want ErrInvalidOption", says, err)
			}
		}
		equal(t, "executions", w.count(), 0)
	})
}

func TestInvalidOptionFailsTheParentWhereATaskIsSpawned(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[int, int]("task")
		parent := engine.Define[string, engine.Gathered[int]]("parent", engine.Retry{MaxRetries: 3})
		w.executor(workers.Config{}, engine.Bind(task, returns[int](1)),
			engine.BindFanOut(parent, func(_ context.Context, says string, c *engine.Children) (int, error) {
				task.Spawn(c, 1)
				task.Spawn(c, 1, badOptions[says])
				return 0, nil
			}))
		for says := range badOptions {
			x := w.ends(enqueue(w, parent, says).ID(), engine.Failed)
			contains(t, "failure", x.Failure.Message, says, "child 1", `"task"`, "invalid option")
			equal(t, "attempt", x.Attempt, 0)
		}
		equal(t, "executions", w.count(), len(badOptions))
	})
}

// A broken error panics in its Error method if it is nil.
type broken struct{ text string }

func (b *broken) Error() string { return b.text }

func TestErrorThatPanicsWhenItIsReadFailsAsAPanic(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task")
		w.executor(workers.Config{}, engine.Bind(task, fails[string, string]((*broken)(nil))))
		x := w.ends(enqueue(w, task, "in").ID(), engine.Failed)
		equal(t, "kind", x.Failure.Kind, engine.KindPanic)
		contains(t, "failure", x.Failure.Message, "nil pointer")
		contains(t, "stack", x.Failure.Stack, "(*broken).Error")
	})
}
