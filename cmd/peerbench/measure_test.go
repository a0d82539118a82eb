package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func contains(err error, text string) bool { return err != nil && strings.Contains(err.Error(), text) }

func TestRoundEndsWhenTheLastOutcomeIsRecorded(t *testing.T) {
	var calls, outcomes atomic.Int64
	asked := 0
	count := func(context.Context) (int, error) {
		if asked++; asked > 2 { // recorded asks once before the insert
			outcomes.Store(10)
		}
		return int(outcomes.Load()), nil
	}
	err := recorded(t.Context(), 10, &calls, 2, count, func() error { calls.Add(20); return nil })
	if err != nil || outcomes.Load() != 10 {
		t.Errorf("recorded = %v after %d outcomes, want nil after 10", err, outcomes.Load())
	}
}

func TestOneOutcomeTooManyIsAFault(t *testing.T) {
	var calls atomic.Int64
	outcomes := 3
	count := func(context.Context) (int, error) { return outcomes, nil }
	err := recorded(t.Context(), 10, &calls, 1, count, func() error {
		calls.Add(10)
		outcomes += 11
		return nil
	})
	if !contains(err, "11 outcomes were recorded, want 10") {
		t.Errorf("recorded = %v", err)
	}
}

func TestLostOutcomeIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		count := func(context.Context) (int, error) { return 0, nil }
		m := meter{plan: plan{Rounds: 1, Count: 10, Limit: time.Minute}, progress: io.Discard}
		_, err := m.throughput(t.Context(), single, func(ctx context.Context, n int) error {
			return recorded(ctx, n, &calls, 1, count, func() error { calls.Add(int64(n)); return nil })
		})
		if !contains(err, "given up after 1m0s") || !contains(err, "0 of 10 outcomes were recorded") {
			t.Errorf("throughput = %v", err)
		}
	})
}

func TestWarmUpFindsACountThatTakesARound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := meter{plan: plan{Rounds: 2, Round: 100 * time.Millisecond, Limit: time.Minute}, progress: io.Discard}
		f, err := m.throughput(t.Context(), single, func(_ context.Context, n int) error {
			time.Sleep(time.Duration(n) * 50 * time.Microsecond)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if f.Count != 2000 || len(f.Rounds) != 2 || f.Rounds[0].PerSecond != 20_000 {
			t.Errorf("figure = %+v, want 2000 at once in 2 rounds, 20000/s", f)
		}
	})
}

func TestLatencyChecksResults(t *testing.T) {
	m := meter{plan: plan{Rounds: 1, Count: 5, Limit: time.Minute}, progress: io.Discard}
	f, err := m.latency(t.Context(), func(_ context.Context, j job) (int, error) { return j.run() })
	if err != nil || f.Latency.Samples != 5 {
		t.Errorf("latency = %+v, %v", f.Latency, err)
	}
	_, err = m.latency(t.Context(), func(_ context.Context, j job) (int, error) { return 7, nil })
	if !contains(err, "the result of job 0 is 7, not 1") {
		t.Errorf("latency = %v", err)
	}
}

func TestEachStopsAtTheFirstError(t *testing.T) {
	broken := errors.New("broken")
	var calls atomic.Int64
	err := each(t.Context(), 1_000_000, 4, func(_ context.Context, i int) error {
		calls.Add(1)
		if i == 10 {
			return broken
		}
		return nil
	})
	if !errors.Is(err, broken) || calls.Load() > 500_000 {
		t.Errorf("each = %v after %d calls", err, calls.Load())
	}
	calls.Store(0)
	if err := each(t.Context(), 100, 64, func(context.Context, int) error { calls.Add(1); return nil }); err != nil || calls.Load() != 100 {
		t.Errorf("each = %v after %d calls, want 100", err, calls.Load())
	}
}

func TestQuantiles(t *testing.T) {
	var took []time.Duration
	for i := 200; i > 0; i-- {
		took = append(took, time.Duration(i)*time.Millisecond)
	}
	if got, want := *newQuantiles(took), (quantiles{200, 101, 181, 199, 200}); got != want {
		t.Errorf("quantiles = %+v, want %+v", got, want)
	}
}

func TestStatOfAProcessWhoseNameHasParentheses(t *testing.T) {
	pid, s, err := parseStat("42 (a) b (c) S 7 42 42 0 -1 4194560 1 2 3 4 100 20 3 1 20 0 1 0 5 6 7")
	if err != nil || pid != 42 || s.parent != 7 || s.cpu != 124*tick {
		t.Errorf("stat = %d, %+v, %v; want 42, parent 7, %s", pid, s, err, 124*tick)
	}
	for _, bad := range []string{"", "42 a S 7", "x (a) S 7 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "42 (a) S 7"} {
		if _, _, err := parseStat(bad); err == nil {
			t.Errorf("stat of %q is no error", bad)
		}
	}
}

func TestCPUTimeOfATreeHasWhatEndedInIt(t *testing.T) {
	const spin = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"
	pid, stop, err := start(serviceDir(t)+"/log", nil, 15, "/bin/sh", "-c", "("+spin+"); sleep 60 & wait")
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err = until(ctx, 10*time.Millisecond, func() (bool, error) {
		cpu, err := treeCPU([]int{pid})
		return cpu >= 50*time.Millisecond, err
	})
	if err != nil {
		t.Error(err)
	}
	if cpu, err := treeCPU(nil); cpu != 0 || err != nil {
		t.Errorf("no process has used %s, %v", cpu, err)
	}
}
