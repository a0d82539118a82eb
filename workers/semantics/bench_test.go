package semantics_test

import (
	"context"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/embedded"
	"github.com/durable-execution/durable/workers"
)

// bench starts an embedded server, an executor of the bindings, and a client.
func bench(b *testing.B, c workers.Config, bs ...engine.Binding) *engine.Client {
	b.Helper()
	s, err := embedded.Open(b.Context(), embedded.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	execute(b, s, c, bs...)
	cpu(b)
	return engine.NewClient(s)
}

// execute runs an executor of the bindings until b ends.
func execute(b *testing.B, s engine.Store, c workers.Config, bs ...engine.Binding) {
	b.Helper()
	x, err := workers.New(s, c, bs...)
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- x.Run(ctx) }()
	b.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
}

// cpu reports the processor time of the whole process, server included, for each
// iteration: on a shared machine it says more than the wall clock.
func cpu(b *testing.B) {
	b.Helper()
	start := processTime(b)
	b.Cleanup(func() { b.ReportMetric(float64((processTime(b)-start).Microseconds())/float64(b.N), "cpu-µs/op") })
}

func processTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkShortRootTask enqueues in bulk while the executor works.
func BenchmarkShortRootTask(b *testing.B) {
	task := engine.Define[string, string]("short")
	done := make(chan struct{}, 1000)
	c := bench(b, workers.Config{Slots: 500}, engine.Bind(task, func(context.Context, string) (string, error) {
		done <- struct{}{}
		return "ok", nil
	}))
	b.ResetTimer()
	go func() {
		for n := 0; n < b.N; n += 1000 {
			if _, err := task.EnqueueMany(context.Background(), c, make([]string, min(1000, b.N-n))); err != nil {
				b.Error(err)
				return
			}
		}
	}()
	for range b.N {
		<-done
	}
}

// BenchmarkOneAtATime measures the time from Enqueue until Wait has the outcome.
func BenchmarkOneAtATime(b *testing.B) {
	task := engine.Define[string, string]("short")
	c := bench(b, workers.Config{}, engine.Bind(task, func(context.Context, string) (string, error) { return "ok", nil }))
	for b.Loop() {
		h, err := task.Enqueue(b.Context(), c, "in")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := h.Wait(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFanOut runs one parent after another, each with ten children and a finalize.
func BenchmarkFanOut(b *testing.B) {
	child := engine.Define[int, int]("child")
	parent := engine.Define[int, int]("parent")
	c := bench(b, workers.Config{},
		engine.Bind(child, func(_ context.Context, n int) (int, error) { return n, nil }),
		engine.BindParent(parent, func(_ context.Context, n int, kids *engine.Children) (int, error) {
			for i := range n {
				child.Spawn(kids, i)
			}
			return n, nil
		}, func(_ context.Context, j engine.Joined[int, int]) (int, error) { return len(j.Children), nil }))
	for b.Loop() {
		h, err := parent.Enqueue(b.Context(), c, 10)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := h.Wait(b.Context()); err != nil || n != 10 {
			b.Fatal(n, err)
		}
	}
}

// BenchmarkCancelReachesARunningAttempt measures the time from the call of Cancel to the end of
// the attempt's context, through a server. The promise is 50 ms.
func BenchmarkCancelReachesARunningAttempt(b *testing.B) {
	task := engine.Define[string, string]("long")
	started, stopped := make(chan struct{}), make(chan time.Time)
	c := bench(b, workers.Config{}, engine.Bind(task, func(ctx context.Context, _ string) (string, error) {
		started <- struct{}{}
		<-ctx.Done()
		stopped <- time.Now()
		return "", ctx.Err()
	}))
	var took []time.Duration
	for b.Loop() {
		b.StopTimer()
		h, err := task.Enqueue(b.Context(), c, "in")
		if err != nil {
			b.Fatal(err)
		}
		<-started
		b.StartTimer()
		start := time.Now()
		ended := make(chan time.Time, 1)
		go func() { ended <- <-stopped }()
		if err := h.Cancel(b.Context(), "enough"); err != nil {
			b.Fatal(err)
		}
		took = append(took, (<-ended).Sub(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "max-ms")
}
