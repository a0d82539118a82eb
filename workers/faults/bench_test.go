//go:build unix

package faults

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine/history"
	"github.com/durable-execution/durable/jsstore/jstest"
)

// began waits until the code of an execution has begun n times, and returns the latest beginning.
func (f *fleet) began(execution string, n int) history.Event {
	f.t.Helper()
	for deadline := time.Now().Add(settleTime); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		h, err := history.Open(f.path)
		f.check(err)
		seen := 0
		for _, e := range h.Events {
			if e.Kind == history.Began && e.Execution == execution {
				if seen++; seen == n {
					return e
				}
			}
		}
	}
	f.t.Errorf("%s has not begun %d times", execution, n)
	return history.Event{}
}

// report reports the distribution of a sample of times.
func report(b *testing.B, sample []time.Duration) {
	slices.Sort(sample)
	at := func(q float64) float64 {
		return float64(sample[min(int(q*float64(len(sample))), len(sample)-1)].Microseconds()) / 1000
	}
	b.ReportMetric(at(0.5), "p50-ms")
	b.ReportMetric(at(0.99), "p99-ms")
	b.ReportMetric(at(1), "max-ms")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkRecovery measures the time from SIGKILL of an executor in the middle of a one-hour
// attempt until another process runs that attempt's code, with a lease of 5 s. -benchtime 100x
// makes 100 kills. Ten fleets of two executors run side by side on one server.
func BenchmarkRecovery(b *testing.B) {
	servers := jstest.Processes(b, 1)
	fleets := make([]*fleet, min(10, b.N))
	for i := range fleets {
		fleets[i] = newFleet(b, setup{servers: servers, lease: 5 * time.Second})
		fleets[i].hire(program{})
		fleets[i].hire(program{})
		fleets[i].enqueue("hour", plant{Nap: time.Hour})
	}
	var mu sync.Mutex
	var sample []time.Duration
	left := b.N
	next := func() bool {
		mu.Lock()
		defer mu.Unlock()
		left--
		return left >= 0
	}
	b.ResetTimer()
	var all sync.WaitGroup
	for i, f := range fleets {
		all.Go(func() {
			// Don't kill all at the same time.
			time.Sleep(time.Duration(i) * 170 * time.Millisecond)
			for n := 1; next(); n++ {
				runs := f.began("hour", n)
				time.Sleep(500 * time.Millisecond)
				victim := f.alive()[slices.IndexFunc(f.alive(), func(m *member) bool { return m.Name == runs.Process })]
				killed := machineTime()
				victim.kill()
				again := f.began("hour", n+1)
				mu.Lock()
				sample = append(sample, again.At.Sub(killed))
				mu.Unlock()
				f.hire(program{})
			}
		})
	}
	all.Wait()
	b.StopTimer()
	report(b, sample)
}

// BenchmarkCancelAcrossProcesses measures the time from the return of Cancel until the context of
// an attempt in another process ends: with an intact connection, and with one that is cut and
// reconnects meanwhile.
func BenchmarkCancelAcrossProcesses(b *testing.B) {
	b.Run("connected", func(b *testing.B) {
		f := newFleet(b, setup{lease: 30 * time.Second})
		f.hire(program{Slots: 1000})
		benchmarkCancel(b, f, func() {})
	})
	b.Run("reconnecting", func(b *testing.B) {
		f := newFleet(b, setup{lease: 30 * time.Second})
		link := jstest.Proxy(b, f.servers.URL(0))
		f.hire(program{Slots: 1000, URL: link.URL()})
		benchmarkCancel(b, f, func() {
			link.Cut()
			link.Heal()
		})
	})
}

func benchmarkCancel(b *testing.B, f *fleet, before func()) {
	for i := range b.N {
		f.enqueue(fmt.Sprint("hour", i), plant{Nap: time.Hour})
	}
	for i := range b.N {
		f.began(fmt.Sprint("hour", i), 1)
	}
	time.Sleep(time.Second) // all records say running
	b.ResetTimer()
	returned := map[string]time.Time{}
	for i := range b.N {
		id := fmt.Sprint("hour", i)
		before()
		f.cancel(id)
		returned[id] = machineTime()
		f.event(history.Left, id)
	}
	b.StopTimer()
	h, err := history.Open(f.path)
	f.check(err)
	var sample []time.Duration
	for _, e := range h.Events {
		if e.Kind == history.Left {
			// It may have ended before Cancel returned.
			sample = append(sample, max(e.At.Sub(returned[e.Execution]), 0))
		}
	}
	report(b, sample)
}
