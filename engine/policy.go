package engine

import (
	"fmt"
	"math"
	"time"
)

// DefaultTimeout bounds an attempt of a task that names no timeout of its own.
const DefaultTimeout = 5 * time.Minute

// DefaultQueue is the queue of a task that names none.
const DefaultQueue = "default"

// A Policy says how an execution is tried. It is settled when the execution is
// enqueued or spawned and stored with it.
type Policy struct {
	// Timeout bounds one attempt of user code, not the queue, the children or
	// the finalize. Zero means none.
	Timeout time.Duration
	// Retry says whether and when a failed attempt is followed by another.
	Retry Retry
	// Delay is waited before the first attempt. It is not part of the timeout.
	Delay time.Duration
	// OnChildFailure says what a child that does not complete means.
	OnChildFailure ChildPolicy
	// Retention is how long the tree of a root is kept once the root has finished:
	// see [Retention]. Zero means the namespace's; [Forever] is for ever. In any
	// execution but a root it is ignored.
	Retention time.Duration
}

// ChildPolicy is what a parent does when a child does not complete.
type ChildPolicy string

const (
	// FailFast finishes the parent as children_tasks_failed at the first failure
	// that it learns of, and cancels the other children. It is the default.
	FailFast ChildPolicy = "fail_fast"
	// WaitAll waits for all children. The finalize sees how each ended; without a
	// finalize the parent completes with them.
	WaitAll ChildPolicy = "wait_all"
)

// Retry says how a failed attempt is tried again. The delay before retry k
// (k = 1, 2, ...) is min(BaseDelay * Multiplier^(k-1), MaxDelay), counted from the
// recorded failure. The zero Retry retries nothing.
type Retry struct {
	// MaxRetries is the number of attempts after the first.
	MaxRetries int
	// BaseDelay is the delay before the first retry. Zero retries at once.
	BaseDelay time.Duration
	// Multiplier is what the delay grows by from one retry to the next. Zero
	// means 1; less than 0.1 is refused.
	Multiplier float64
	// MaxDelay caps the delay. Zero means no cap.
	MaxDelay time.Duration
	// Jitter shortens each delay by a random part of it, up to this fraction:
	// from 0, none, to 1, anything between no delay and the full one.
	Jitter float64
}

// longestDelay bounds every wait. A date of this century plus one or two of them stays
// before 2262, the last year that a server counts in nanoseconds since the epoch.
const longestDelay = 100 * 365 * 24 * time.Hour

// plus returns a + b, neither of which is negative, or the longest duration if the sum
// does not fit.
func plus(a, b time.Duration) time.Duration {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// Delay returns how long to wait before retry k, counted from 1. The random
// number r, from 0 to 1, decides the jitter.
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
	// The comparison is written so that an overflow to +Inf ends at the limit.
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

// Validate returns what is wrong with p, or nil.
func (p Policy) Validate() error {
	switch {
	case p.Timeout < 0:
		return fmt.Errorf("timeout %s: negative", p.Timeout)
	case p.Timeout > 0 && p.Timeout < time.Millisecond:
		// On the wire it would be 0, which is none.
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
