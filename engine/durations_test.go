package engine

import (
	"errors"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// countedUntil is the last time that a server can express in nanoseconds since the epoch.
var countedUntil = time.Unix(0, math.MaxInt64)

// anyDuration draws durations of every size, and extreme ones often.
func anyDuration(from time.Duration) *rapid.Generator[time.Duration] {
	return rapid.Custom(func(t *rapid.T) time.Duration {
		d := rapid.OneOf(
			rapid.SampledFrom([]time.Duration{0, 1, time.Millisecond, time.Second, longestDelay, longestDelay + 1, math.MaxInt64 - 1, math.MaxInt64}),
			rapid.Map(rapid.Int64Range(0, math.MaxInt64), func(n int64) time.Duration { return time.Duration(n) }),
		).Draw(t, "duration")
		return max(d, from)
	})
}

func anyPolicy(t *rapid.T) Policy {
	return Policy{
		Timeout: anyDuration(0).Draw(t, "timeout"), Delay: anyDuration(0).Draw(t, "delay"), Retention: anyDuration(0).Draw(t, "retention"),
		Retry: Retry{
			MaxRetries: rapid.SampledFrom([]int{0, 1, math.MaxInt}).Draw(t, "retries"),
			BaseDelay:  anyDuration(0).Draw(t, "base"), MaxDelay: anyDuration(0).Draw(t, "max"),
			Multiplier: rapid.SampledFrom([]float64{0, 0.1, 1, 2, math.MaxFloat64}).Draw(t, "multiplier"),
		},
	}
}

// For any valid policy, lease, delay of an error and wait of a poll: a later time must stay later,
// and the server must be able to express it.
func TestNoSumOfDurationsWrapsAround(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPolicy(t)
		if p.Validate() != nil {
			t.Skip("not a policy")
		}
		at := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
		after := func(what string, got, from time.Time) {
			if got.Before(from) || got.After(countedUntil) {
				t.Errorf("%s: %s, want from %s to %s", what, got, from, countedUntil)
			}
		}
		ready := Execution{ID: "x", Task: "t", Policy: p, Status: Ready, CreatedAt: at, StartAt: at.Add(p.Delay), ChangedAt: at}
		after("start", ready.StartAt, at)
		running, _, err := Apply(ready, Claimed{At: at})
		if err != nil {
			t.Fatal(err)
		}
		if p.Timeout > 0 {
			after("timeout", running.ExpiresAt, at)
		}
		wait := anyDuration(0).Draw(t, "wait")
		for what, ev := range map[string]Event{
			"retry":       NewErred(running, errors.New("x"), at, 0),
			"retry after": NewErred(running, RetryAfter(errors.New("x"), wait), at, 0),
			"poll":        Poll{Every: max(wait, time.Millisecond), Deadline: anyDuration(0).Draw(t, "deadline")}.event(running, at),
		} {
			next, _, err := Apply(running, ev)
			if err != nil {
				t.Fatal(err)
			}
			if next.Status == TimedOut {
				t.Errorf("%s: timed out at its start", what)
			}
			after(what, next.StartAt, at)
		}
		done, _, err := Apply(running, Returned{At: at})
		if err != nil {
			t.Fatal(err)
		}
		limits := Limits{Lease: anyDuration(time.Second).Draw(t, "lease"), Retention: p.Retention}
		if d, ends := done.TimeToLive(limits); ends {
			after("time to live", at.Add(d), at)
		}
		if when, ends := done.RemoveAt(limits); ends {
			after("removal", when, at)
		}
		if when, ends := (Expire{Execution: &done}).LookAt(limits); ends {
			after("look", when, at)
		}
	})
}

func TestPoliciesKeepTheirDurationsOnTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPolicy(t)
		if p.Validate() != nil {
			t.Skip("not a policy")
		}
		data, err := EncodeRecord(Execution{ID: "x", Task: "t", Queue: "q", Status: Ready, Policy: p})
		if err != nil {
			t.Fatal(err)
		}
		x, err := DecodeRecord(data)
		if err != nil {
			t.Fatal(err)
		}
		const ms = time.Millisecond
		want := p
		for _, d := range []*time.Duration{&want.Timeout, &want.Delay, &want.Retry.BaseDelay, &want.Retry.MaxDelay} {
			*d = d.Truncate(ms)
		}
		if want.Retention != Forever {
			want.Retention = want.Retention.Truncate(ms)
		}
		if x.Policy != want {
			t.Errorf("got %+v, want %+v", x.Policy, want)
		}
	})
}
