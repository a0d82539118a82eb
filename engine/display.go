package engine

import (
	"fmt"
	"strings"
	"time"
)

// Display returns what people see of the execution's status: as the record has it, or
// a word that says more:
//
//	sleeping                      it runs, and nobody holds it: it waits to be woken
//	scheduled in 1h               it is ready, and not before then
//	polling in 3s                 a poll that was not done
//	retrying in 3s (2 of 5)       the second retry of five
//	retrying (2 of 5)             the same, and it is due
//	executor lost, trying again   it is due, after its executor was lost
//	executor lost                 it runs by its record, and its executor does not answer
//
// Whether the executor is lost is the caller's to find out, by a roll call.
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

// Display returns what people see of the failure: its message, which the record of a
// crash has as "execution expired".
func (f *Failure) Display() string {
	const recorded = "execution expired"
	if rest, ok := strings.CutPrefix(f.Message, recorded); ok && f.Kind == KindExpired {
		return "executor lost" + rest
	}
	return f.Message
}

// roughly returns a duration in its two largest units, such as 1d2h or 3s, rounded up to
// a second: what is not due yet is not in 0s.
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
