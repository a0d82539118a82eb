package engine

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestDelayBeforeEachRetry(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		rule  string
		retry Retry
		want  []time.Duration // before retry 1, 2, ...
	}{
		{"the zero Retry waits for nothing", Retry{}, []time.Duration{0, 0, 0}},
		{"without a base every retry is at once", Retry{Multiplier: 2, MaxDelay: time.Hour}, []time.Duration{0, 0, 0}},
		{"without a multiplier every delay is the base", Retry{BaseDelay: 100 * ms}, []time.Duration{100 * ms, 100 * ms, 100 * ms}},
		{"a multiplier of 1 is the same", Retry{BaseDelay: 100 * ms, Multiplier: 1}, []time.Duration{100 * ms, 100 * ms, 100 * ms}},
		{"the first retry waits for the base, the next ones longer", Retry{BaseDelay: time.Second, Multiplier: 2}, []time.Duration{1e9, 2e9, 4e9, 8e9, 16e9}},
		// The example of the reference document.
		{"the maximum caps", Retry{BaseDelay: 100 * ms, Multiplier: 1.5, MaxDelay: 1000 * ms},
			[]time.Duration{100 * ms, 150 * ms, 225 * ms, 337500 * time.Microsecond, 506250 * time.Microsecond, 759375 * time.Microsecond, 1000 * ms, 1000 * ms}},
		{"the maximum caps the first one too", Retry{BaseDelay: time.Minute, MaxDelay: time.Second}, []time.Duration{1e9, 1e9}},
		{"a multiplier below 1 shortens", Retry{BaseDelay: time.Second, Multiplier: 0.5}, []time.Duration{1e9, 5e8, 25e7}},
		{"jitter that is not drawn changes nothing", Retry{BaseDelay: time.Second, Jitter: 1}, []time.Duration{1e9, 1e9}},
	} {
		t.Run(c.rule, func(t *testing.T) {
			for i, want := range c.want {
				if got := c.retry.Delay(i+1, 0); got != want {
					t.Errorf("before retry %d: %s, want %s", i+1, got, want)
				}
			}
		})
	}
}

func TestNoDelayBeforeTheFirstAttempt(t *testing.T) {
	for _, k := range []int{0, -1, math.MinInt} {
		if got := (Retry{BaseDelay: time.Second}).Delay(k, 0); got != 0 {
			t.Errorf("before retry %d: %s, want 0", k, got)
		}
	}
}

func TestDelayThatOverflowsIsTheCap(t *testing.T) {
	for _, c := range []struct {
		retry Retry
		want  time.Duration
	}{
		{Retry{BaseDelay: time.Second, Multiplier: 2}, longestDelay},
		{Retry{BaseDelay: time.Second, Multiplier: 2, MaxDelay: time.Hour}, time.Hour},
		{Retry{BaseDelay: time.Second, Multiplier: math.MaxFloat64}, longestDelay},
		{Retry{BaseDelay: math.MaxInt64}, longestDelay},
		{Retry{BaseDelay: math.MaxInt64, MaxDelay: math.MaxInt64}, longestDelay},
	} {
		for _, k := range []int{100, 10_000, math.MaxInt} {
			if got := c.retry.Delay(k, 0); got != c.want {
				t.Errorf("%+v before retry %d: %s, want %s", c.retry, k, got, c.want)
			}
		}
	}
}

func TestDelayThatShrinksEndsAtNone(t *testing.T) {
	r := Retry{BaseDelay: time.Hour, Multiplier: 0.1}
	if got := r.Delay(math.MaxInt, 0); got != 0 {
		t.Errorf("got %s, want 0", got)
	}
}

func TestJitterShortensByAtMostItsFraction(t *testing.T) {
	for _, jitter := range []float64{0, 0.25, 0.5, 1} {
		r := Retry{BaseDelay: time.Second, Multiplier: 2, MaxDelay: 3 * time.Second, Jitter: jitter}
		for k := 1; k < 5; k++ {
			full := Retry{BaseDelay: time.Second, Multiplier: 2, MaxDelay: 3 * time.Second}.Delay(k, 0)
			least := time.Duration(float64(full) * (1 - jitter))
			last := full
			for random := 0.0; random <= 1; random += 1. / 64 {
				got := r.Delay(k, random)
				if got < least || got > full || got > last {
					t.Errorf("jitter %v, random %v, retry %d: %s, want from %s to %s, falling", jitter, random, k, got, least, full)
				}
				last = got
			}
			if got := r.Delay(k, 1); got != least {
				t.Errorf("jitter %v, random 1, retry %d: %s, want %s", jitter, k, got, least)
			}
		}
	}
}

func TestInvalidOptionsAreRefusedByName(t *testing.T) {
	for _, c := range []struct {
		policy Policy
		want   []string
	}{
		{Policy{Timeout: -1}, []string{"timeout -1ns", "negative"}},
		{Policy{Timeout: time.Microsecond}, []string{"timeout 1µs", "less than 1ms"}},
		{Policy{Delay: -time.Second}, []string{"delay -1s", "negative"}},
		{Policy{Delay: longestDelay + 1}, []string{"delay 876000h0m0.000000001s", "longer than 876000h0m0s"}},
		{Policy{OnChildFailure: "ignore"}, []string{`child policy "ignore"`, `"fail_fast"`, `"wait_all"`}},
		{Policy{Retry: Retry{MaxRetries: -1}}, []string{"retry", "-1 retries", "negative"}},
		{Policy{Retry: Retry{BaseDelay: -time.Second}}, []string{"retry", "base delay -1s", "negative"}},
		{Policy{Retry: Retry{Multiplier: 0.09}}, []string{"retry", "multiplier 0.09", "less than 0.1"}},
		{Policy{Retry: Retry{Multiplier: -2}}, []string{"retry", "multiplier -2", "less than 0.1"}},
		{Policy{Retry: Retry{Multiplier: math.NaN()}}, []string{"retry", "multiplier NaN", "not finite"}},
		{Policy{Retry: Retry{Multiplier: math.Inf(1)}}, []string{"retry", "multiplier +Inf", "not finite"}},
		{Policy{Retry: Retry{MaxDelay: -1}}, []string{"retry", "max delay -1ns", "negative"}},
		{Policy{Retry: Retry{Jitter: -0.1}}, []string{"retry", "jitter -0.1", "not between 0 and 1"}},
		{Policy{Retry: Retry{Jitter: 1.1}}, []string{"retry", "jitter 1.1", "not between 0 and 1"}},
		{Policy{Retry: Retry{Jitter: math.NaN()}}, []string{"retry", "jitter NaN", "not between 0 and 1"}},
	} {
		err := c.policy.Validate()
		if err == nil {
			t.Errorf("%+v: no error", c.policy)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: error %q, want %q in it", c.policy, err, want)
			}
		}
	}
}

func TestValidOptionsAreTaken(t *testing.T) {
	for _, p := range []Policy{
		{},
		{Timeout: time.Millisecond},
		{Timeout: math.MaxInt64, Delay: longestDelay, OnChildFailure: FailFast},
		{OnChildFailure: WaitAll, Retry: Retry{MaxRetries: math.MaxInt, BaseDelay: math.MaxInt64, Multiplier: 0.1, MaxDelay: math.MaxInt64, Jitter: 1}},
		{Retry: Retry{Multiplier: math.MaxFloat64}},
	} {
		if err := p.Validate(); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
	}
}
