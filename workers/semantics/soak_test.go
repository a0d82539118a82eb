package semantics_test

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/embedded"
	"github.com/durable-execution/durable/workers"
)

var (
	soak     = flag.Duration("soak", 0, "how long to run the soak; 0 skips it")
	soakRate = flag.Int("soak-rate", 1000, "roots that the soak enqueues in a second")
)

// soakStreams are the streams of the namespace as streamsOf names them, in order.
var soakStreams = []string{"ready", "timers", "control", "records"}

// A sample holds the measured sizes at one time.
type sample struct {
	at       time.Duration
	done     int64
	messages map[string]uint64
	bytes    map[string]uint64
	disk     int64
	heap     uint64
}

func (s sample) String() string {
	line := fmt.Sprintf("%5.1fs %8d done", s.at.Seconds(), s.done)
	for _, st := range soakStreams {
		line += fmt.Sprintf("  %s %6d/%5.1fMB", st, s.messages[st], float64(s.bytes[st])/1e6)
	}
	return line + fmt.Sprintf("  disk %6.1fMB  heap %5.1fMB", float64(s.disk)/1e6, float64(s.heap)/1e6)
}

// TestSoakOfManyShortExecutionsLevelsOff runs many executions that are kept for 2 s, in real time
// on a server with files. Nine of ten are roots without children, which the server removes. One
// of ten is a tree of three, which executors remove.
func TestSoakOfManyShortExecutionsLevelsOff(t *testing.T) {
	if *soak == 0 {
		t.Skip("takes -soak=30s, or as long as you like")
	}
	dir := t.TempDir()
	store, err := embedded.Open(t.Context(), embedded.Config{
		Dir: dir, Port: -1, Store: jsstore.Config{Lease: time.Second, Retention: 2 * time.Second},
	})
	check(t, err)
	nc, err := nats.Connect(store.URL())
	check(t, err)

	var done atomic.Int64
	single := engine.Define[int, string]("single")
	parent := engine.Define[int, engine.Gathered[string]]("parent")
	x, err := workers.New(store, workers.Config{Slots: 500},
		engine.Bind(single, func(context.Context, int) (string, error) {
			done.Add(1)
			return "some output", nil
		}),
		engine.BindFanOut(parent, func(_ context.Context, n int, c *engine.Children) (string, error) {
			for i := range n {
				single.Spawn(c, i)
			}
			done.Add(1)
			return "", nil
		}))
	check(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- x.Run(ctx) }()

	began := time.Now()
	measure := func() sample {
		s := sample{at: time.Since(began), done: done.Load(), messages: map[string]uint64{}, bytes: map[string]uint64{}}
		for name, state := range streamsOf(t, nc) {
			s.messages[name], s.bytes[name] = state.Msgs, state.Bytes
		}
		// Files may vanish during the walk: they count as empty.
		_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				if info, err := e.Info(); err == nil {
					s.disk += info.Size()
				}
			}
			return nil
		})
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		s.heap = m.HeapAlloc
		t.Log(s)
		return s
	}

	var samples []sample
	every := max(*soak/20, time.Second)
	nextSample := began.Add(every)
	for n := 0; time.Since(began) < *soak; {
		if due := int(time.Since(began).Seconds() * float64(*soakRate)); n < due {
			batch := min(due-n, 500)
			if _, err := single.EnqueueMany(t.Context(), x.Client(), make([]int, batch-batch/10)); err != nil {
				t.Fatal(err)
			}
			trees := make([]int, batch/10)
			for i := range trees {
				trees[i] = 2
			}
			if _, err := parent.EnqueueMany(t.Context(), x.Client(), trees); err != nil {
				t.Fatal(err)
			}
			n += batch
		}
		if time.Now().After(nextSample) {
			samples = append(samples, measure())
			nextSample = time.Now().Add(every)
		}
		time.Sleep(50 * time.Millisecond)
	}
	most := func(list []sample, of func(sample) float64) (m float64) {
		for _, s := range list {
			m = max(m, of(s))
		}
		return m
	}
	// The second half must have no more than the first, apart from chance.
	half := len(samples) / 2
	for what, of := range map[string]func(sample) float64{
		"records": func(s sample) float64 { return float64(s.messages["records"]) },
		"timers":  func(s sample) float64 { return float64(s.messages["timers"]) },
		"control": func(s sample) float64 { return float64(s.messages["control"]) + 1000 },
		"disk":    func(s sample) float64 { return float64(s.disk) },
		"heap":    func(s sample) float64 { return float64(s.heap) },
	} {
		if first, second := most(samples[:half], of), most(samples[half:], of); second > 1.5*first {
			t.Errorf("%s: %.0f at most in the second half, %.0f in the first: want it to level off", what, second, first)
		}
	}

	// When no more executions come, everything must be removed.
	time.Sleep(10 * time.Second)
	last := measure()
	for _, st := range soakStreams {
		want := uint64(0)
		if st == "records" {
			want = 1 // the namespace's own record
		}
		if got := last.messages[st]; got != want {
			t.Errorf("%d messages left in %s, want %d", got, st, want)
		}
	}
	stop()
	check(t, <-ended)
	nc.Close()
	check(t, store.Close())
}
