package semantics_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/workers"
)

type orderBefore struct {
	Qty string `json:"qty"`
}

type orderAfter struct {
	Qty int `json:"qty"`
}

func TestAnInputOfTheOldTypeIsLeftToExecutorsOfTheOldType(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		const each = 50
		older, newer := engine.Define[orderBefore, string]("order"), engine.Define[orderAfter, string]("order")
		var returned atomic.Int64
		reads := func(context.Context, orderBefore) (string, error) { return "older", nil }
		old := w.tapped(workers.Config{Name: "older"}, engine.Bind(older, reads))
		old.countReturns(&returned)
		w.tapped(workers.Config{Name: "newer"}, engine.Bind(newer, func(context.Context, orderAfter) (string, error) { return "newer", nil })).countReturns(&returned)
		for n := range each {
			equal(t, "output", result(w, ordered(t, w, older, orderBefore{"three"}, engine.ID(fmt.Sprint("b", n)))), "older")
			equal(t, "output", result(w, ordered(t, w, older, orderBefore{"three"}, engine.ID(fmt.Sprint("c", n)))), "older")
			equal(t, "output", result(w, ordered(t, w, newer, orderAfter{3}, engine.ID(fmt.Sprint("a", n)))), "newer")
		}
		if n := returned.Load(); n == 0 || n > 3*each*3 {
			t.Errorf("%d executions were given back %d times, want some, and three times each at most", 3*each, n)
		}

		// What neither reads fails at once, and once the old ones have gone so does their input.
		ordered(t, w, engine.Define[[]int, string]("order"), []int{1}, engine.ID("neither"))
		x := w.ends("neither", engine.Failed)
		equal(t, "kind", x.Failure.Kind, engine.KindInvalidInput)
		old.stop()
		check(t, <-old.done)
		pass(time.Minute)
		_ = ordered(t, w, older, orderBefore{"three"}, engine.ID("late"))
		equal(t, "kind", w.ends("late", engine.Failed).Failure.Kind, engine.KindInvalidInput)
	})
}

func TestAnInputOfABusyTypeComesBackAtThePaceOfForeignWork(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		older, newer := engine.Define[orderBefore, string]("order"), engine.Define[orderAfter, string]("order")
		open := make(chan struct{})
		w.executor(workers.Config{Name: "older", Slots: 1}, engine.Bind(older, func(context.Context, orderBefore) (string, error) {
			<-open
			return "older", nil
		}))
		first := ordered(t, w, older, orderBefore{"1"})
		pass(time.Second)
		var returned atomic.Int64
		one := w.tapped(workers.Config{Name: "newer", Slots: 1}, engine.Bind(newer, func(context.Context, orderAfter) (string, error) { return "newer", nil }))
		one.countReturns(&returned)
		second := ordered(t, w, older, orderBefore{"2"})
		pass(10 * time.Second)
		if n := returned.Load(); n == 0 || n > 80 {
			t.Errorf("given back %d times in 10 s, want 1 to 80", n)
		}
		equal(t, "output", result(w, ordered(t, w, newer, orderAfter{3})), "newer") // its slot is free
		close(open)
		equal(t, "output", result(w, first), "older")
		equal(t, "output", result(w, second), "older")
	})
}

// ordered enqueues as a program does that has just this type of the task.
func ordered[In any](t *testing.T, w *world, task engine.Task[In, string], in In, o ...engine.Option) engine.Handle[string] {
	t.Helper()
	h, err := task.Enqueue(w.ctx, engine.NewClient(w.store), in, o...)
	check(t, err)
	return h
}
