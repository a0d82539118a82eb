package semantics_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/workers"
)

const (
	troubleBegins = "background work fails: it is tried again"
	troubleEnds   = "background work succeeds again"
)

var errCut = errors.New("cut")

// spells returns how often the begin and the end of failures were logged, by kind of work.
func (e *executor) spells() (begins, ends map[string]int) {
	begins, ends = map[string]int{}, map[string]int{}
	for _, l := range e.logs.FilterMessage(troubleBegins).All() {
		begins[l.ContextMap()["what"].(string)]++
	}
	for _, l := range e.logs.FilterMessage(troubleEnds).All() {
		ends[l.ContextMap()["what"].(string)]++
	}
	return begins, ends
}

// once fails unless exactly these kinds of work began to fail once, and worked again once.
func (e *executor) once(t *testing.T, what ...string) {
	t.Helper()
	begins, ends := e.spells()
	want := map[string]int{}
	for _, name := range what {
		want[name] = 1
	}
	equal(t, "begins", fmt.Sprint(begins), fmt.Sprint(want))
	equal(t, "ends", fmt.Sprint(ends), fmt.Sprint(want))
}

func TestBackgroundErrorsAreLoggedWhenTheyBeginAndWhenTheyEnd(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[time.Duration, string]("task", engine.NoTimeout)
		x := w.tapped(workers.Config{}, engine.Bind(task, func(ctx context.Context, d time.Duration) (string, error) {
			return sleeps[int](d, "out")(ctx, 0)
		}))
		var hs []engine.Handle[string]
		for n := range 5 {
			hs = append(hs, enqueue(w, task, 2*time.Minute+time.Duration(n)*time.Second))
		}
		pass(time.Minute)
		cut := func() { x.tap.on(func(call, _ string) error { return errCut }) }
		cut()
		pass(10 * time.Minute)
		began := x.logs.FilterMessage(troubleBegins).All()
		x.tap.on(nil)
		pass(time.Minute)
		for _, h := range hs {
			equal(t, "output", result(w, h), "out")
		}
		// Its messages were redelivered, too, and could not be claimed.
		what := []string{"claim an execution", "record an outcome", "extend leases", "check the records of attempts"}
		x.once(t, what...)
		for _, l := range began {
			contains(t, "error", l.ContextMap()["error"].(string), "cut")
		}
		for _, l := range x.logs.FilterMessage(troubleEnds).All() {
			about := l.ContextMap()
			name := about["what"].(string)
			if n := about["failures"].(int64); n < 2 || int(n) != x.Stats().Failures[name] {
				t.Errorf("%s: %d failures, and %d counted", name, n, x.Stats().Failures[name])
			}
			if d := about["after"].(time.Duration); name == "record an outcome" && (d < 8*time.Minute || d > 10*time.Minute) {
				t.Errorf("%s: after %s, want 8m to 10m", name, d)
			}
		}

		// A new failure of the same work is logged again.
		h := enqueue(w, task, time.Minute)
		pass(time.Second)
		cut()
		pass(2 * time.Minute)
		x.tap.on(nil)
		result(w, h)
		pass(time.Minute)
		_, ends := x.spells()
		equal(t, "second spell", ends["record an outcome"], 2)
	})
}

func TestTroubleWithOneExecutionAmongManyIsToldOnce(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task")
		x := w.tapped(workers.Config{}, engine.Bind(task, returns[string]("out")))
		x.tap.on(func(call, id string) error {
			if id == "poor" && (call == "Update" || call == "Extend") {
				return errCut
			}
			return nil
		})
		enqueue(w, task, "in", engine.ID("poor"))
		for range 30 { // these succeed in the meantime
			result(w, enqueue(w, task, "in", engine.ID(fmt.Sprint("rich-", time.Now().Unix()))))
			pass(10 * time.Second)
		}
		x.tap.on(nil)
		w.ends("poor", engine.Completed)
		pass(time.Minute)
		x.once(t, "claim an execution", "extend leases")
	})
}

func TestTroubleOfAnAttemptEndsWithIt(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task")
		x := w.tapped(workers.Config{}, engine.Bind(task, sleeps[string](1500*time.Millisecond, "out")))
		h := enqueue(w, task, "in")
		x.tap.on(func(call, id string) error {
			if call == "Update" {
				return errCut // until the attempt's outcome is recorded
			}
			return nil
		})
		pass(1490 * time.Millisecond)
		x.tap.on(nil)
		result(w, h)
		x.once(t, "record that an attempt runs")
	})
}

func TestBackgroundErrorsThatComeAndGoAreLoggedOnceAMinute(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[time.Duration, string]("task", engine.NoTimeout)
		x := w.tapped(workers.Config{}, engine.Bind(task, func(ctx context.Context, d time.Duration) (string, error) {
			return sleeps[int](d, "out")(ctx, 0)
		}))
		h := enqueue(w, task, time.Hour)
		pass(time.Minute)
		was := x.Stats().Failures["extend leases"]
		for range 30 { // each longer than it takes until leases are renewed
			x.tap.on(func(call, _ string) error { return errCut })
			pass(11 * time.Second)
			x.tap.on(nil)
			pass(9 * time.Second)
		}
		begins, ends := x.spells()
		for what, n := range begins {
			if n > 11 || ends[what] > n {
				t.Errorf("%q: %d lines that it begins and %d that it ends in ten minutes, want 11 at most", what, n, ends[what])
			}
		}
		left := int64(0)
		for _, l := range x.logs.FilterMessage(troubleBegins).All() {
			if n, ok := l.ContextMap()["not logged"].(int64); ok {
				left += n
			}
		}
		if x.Stats().Failures["extend leases"] == was || left == 0 {
			t.Errorf("failures = %v, %d left out of the log: want some of each", x.Stats().Failures, left)
		}
		equal(t, "output", result(w, h), "out")
	})
}
