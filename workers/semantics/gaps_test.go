package semantics_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/workers"
)

// warnings counts the warnings of an executor whose reason contains a text.
func (e *executor) warnings(text string) int {
	n := 0
	for _, l := range e.logs.FilterLevelExact(zapcore.WarnLevel).All() {
		if reason, ok := l.ContextMap()["reason"].(string); ok && strings.Contains(reason, text) {
			n++
		}
	}
	return n
}

func TestAnExecutorSaysOnceAnHourWhatNobodyCanRun(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		child := engine.Define[string, string]("child")
		parent := engine.Define[string, engine.Gathered[string]]("parent")
		mail := engine.Define[string, string]("mail", engine.Queue("mails"))
		one := w.executor(workers.Config{Name: "one"},
			engine.Bind(mail, returns[string]("out")),
			engine.BindFanOut(parent, func(_ context.Context, _ string, c *engine.Children) (string, error) {
				child.Spawn(c, "in")
				return "", nil
			}))
		const queue, spawn = "goes to queue mails, but no executor that binds the task serves this queue", "which no executor binds"
		pass(10 * time.Second)
		equal(t, "warnings of the queue at the start", one.warnings(queue), 1)
		equal(t, "warnings of the child before it is spawned", one.warnings(spawn), 0)
		h := enqueue(w, parent, "in")
		enqueue(w, parent, "again")
		pass(10 * time.Second)
		equal(t, "warnings of the child once it is spawned", one.warnings(spawn), 1)
		equal(t, "warnings of the queue in the first minute", one.warnings(queue), 1)
		pass(2*time.Hour + time.Minute)
		between := func(what string, n int) {
			if n < 2 || n > 3 {
				t.Errorf("%d warnings of the %s in two hours, want one an hour", n, what)
			}
		}
		between("queue", one.warnings(queue))
		between("child", one.warnings(spawn))

		w.executor(workers.Config{Name: "two", Queues: map[string]int{"mails": 1, engine.DefaultQueue: 1}},
			engine.Bind(mail, returns[string]("out")), engine.Bind(child, returns[string]("out")))
		result(w, h)
		queues, spawns := one.warnings(queue), one.warnings(spawn)
		pass(3 * time.Hour)
		equal(t, "warnings of the queue since it is served", one.warnings(queue)-queues, 0)
		equal(t, "warnings of the child since it is bound", one.warnings(spawn)-spawns, 0)
	})
}
