package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"
)

// A figure is the result of one workload of one row.
type figure struct {
	// Missing says why there are no rounds: "" if there are.
	Missing string `json:"missing,omitempty"`
	// Count is how many tasks, parents or sequences a round has; zero for latency.
	Count  int     `json:"count,omitempty"`
	Rounds []round `json:"rounds,omitempty"`
	// Latency has the quantiles in milliseconds, over all rounds.
	Latency *quantiles `json:"latency,omitempty"`
}

// A round is one run of a workload.
type round struct {
	Seconds   float64 `json:"seconds"`
	PerSecond float64 `json:"perSecond"`
	// CPU seconds per 1,000 of the count: of the client, including its workers, and of the
	// service.
	Client  float64 `json:"clientCPU"`
	Service float64 `json:"serviceCPU"`
}

// Quantiles are in milliseconds. With fewer than 100 samples, P99 is the longest.
type quantiles struct {
	Samples int     `json:"samples"`
	P50     float64 `json:"p50"`
	P90     float64 `json:"p90"`
	P99     float64 `json:"p99"`
	Max     float64 `json:"max"`
}

func newQuantiles(took []time.Duration) *quantiles {
	slices.Sort(took)
	at := func(q float64) float64 {
		i := int(q * float64(len(took)))
		return took[min(i, len(took)-1)].Seconds() * 1000
	}
	return &quantiles{Samples: len(took), P50: at(0.5), P90: at(0.9), P99: at(0.99), Max: at(1)}
}

// median returns the median of one number of all rounds.
func (f figure) median(of func(round) float64) float64 {
	all := make([]float64, len(f.Rounds))
	for i, r := range f.Rounds {
		all[i] = of(r)
	}
	slices.Sort(all)
	n := len(all)
	if n%2 == 1 {
		return all[n/2]
	}
	return (all[n/2-1] + all[n/2]) / 2
}

// A plan says how long to measure.
type plan struct {
	Rounds int           `json:"rounds"`
	Round  time.Duration `json:"round"`   // how long a round should take
	Limit  time.Duration `json:"limit"`   // how long a round may take before it is given up
	Count  int           `json:"count"`   // if not zero, the count of every round, and there is no warm-up
	Only   []workload    `json:"columns"` // what to measure
}

// maxCount limits how many tasks a round inserts, and so the size of the stores.
const maxCount = 400_000

// meter measures one peer.
type meter struct {
	plan
	services []int     // the pids of the service, whose CPU time to count
	progress io.Writer // gets one line per round
}

func (m meter) throughput(ctx context.Context, w workload, do func(context.Context, int) error) (figure, error) {
	n, err := m.warm(ctx, do)
	if err != nil {
		return figure{}, fmt.Errorf("warm-up: %w", err)
	}
	f := figure{Count: n}
	for range m.Rounds {
		r, err := m.round(ctx, n, do)
		if err != nil {
			return figure{}, fmt.Errorf("%d at once: %w", n, err)
		}
		f.Rounds = append(f.Rounds, r)
		fmt.Fprintf(m.progress, "  %-9s %7d in %5.2f s: %8.1f/s, CPU %.3f + %.3f s per 1,000\n", w, n, r.Seconds, r.PerSecond, r.Client, r.Service)
	}
	return f, nil
}

// warm runs rounds with growing counts until one takes half of the time of a round, and then one
// more. It returns the count that fills a round at the better rate of the last two.
func (m meter) warm(ctx context.Context, do func(context.Context, int) error) (int, error) {
	if m.Count != 0 {
		return m.Count, nil
	}
	for n := 32; ; {
		r, err := m.round(ctx, n, do)
		if err != nil {
			return 0, fmt.Errorf("%d at once: %w", n, err)
		}
		share := m.Round.Seconds() / max(r.Seconds, 1e-6)
		if share <= 2 || n >= maxCount {
			again, err := m.round(ctx, n, do)
			if err != nil {
				return 0, fmt.Errorf("%d at once: %w", n, err)
			}
			best := max(r.PerSecond, again.PerSecond)
			return max(min(int(best*m.Round.Seconds()), maxCount), 16), nil
		}
		n = min(int(float64(n)*min(share, 8)), maxCount)
	}
}

func (m meter) round(ctx context.Context, n int, do func(context.Context, int) error) (round, error) {
	ctx, stop := context.WithTimeoutCause(ctx, m.Limit, fmt.Errorf("given up after %s", m.Limit))
	defer stop()
	served, err := treeCPU(m.services)
	if err != nil {
		return round{}, err
	}
	own, start := ownCPU(), time.Now()
	if err := do(ctx, n); err != nil {
		return round{}, err
	}
	took := time.Since(start)
	own = ownCPU() - own
	after, err := treeCPU(m.services)
	if err != nil {
		return round{}, err
	}
	thousands := float64(n) / 1000
	return round{
		Seconds:   took.Seconds(),
		PerSecond: float64(n) / took.Seconds(),
		Client:    own.Seconds() / thousands,
		Service:   (after - served).Seconds() / thousands,
	}, nil
}

// latency inserts one job at a time. It takes as long as the rounds of another workload, after a
// warm-up of one round.
func (m meter) latency(ctx context.Context, do func(context.Context, job) (int, error)) (figure, error) {
	if _, _, err := m.oneByOne(ctx, 1, do); err != nil {
		return figure{}, fmt.Errorf("warm-up: %w", err)
	}
	took, r, err := m.oneByOne(ctx, m.Rounds, do)
	if err != nil {
		return figure{}, err
	}
	f := figure{Latency: newQuantiles(took), Rounds: []round{r}}
	fmt.Fprintf(m.progress, "  %-9s %7d one by one: p50 %.2f ms, p99 %.2f ms\n", latency, len(took), f.Latency.P50, f.Latency.P99)
	return f, nil
}

func (m meter) oneByOne(ctx context.Context, rounds int, do func(context.Context, job) (int, error)) (took []time.Duration, r round, err error) {
	one := func(ctx context.Context, n int) error {
		for i := 0; m.Count == 0 || i < n; i++ {
			start := time.Now()
			got, err := do(ctx, newJob(i))
			if err != nil {
				return err
			}
			took = append(took, time.Since(start))
			if got != i+1 {
				return fmt.Errorf("the result of job %d is %d, not %d", i, got, i+1)
			}
			if m.Count == 0 && sum(took) >= time.Duration(rounds)*m.Round {
				break
			}
		}
		return nil
	}
	r, err = m.round(ctx, max(m.Count, 1), one)
	scale := float64(max(m.Count, 1)) / float64(max(len(took), 1))
	r.PerSecond, r.Client, r.Service = float64(len(took))/max(r.Seconds, 1e-9), r.Client*scale, r.Service*scale
	return took, r, err
}

func sum(all []time.Duration) (s time.Duration) {
	for _, d := range all {
		s += d
	}
	return s
}
