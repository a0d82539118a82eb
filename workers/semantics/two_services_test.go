package semantics_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/embedded"
	"github.com/durable-execution/durable/workers"
)

// countReturns counts the messages that an executor returns.
func (e *executor) countReturns(n *atomic.Int64) {
	e.tap.on(func(call, _ string) error {
		if call == "Return" {
			n.Add(1)
		}
		return nil
	})
}

func TestTwoServicesOnOneQueueGiveEachOtherTheirTasksAtOnce(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		const each = 100
		var returned atomic.Int64
		var tasks []engine.Task[string, string]
		for _, name := range []string{"mail", "pdf"} {
			task := engine.Define[string, string](name)
			tasks = append(tasks, task)
			w.tapped(workers.Config{Name: name}, engine.Bind(task, returns[string](name))).countReturns(&returned)
		}
		var longest time.Duration
		for n := range each {
			for _, task := range tasks {
				began := time.Now()
				h := enqueue(w, task, "in", engine.ID(fmt.Sprint(task.ID(), n)))
				result(w, h)
				longest = max(longest, time.Since(began))
			}
		}
		if longest > 50*time.Millisecond {
			t.Errorf("an execution waited for %s with a capable executor idle", longest)
		}
		if n := returned.Load(); n > 2*each*3 {
			t.Errorf("%d executions were given back %d times", 2*each, n)
		}
	})
}

func TestOneOfTenServicesGetsItsTasksWithoutAPause(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var tasks []engine.Task[string, string]
		for n := range 10 {
			task := engine.Define[string, string](fmt.Sprint("task", n))
			tasks = append(tasks, task)
			w.executor(workers.Config{Name: fmt.Sprint("service", n)}, engine.Bind(task, returns[string]("out")))
		}
		result(w, enqueue(w, tasks[0], "in")) // until the executors know of each other
		pass(time.Second)
		for range 5 {
			for _, task := range tasks {
				began := time.Now()
				result(w, enqueue(w, task, "in"))
				if d := time.Since(began); d > 250*time.Millisecond {
					t.Errorf("%s: waited for %s", task.ID(), d)
				}
			}
		}
	})
}

func TestTaskThatNobodyBindsIsNoStorm(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var returned atomic.Int64
		for _, name := range []string{"mail", "pdf"} {
			w.tapped(workers.Config{Name: name}, engine.Bind(engine.Define[string, string](name), returns[string](name))).countReturns(&returned)
		}
		h := enqueue(w, engine.Define[string, string]("nobody"), "in")
		pass(time.Hour)
		w.want(h.ID(), engine.Ready)
		if n := returned.Load(); n < 100 || n > 150 {
			t.Errorf("given back %d times in an hour, want every 30 s in the end", n)
		}
	})
}

func TestTasksOfABusyServiceAreNoStorm(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		const waiting = 2000
		var returned atomic.Int64
		mail, pdf := engine.Define[string, string]("mail", engine.NoTimeout), engine.Define[string, string]("pdf")
		w.executor(workers.Config{Name: "mail", Slots: 1}, engine.Bind(mail, sleeps[string](time.Hour, "out")))
		w.tapped(workers.Config{Name: "pdf"}, engine.Bind(pdf, returns[string]("out"))).countReturns(&returned)
		enqueue(w, mail, "first")
		pass(time.Second)
		for n := range waiting {
			enqueue(w, mail, fmt.Sprint(n))
		}
		pass(time.Minute)
		before := returned.Load()
		pass(time.Minute)
		if n := returned.Load() - before; n > 60*220 {
			t.Errorf("%d waiting executions were given back %d times in a minute, want about 200 a second", waiting, n)
		}
		began := time.Now()
		result(w, enqueue(w, pdf, "in"))
		if d := time.Since(began); d > 250*time.Millisecond {
			t.Errorf("the other service waited for %s", d)
		}
	})
}

// TestLatencyOfTwoServicesOnOneQueue measures and prints how much two services on one queue slow
// each other down, alternating with one service alone. Run it by hand with DURABLE_MEASURE=1.
func TestLatencyOfTwoServicesOnOneQueue(t *testing.T) {
	if os.Getenv("DURABLE_MEASURE") == "" {
		t.Skip("measures; DURABLE_MEASURE=1 runs it")
	}
	const rounds, each = 5, 400
	alone, both := [][]time.Duration{nil}, [][]time.Duration{nil, nil}
	for range rounds {
		for _, into := range [][][]time.Duration{alone, both} {
			for i, d := range latencies(t, len(into), each) {
				into[i] = append(into[i], d...)
			}
		}
	}
	p := func(list []time.Duration, q float64) time.Duration {
		slices.Sort(list)
		return list[int(q*float64(len(list)-1))]
	}
	base := p(alone[0], 0.5)
	t.Logf("alone: p50 %s, p99 %s, longest %s", base, p(alone[0], 0.99), alone[0][len(alone[0])-1])
	for i, list := range both {
		t.Logf("service %d of two: p50 %s (%.2f times), p99 %s, longest %s", i+1, p(list, 0.5), float64(p(list, 0.5))/float64(base), p(list, 0.99), list[len(list)-1])
		if p(list, 0.5) > 3*base {
			t.Errorf("p50 of service %d is more than 3 times that of one alone", i+1)
		}
	}
}

// latencies runs services on one queue. Each has a task of its own, and a caller that waits for one
// execution after the other. It returns the latencies by service.
func latencies(t *testing.T, services, each int) [][]time.Duration {
	s, err := embedded.Open(t.Context(), embedded.Config{Dir: t.TempDir()})
	check(t, err)
	defer func() { check(t, s.Close()) }()
	ctx, stop := context.WithCancel(t.Context())
	var running, calling sync.WaitGroup
	took := make([][]time.Duration, services)
	client := engine.NewClient(s)
	var tasks []engine.Task[string, string]
	for n := range services {
		task := engine.Define[string, string](fmt.Sprint("task", n))
		tasks = append(tasks, task)
		x, err := workers.New(s, workers.Config{Name: fmt.Sprint("service", n), Drain: workers.NoDrain, Logger: slog.New(slog.DiscardHandler)}, engine.Bind(task, returns[string]("out")))
		check(t, err)
		running.Go(func() { _ = x.Run(ctx) })
	}
	for n, task := range tasks {
		calling.Go(func() {
			for range each {
				began := time.Now()
				h, err := task.Enqueue(ctx, client, "in")
				if err == nil {
					_, err = h.Wait(ctx)
				}
				if err != nil {
					t.Error(err)
					return
				}
				took[n] = append(took[n], time.Since(began))
			}
		})
	}
	calling.Wait()
	stop()
	running.Wait()
	return took
}
