package engine

import (
	"fmt"
	"math"
	"time"
)

// DefaultTimeout limits an attempt of a task that sets no timeout.
const DefaultTimeout = 5 * time.Minute

// DefaultQueue is the queue of a task that names none.
const DefaultQueue = "default"

// A Policy says how an execution runs. It is fixed when the execution is enqueued or
// spawned, and stored with it.
type Policy struct {
	// Timeout limits the duration of one attempt of the code. The time in the queue and the
	// time of the children and of the finalize do not count. Zero means no limit.
	Timeout time.Duration
	// Retry says whether and when a failed attempt is retried.
	Retry Retry
	// Delay is the time to wait before the first attempt. The timeout does not include it.
	Delay time.Duration
	// OnChildFailure says what the execution does when a child does not complete.
	OnChildFailure ChildPolicy
	// Retention is how long the tree of a root is kept once the root has finished: see
	// [Retention]. Zero means the namespace's retention; [Forever] keeps it for ever.
	// Below a root it is ignored.
	Retention time.Duration
}

// ChildPolicy is what a parent does when a child does not complete.
type ChildPolicy string

const (
	// FailFast finishes the parent as children_tasks_failed when it learns of the first
	// failure, and cancels the other children. It is the default.
	FailFast ChildPolicy = "fail_fast"
	// WaitAll waits for all children. The finalize sees the outcome of each; without a
	// finalize the parent completes, even if children have failed.
	WaitAll ChildPolicy = "wait_all"
)

// Retry says how often and when a failed attempt is retried. The delay before retry k
// (k = 1, 2, ...) is min(BaseDelay * Multiplier^(k-1), MaxDelay), counted from the
// recorded failure. The zero Retry allows no retries.
type Retry struct {
	// MaxRetries is the number of attempts after the first.
	MaxRetries int
	// BaseDelay is the delay before the first retry. Zero retries at once.
	BaseDelay time.Duration
	// Multiplier is the factor from one delay to the next. Zero means 1; less than 0.1
	// is refused.
	Multiplier float64
	// MaxDelay caps the delay. Zero means no cap.
	MaxDelay time.Duration
	// Jitter is the fraction of each delay, from 0 to 1, by which the delay is randomly
	// shortened. 0 means no jitter; with 1 a delay lies anywhere between 0 and the full delay.
	Jitter float64
}

// longestDelay limits every wait. A date of this century plus one or two such delays is
// still before 2262, the last year that the server can express in nanoseconds since the epoch.
const longestDelay = 100 * 365 * 24 * time.Hour

// plus returns a + b, or the longest duration if the sum overflows. Neither may be negative.
func plus(a, b time.Duration) time.Duration {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// Delay returns the time to wait before retry k, counted from 1. The random number, from
// 0 to 1, decides the jitter.
func (r Retry) Delay(k int, random float64) time.Duration {
	if k < 1 || r.BaseDelay <= 0 {
		return 0
	}
	multiplier := r.Multiplier
	if multiplier == 0 {
		multiplier = 1
	}
	delay := float64(r.BaseDelay) * math.Pow(multiplier, float64(k-1))
	limit := float64(longestDelay)
	if r.MaxDelay > 0 {
		limit = min(limit, float64(r.MaxDelay))
	}
	// Written so that an overflow to +Inf is limited too.
	if !(delay < limit) {
		delay = limit
	}
	return time.Duration(delay * (1 - r.Jitter*random))
}

func (r Retry) validate() error {
	switch {
	case r.MaxRetries < 0:
		return fmt.Errorf("retry: %d retries: negative", r.MaxRetries)
	case r.BaseDelay < 0:
		return fmt.Errorf("retry: base delay %s: negative", r.BaseDelay)
	case r.Multiplier != 0 && !(r.Multiplier >= 0.1 && r.Multiplier < math.Inf(1)):
		return fmt.Errorf("retry: multiplier %v: less than 0.1 or not finite", r.Multiplier)
	case r.MaxDelay < 0:
		return fmt.Errorf("retry: max delay %s: negative", r.MaxDelay)
	case !(r.Jitter >= 0 && r.Jitter <= 1):
		return fmt.Errorf("retry: jitter %v: not between 0 and 1", r.Jitter)
	}
	return nil
}

// Validate returns an error that says what is wrong with p, or nil.
func (p Policy) Validate() error {
	switch {
	case p.Timeout < 0:
		return fmt.Errorf("timeout %s: negative", p.Timeout)
	case p.Timeout > 0 && p.Timeout < time.Millisecond:
		// The wire counts milliseconds: it would become 0, which means no timeout.
		return fmt.Errorf("timeout %s: less than 1ms", p.Timeout)
	case p.Delay < 0:
		return fmt.Errorf("delay %s: negative", p.Delay)
	case p.Delay > longestDelay:
		return fmt.Errorf("delay %s: longer than %s", p.Delay, longestDelay)
	case p.OnChildFailure != "" && p.OnChildFailure != FailFast && p.OnChildFailure != WaitAll:
		return fmt.Errorf("child policy %q: neither %q nor %q", p.OnChildFailure, FailFast, WaitAll)
	}
	if err := ValidateRetention(p.Retention); err != nil {
		return err
	}
	return p.Retry.validate()
}
