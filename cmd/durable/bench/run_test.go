package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

func quietly(string) {}

// measure runs a workload on a server in this process.
func measure(t *testing.T, c Config) *Report {
	t.Helper()
	c.Embedded, c.Dir = true, t.TempDir()
	r, err := Run(t.Context(), c, quietly)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// decoded returns r after encoding it as JSON and decoding it.
func decoded(t *testing.T, r *Report) Report {
	t.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	var got Report
	if err := dec.Decode(&got); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return got
}

// median returns the median of a metric, and fails the test if there is no such metric.
func (r *Report) median(t *testing.T, name string) float64 {
	t.Helper()
	m, err := r.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return m.Median
}

func TestEachWorkloadStoresAndAcknowledgesWhatItIsKnownTo(t *testing.T) {
	for _, test := range []struct {
		config       Config
		stored, acks float64
	}{
		{Config{Workload: "throughput", Count: 200}, 2, 1},
		{Config{Workload: "enqueue", Count: 200, Callers: 8}, 1, 0},
		{Config{Workload: "bulk", Count: 1500, Callers: 2}, 1, 0},
		{Config{Workload: "latency", Count: 20}, 2, 1},
		{Config{Workload: "latency", Count: 20, Rate: 500}, 2, 1},
		// How many closure events the parent handles together depends on timing: there are 2
		// writes of its record, and 1 to 10 more.
		{Config{Workload: "fanout", Count: 10}, 0, 22},
		{Config{Workload: "sequence", Count: 10, Steps: 3}, 3 + 1 + 2*3 + 1 + 1, 4},
		// An execution whose delay is shorter than a second when an executor claims it needs no
		// timer. On a slow machine that may be true of all.
		{Config{Workload: "delayed", Count: 60, Delay: time.Second}, 0, -1},
		{Config{Workload: "cancel", Count: 10, Callers: 2}, 3, 2},
	} {
		name := test.config.Workload
		if test.config.Rate > 0 {
			name += " at a rate"
		}
		t.Run(name, func(t *testing.T) {
			test.config.Rounds = 2
			r := decoded(t, measure(t, test.config))
			if r.Rounds != 2 || r.Interrupted {
				t.Errorf("%d rounds, interrupted: %t; want 2 that were not", r.Rounds, r.Interrupted)
			}
			// If a busy machine delays an attempt for 50 ms, there is one more record: running.
			if got := r.median(t, "stored"); test.stored > 0 && (got < test.stored || got > 1.5*test.stored) {
				t.Errorf("stored messages = %g, want %g, or little more", got, test.stored)
			}
			if got := r.median(t, "acks"); test.acks >= 0 && got != test.acks {
				t.Errorf("acks = %g, want %g", got, test.acks)
			}
			if n := r.median(t, "throughput"); n <= 0 {
				t.Errorf("throughput = %g", n)
			}
			floor := decodedFloor(t, r, "throughput")
			if floor.Median <= 0 || len(floor.Rounds) != 2 {
				t.Errorf("throughput of the floor = %+v, want one a round", floor)
			}
			for _, d := range r.Distributions {
				if d.Count != int64(2*test.config.Count) {
					t.Errorf("%d durations of %s, want %d", d.Count, d.Name, 2*test.config.Count)
				}
				for i := 1; i < len(d.Points); i++ {
					if d.Points[i].Value < d.Points[i-1].Value {
						t.Errorf("%s: %+v takes less than %+v", d.Name, d.Points[i], d.Points[i-1])
					}
				}
			}
		})
	}
}

func decodedFloor(t *testing.T, r Report, name string) Spread {
	t.Helper()
	m, err := r.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	if m.Floor == nil || m.Ratio == nil {
		t.Fatalf("%s has no floor", name)
	}
	return *m.Floor
}

func TestDelayedExecutionsAreLateButNotByTheirDelay(t *testing.T) {
	r := measure(t, Config{Workload: "delayed", Count: 50, Rounds: 1, Delay: time.Second, NoFloor: true})
	if most := r.median(t, "latenessMax"); most <= 0 || most > 60_000 {
		t.Errorf("lateness = %g ms at most, want some, and not a minute", most)
	}
	// The round can't end before the delay is over.
	if n := r.median(t, "throughput"); n > 50 {
		t.Errorf("throughput = %g a second, want at most 50: they wait for a second", n)
	}
}

func TestAFanOutIsCountedByItsParents(t *testing.T) {
	r := measure(t, Config{Workload: "fanout", Count: 4, Children: 3, Rounds: 1})
	least, err := r.Find("stored")
	if err != nil {
		t.Fatal(err)
	}
	// 5 ready messages, 3 + 4 records, 3 closure events; the engine may write a few more.
	if want := 15.0; least.Floor.Median != want || least.Median < want {
		t.Errorf("stored messages = %g, of which the least is %g, want %g", least.Median, least.Floor.Median, want)
	}
	if got := r.median(t, "storedReady"); got != 5 {
		t.Errorf("stored in the queue = %g, want 5", got)
	}
}

func TestARoundByTimeEnds(t *testing.T) {
	r := measure(t, Config{Workload: "throughput", For: 200 * time.Millisecond, Warmup: NoWarmup, Rounds: 1})
	if n := r.median(t, "throughput"); n <= 0 {
		t.Errorf("throughput = %g", n)
	}
	if got := r.Settings.ForMS; got != 200 || r.Settings.Count != 0 {
		t.Errorf("settings = %d ms, %d executions; want 200 and none", got, r.Settings.Count)
	}
}

func TestWhatIsThereBeforeStaysThere(t *testing.T) {
	r := measure(t, Config{Workload: "throughput", Count: 100, Stored: 50, Waiting: 30, Rounds: 1})
	if got := r.median(t, "stored"); got < 2 || got > 3 {
		t.Errorf("stored messages = %g, want 2, or little more", got)
	}
}

func TestAnIdleExecutorAsksForLittle(t *testing.T) {
	r := measure(t, Config{Workload: "idle", For: time.Second})
	if n := r.median(t, "requests"); n > 20 {
		t.Errorf("requests = %g a second, want few", n)
	}
}

func TestAnInterruptionKeepsWhatWasMeasured(t *testing.T) {
	ctx, interrupt := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	c := Config{Workload: "latency", Embedded: true, Dir: t.TempDir(), Count: 10, Rounds: 1000, NoFloor: true}
	rounds := 0
	r, err := Run(ctx, c, func(what string) {
		if strings.Contains(what, "round") {
			if rounds++; rounds == 3 {
				interrupt(enough)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Interrupted || r.Rounds < 2 || r.Rounds > 3 {
		t.Errorf("%d rounds, interrupted: %t; want 2 or 3, and true", r.Rounds, r.Interrupted)
	}
	if _, err := Run(ctx, c, quietly); !errors.Is(err, enough) {
		t.Errorf("interrupted before it began: %v, want %v", err, enough)
	}
}

func TestWhatMakesNoSenseIsRefused(t *testing.T) {
	for _, c := range []Config{
		{},
		{Workload: "nothing"},
		{Workload: "throughput"}, // Run can't start a process without a program
		{Workload: "throughput", Embedded: true, Server: "nats://127.0.0.1:1"},
		{Workload: "throughput", Embedded: true, Executors: 2},
		{Workload: "cancel", Server: "nats://127.0.0.1:1", Executors: 2, Program: []string{"x"}},
		{Workload: "throughput", Embedded: true, Rate: 5},
		{Workload: "throughput", Embedded: true, Count: 5, For: time.Second},
		{Workload: "throughput", Embedded: true, Replicas: 7},
		{Workload: "throughput", Embedded: true, Payload: 2 << 20},
		{Workload: "throughput", Embedded: true, SyncInterval: time.Microsecond},
		{Workload: "throughput", Server: "nats://127.0.0.1:1", SyncAlways: true},
		{Workload: "delayed", Embedded: true, Delay: time.Millisecond},
	} {
		if _, err := Run(t.Context(), c, quietly); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: %v, want ErrConfig", c, err)
		}
	}
}

func TestAQuotaIsGivenOutOnce(t *testing.T) {
	q := newQuota(t.Context(), 25, 0)
	counts := make([]int, 4)
	err := parallel(4, func(i int) error {
		for n := q.take(10); n > 0; n = q.take(10) {
			counts[i] += n
		}
		return nil
	})
	if err != nil || counts[0]+counts[1]+counts[2]+counts[3] != 25 {
		t.Errorf("taken %v, %v; want 25", counts, err)
	}
}

func TestAPageLoadsNothing(t *testing.T) {
	r := measure(t, Config{Workload: "latency", Count: 10, Rounds: 2})
	r.About = `<script>alert(1)</script>`
	page, err := HTML([]*Report{r})
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	if n := strings.Count(text, "<svg"); n < 3 {
		t.Errorf("%d plots, want those of throughput, CPU and latency", n)
	}
	for _, no := range []string{"<script", "<link", "<img", "src=", "@import", "url("} {
		if strings.Contains(text, no) {
			t.Errorf("the page has %q", no)
		}
	}
	if !strings.Contains(text, "&lt;script&gt;") {
		t.Error("what a report says is not escaped")
	}
}
