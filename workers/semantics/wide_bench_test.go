package semantics_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/embedded"
	"github.com/durable-execution/durable/workers"
)

// A gauge reports the costs of one execution: time, processor time, messages stored, bytes sent to
// the server, and bytes written to files. It also reports the most heap that was in use. The
// costs are those of the whole process, including the server.
type gauge struct {
	b      *testing.B
	server *embedded.Server
	nc     *nats.Conn
	client *engine.Client
}

// gauged starts an embedded server and an executor of the bindings.
func gauged(b *testing.B, bs ...engine.Binding) *gauge {
	b.Helper()
	server, err := embedded.Start(b.Context(), embedded.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	nc, err := server.Connect()
	if err != nil {
		b.Fatal(err)
	}
	s, err := jsstore.Open(b.Context(), nc, jsstore.Config{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { // runs after all other cleanups
		if err := server.Close(); err != nil {
			b.Error(err)
		}
	})
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	execute(b, s, workers.Config{}, bs...)
	return &gauge{b: b, server: server, nc: nc, client: engine.NewClient(s)}
}

// stored returns how many messages the streams have ever stored.
func (g *gauge) stored() (n uint64) {
	g.b.Helper()
	for _, state := range streamsOf(g.b, g.nc) {
		n += state.LastSeq
	}
	return n
}

// sent returns how many bytes were published or requested, payloads and headers.
func (g *gauge) sent() uint64 { return g.nc.Stats().OutBytes }

// written returns how many bytes the process has written to files; its connections are in memory.
// It returns zero if the system does not say.
func written() (n uint64) {
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Sscanf(line, "wchar: %d", &n); err == nil {
			return n
		}
	}
	return 0
}

// peak samples the heap until done is called, which returns the most that was in use.
func peak() (done func() uint64) {
	runtime.GC()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	var most atomic.Uint64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			metrics.Read(sample)
			most.Store(max(most.Load(), sample[0].Value.Uint64()))
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	}()
	return func() uint64 { close(stop); <-stopped; return most.Load() }
}

// each runs fn repeatedly, and reports the cost of one of its n executions.
func (g *gauge) each(n int, fn func() error) {
	g.b.Helper()
	if err := fn(); err != nil { // the first call pays for everything that is made only once
		g.b.Fatal(err)
	}
	stored, sent, files, cpu, heap := g.stored(), g.sent(), written(), processTime(g.b), peak()
	rounds := 0
	for g.b.Loop() {
		if err := fn(); err != nil {
			g.b.Fatal(err)
		}
		rounds++
	}
	all := float64(rounds * n)
	g.b.ReportMetric(float64(g.b.Elapsed().Nanoseconds())/1000/all, "µs/each")
	g.b.ReportMetric(float64((processTime(g.b)-cpu).Nanoseconds())/1000/all, "cpu-µs/each")
	g.b.ReportMetric(float64(heap())/(1<<20), "peak-MiB")
	g.b.ReportMetric(float64(g.stored()-stored)/all, "stored/each")
	g.b.ReportMetric(float64(g.sent()-sent)/all, "sent-B/each")
	g.b.ReportMetric(float64(written()-files)/all, "written-B/each")
	g.b.ReportMetric(0, "ns/op") // µs/each says the same
}

// BenchmarkWide runs a parent with a finalize that reads the output of each child. The cost of a
// child must not grow with the number of children. With few children, the parent and the
// finalize are a large part of the cost.
func BenchmarkWide(b *testing.B) {
	child := engine.Define[int, int]("child")
	parent := engine.Define[int, int]("parent")
	for _, n := range []int{10, 100, 1000, 10_000} {
		b.Run(fmt.Sprint("children=", n), func(b *testing.B) {
			g := gauged(b,
				engine.Bind(child, func(_ context.Context, i int) (int, error) { return i, nil }),
				engine.BindParent(parent, func(_ context.Context, n int, c *engine.Children) (int, error) {
					for i := range n {
						child.Spawn(c, i)
					}
					return n, nil
				}, func(_ context.Context, j engine.Joined[int, int]) (sum int, _ error) {
					for _, r := range child.Results(j.Children) {
						i, err := r.Get()
						if err != nil {
							return 0, err
						}
						sum += i
					}
					return sum, nil
				}))
			g.each(n, func() error {
				h, err := parent.Enqueue(b.Context(), g.client, n)
				if err != nil {
					return err
				}
				if sum, err := h.Wait(b.Context()); err != nil || sum != n*(n-1)/2 {
					return fmt.Errorf("sum = %d, %w", sum, err)
				}
				return nil
			})
		})
	}
}

// BenchmarkDeep runs a task that spawns itself. Each level has a finalize. The cost of a level must
// not depend on the number of levels.
func BenchmarkDeep(b *testing.B) {
	level := engine.Define[int, int]("level")
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint("levels=", n), func(b *testing.B) {
			g := gauged(b, engine.BindParent(level, func(_ context.Context, left int, c *engine.Children) (int, error) {
				if left > 1 {
					level.Spawn(c, left-1)
				}
				return left, nil
			}, func(_ context.Context, j engine.Joined[int, int]) (int, error) {
				if len(j.Children) == 0 {
					return 1, nil
				}
				below, err := level.Result(j.Children).Get()
				return below + 1, err
			}))
			g.each(n, func() error {
				h, err := level.Enqueue(b.Context(), g.client, n)
				if err != nil {
					return err
				}
				if levels, err := h.Wait(b.Context()); err != nil || levels != n {
					return fmt.Errorf("levels = %d, %w", levels, err)
				}
				return nil
			})
		})
	}
}
