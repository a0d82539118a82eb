package engine

import (
	"fmt"
	"strings"
	"time"
)

// Display returns the execution's status as user interfaces show it: the status of the record,
// or a text that says more:
//
//	sleeping                      the status is running, and it waits to be woken
//	scheduled in 1h               it is due in an hour
//	polling in 3s                 its next poll is due in 3 s
//	retrying in 3s (2 of 5)       the second of five retries is due in 3 s
//	retrying (2 of 5)             the second of five retries is due
//	executor lost, trying again   its executor was lost, and another attempt is due
//	executor lost                 the status is running, and its executor does not answer
//
// The caller finds out by a roll call whether the executor is lost.
func (x Execution) Display(now time.Time, lost bool) string {
	switch {
	case x.Status == Running && x.Sleeping:
		return "sleeping"
	case x.Status == Running && lost:
		return "executor lost"
	case x.Status != Ready:
		return string(x.Status)
	}
	in := ""
	if x.StartAt.After(now) {
		in = " in " + roughly(x.StartAt.Sub(now))
	}
	switch {
	case x.Failure != nil && x.Failure.Kind == KindExpired:
		return "executor lost, trying again" + in
	case x.Attempt > 0:
		return fmt.Sprintf("retrying%s (%d of %d)", in, x.Attempt, x.Policy.Retry.MaxRetries)
	case in == "":
		return string(x.Status)
	case x.Polls > 0:
		return "polling" + in
	}
	return "scheduled" + in
}

// Display returns the failure's message as user interfaces show it. After a crash the record
// says "execution expired", and Display says "executor lost".
func (f *Failure) Display() string {
	const recorded = "execution expired"
	if rest, ok := strings.CutPrefix(f.Message, recorded); ok && f.Kind == KindExpired {
		return "executor lost" + rest
	}
	return f.Message
}

// roughly returns a duration in its two largest units, such as 1d2h or 3s. It rounds up to a
// second, so that a wait is never shown as 0s.
func roughly(d time.Duration) string {
	left := (d + time.Second - 1).Truncate(time.Second)
	text, units := "", 0
	for _, u := range []struct {
		name string
		is   time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}} {
		n := left / u.is
		left -= n * u.is
		if n > 0 {
			text += fmt.Sprint(int64(n)) + u.name
		}
		if text != "" {
			units++
		}
		if units == 2 {
			break
		}
	}
	return text
}
