package semantics_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/workers"
)

// told returns the log lines of an executor about executions, sorted by text. Each has level,
// message, execution, attempt, status and kind.
func (e *executor) told() []string {
	var lines []string
	for _, l := range e.logs.All() {
		about := l.ContextMap()
		if _, ok := about["execution"]; !ok || l.Level < zapcore.InfoLevel {
			continue
		}
		line := fmt.Sprintf("%s %s: %v", l.Level, l.Message, about["execution"])
		for _, key := range []string{"attempt", "status", "kind"} {
			if v, ok := about[key]; ok {
				line += fmt.Sprint(" ", v)
			}
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

const (
	retried = "warn attempt failed: trying again: "
	ended   = "error execution failed: "
)

// TestEveryFailureIsLoggedOnce makes executions fail in each way, on each path of an execution.
func TestEveryFailureIsLoggedOnce(t *testing.T) {
	boom := errors.New("boom")
	once := engine.Retry{MaxRetries: 1, BaseDelay: time.Minute}
	task := engine.Define[string, string]("task", engine.Timeout(time.Minute))
	child := engine.Define[string, string]("child")
	parent := engine.Define[string, string]("parent")
	coded := func(code func(context.Context, string) (string, error)) []engine.Binding {
		return []engine.Binding{engine.Bind(task, code)}
	}
	failing := coded(fails[string, string](boom))
	spawning := func(_ context.Context, in string, c *engine.Children) (string, error) {
		child.Spawn(c, in)
		return in, nil
	}
	joining := func(context.Context, engine.Joined[string, string]) (string, error) { return "", boom }
	approval := engine.DefineSleeping[string, bool]("approval", engine.Timeout(time.Hour))
	poll := engine.DefinePoll[string, string]("poll", engine.Poll{Every: time.Second, Limit: 3})
	sequence := engine.Define[string, string]("sequence")

	for name, c := range map[string]struct {
		bindings []engine.Binding
		begin    func(w *world)
		want     []string
	}{
		"run": {failing, func(w *world) { enqueue(w, task, "in", engine.ID("x"), once) },
			[]string{retried + "x 0 error", ended + "x 1 failed error"}},
		"permanent error": {coded(fails[string, string](engine.Permanent(boom))),
			func(w *world) { enqueue(w, task, "in", engine.ID("x"), once) }, []string{ended + "x 0 failed error"}},
		"panic": {coded(func(context.Context, string) (string, error) { panic("boom") }),
			func(w *world) { enqueue(w, task, "in", engine.ID("x"), once) }, []string{retried + "x 0 panic", ended + "x 1 failed panic"}},
		"end of the goroutine": {coded(func(context.Context, string) (string, error) { runtime.Goexit(); return "", nil }),
			func(w *world) { enqueue(w, task, "in", engine.ID("x")) }, []string{ended + "x 0 failed panic"}},
		"timeout": {coded(sleeps[string](time.Hour, "")), func(w *world) { enqueue(w, task, "in", engine.ID("x"), once) },
			[]string{retried + "x 0 timeout", ended + "x 1 timed_out timeout"}},
		"invalid input": {failing, func(w *world) {
			input := codec.Payload{Type: codec.JSON, Data: []byte("5")}
			_, errs := w.client.EnqueueMany(w.t.Context(), []engine.Request{{Task: "task", Input: input, Options: []engine.Option{engine.ID("x")}}})
			check(w.t, errs[0])
		}, []string{ended + "x 0 failed invalid_input"}},
		"unencodable output": {[]engine.Binding{engine.Bind(engine.Define[string, func()]("task"), returns[string](func() {}))},
			func(w *world) { enqueue(w, task, "in", engine.ID("x")) }, []string{ended + "x 0 failed output"}},
		"large output": {coded(returns[string](strings.Repeat("x", 65<<20))),
			func(w *world) { enqueue(w, task, "in", engine.ID("x")) }, []string{ended + "x 0 failed output"}},
		"code that says that it is cancelled": {coded(fails[string, string](engine.ErrCancelled)),
			func(w *world) { enqueue(w, task, "in", engine.ID("x")) }, []string{"info execution cancelled: x 0 cancelled cancelled"}},
		"parent": {[]engine.Binding{engine.BindParent(parent, func(context.Context, string, *engine.Children) (string, error) { return "", boom }, joining)},
			func(w *world) { enqueue(w, parent, "in", engine.ID("x")) }, []string{ended + "x 0 failed error"}},
		"child": {[]engine.Binding{engine.BindParent(parent, spawning, joining), engine.Bind(child, fails[string, string](boom))},
			func(w *world) { enqueue(w, parent, "in", engine.ID("x")) },
			[]string{ended + "x 0 children_tasks_failed children", ended + "x.0 0 failed error"}},
		"finalize": {[]engine.Binding{engine.BindParent(parent, spawning, joining), engine.Bind(child, returns[string]("out"))},
			func(w *world) { enqueue(w, parent, "in", engine.ID("x")) },
			[]string{ended + "x 0 finalize_task_failed finalize", ended + "x.f 0 failed error"}},
		"step": {[]engine.Binding{engine.BindSequence(sequence, engine.Then(task, child)), engine.Bind(task, returns[string]("out")), engine.Bind(child, fails[string, string](boom))},
			func(w *world) { enqueue(w, sequence, "in", engine.ID("x")) },
			[]string{ended + "x 0 children_tasks_failed children", ended + "x.1 0 failed error"}},
		"poll": {[]engine.Binding{engine.BindPoll(poll, doneAfter(9, &journal{}))},
			func(w *world) { enqueue(w, poll.Task, "in", engine.ID("x")) }, []string{ended + "x 0 failed poll"}},
		"sleeping, timed out": {nil, func(w *world) { enqueue(w, approval.Task, "in", engine.ID("x"), once) },
			[]string{retried + "x 0 timeout", ended + "x 1 timed_out timeout"}},
		"sleeping, woken with an error": {nil, func(w *world) {
			enqueue(w, approval.Task, "in", engine.ID("x"))
			pass(time.Minute)
			check(w.t, approval.WakeError(w.t.Context(), w.client, "x", boom))
		}, []string{ended + "x 0 failed error"}},
		"cancelled while it runs, with a child": {[]engine.Binding{engine.BindParent(parent, spawning, joining), engine.Bind(child, sleeps[string](time.Hour, ""))}, func(w *world) {
			enqueue(w, parent, "in", engine.ID("x"))
			pass(time.Minute)
			check(w.t, w.client.Cancel(w.t.Context(), "x", "enough"))
		}, []string{"info execution cancelled: x"}},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				x := w.executor(workers.Config{}, c.bindings...)
				c.begin(w)
				pass(6 * time.Hour)
				want := slices.Sorted(slices.Values(c.want))
				if got := x.told(); !slices.Equal(got, want) {
					t.Errorf("told:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
				}
			})
		})
	}
}

func TestFailureLogSaysWhatAnOperatorNeeds(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task", engine.Queue("mail"), engine.Retry{MaxRetries: 1, BaseDelay: time.Minute})
		x := w.executor(workers.Config{Name: "one", Queues: evenly("mail")},
			engine.Bind(task, func(context.Context, string) (string, error) { panic("boom") }))
		at := now()
		enqueue(w, task, "in", engine.ID("x"))
		pass(time.Hour)
		for message, want := range map[string]map[string]any{
			"attempt failed: trying again": {"attempt": int64(0), "retries": int64(1)},
			"execution failed":             {"attempt": int64(1), "status": "failed"},
		} {
			line := x.logs.FilterMessage(message).All()[0].ContextMap()
			for key, v := range map[string]any{"executor": "one", "task": "task", "execution": "x", "queue": "mail", "kind": "panic", "error": "panic: boom"} {
				want[key] = v
			}
			for key, v := range want {
				equal(t, message+": "+key, line[key], v)
			}
			contains(t, "stack", line["stack"].(string), "/log_test.go")
			if next, ok := line["next"].(time.Time); ok {
				between(t, "next attempt", next, at.Add(time.Minute), at.Add(time.Minute+late))
			}
		}
	})
}

func TestLostExecutorIsLoggedByWhoTakesOver(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task", engine.NoTimeout)
		first := w.tapped(workers.Config{Name: "first", CrashCap: 1}, engine.Bind(task, sleeps[string](time.Hour, "")))
		enqueue(w, task, "in", engine.ID("x"))
		pass(time.Second)
		first.tap.kill()
		second := w.tapped(workers.Config{Name: "second", CrashCap: 1}, engine.Bind(task, sleeps[string](time.Hour, "")))
		pass(time.Minute)
		second.tap.kill()
		third := w.executor(workers.Config{Name: "third", CrashCap: 1}, engine.Bind(task, sleeps[string](time.Hour, "")))
		w.ends("x", engine.Failed)
		equal(t, "told by the second", strings.Join(second.told(), "\n"), "warn executor lost in the middle of an attempt: trying again: x 0 expired")
		lost := second.logs.FilterMessage("executor lost in the middle of an attempt: trying again").All()[0].ContextMap()
		equal(t, "lost", lost["lost"], any("first"))
		equal(t, "told by the third", strings.Join(third.told(), "\n"), ended+"x 0 failed expired")
	})
}

func TestFailuresAreLoggedWithoutALogger(t *testing.T) {
	before := slog.Default()
	defer slog.SetDefault(before)
	onMemstore(t, func(t *testing.T, w *world) {
		var text bytes.Buffer
		slog.SetDefault(slog.New(slog.NewTextHandler(&text, nil)))
		task := engine.Define[string, string]("task")
		x, err := workers.New(w.store, workers.Config{Name: "one"}, engine.Bind(task, fails[string, string](errors.New("boom"))))
		check(t, err)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- x.Run(ctx) }()
		enqueue(w, task, "in", engine.ID("x"))
		w.ends("x", engine.Failed)
		stop()
		check(t, <-done)
		contains(t, "log", text.String(), `level=ERROR msg="execution failed" executor=one task=task execution=x attempt=0 status=failed kind=error error=boom`)
	})
}
