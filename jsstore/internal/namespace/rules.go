package namespace

import (
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/jsstore/internal/layout"
)

// A departure is a setting of a stream that the engine can't work with.
type departure struct {
	What       string // in words
	Have, Want any
	// Edit has the flags of `nats stream edit` that correct the setting; empty if the server
	// refuses the change.
	Edit string
}

// Departures compares a stream with the layout. It ignores what an operator may choose:
// replicas, storage, limits.
func Departures(have, want jetstream.StreamConfig) []departure {
	var list []departure
	for _, rule := range []struct {
		ok bool
		departure
	}{
		{have.Retention == want.Retention, departure{"retention", have.Retention, want.Retention, ""}},
		// A bucket of an earlier version works until it is raised: see raise.
		{have.MaxMsgsPerSubject == want.MaxMsgsPerSubject || want.MaxMsgsPerSubject == layout.Revisions, departure{"max messages per subject", have.MaxMsgsPerSubject, want.MaxMsgsPerSubject,
			fmt.Sprint("--max-msgs-per-subject=", want.MaxMsgsPerSubject)}},
		{have.Discard == want.Discard || want.Discard == jetstream.DiscardOld, departure{"discard policy", have.Discard, want.Discard, "--discard=new"}},
		{have.DiscardNewPerSubject == want.DiscardNewPerSubject, departure{"discard new per subject", have.DiscardNewPerSubject, want.DiscardNewPerSubject,
			toggle("discard-per-subject", want.DiscardNewPerSubject)}},
		{have.AllowMsgSchedules == want.AllowMsgSchedules, departure{"message schedules", have.AllowMsgSchedules, want.AllowMsgSchedules,
			onlyOn("--allow-schedules", want.AllowMsgSchedules)}},
		{have.AllowMsgTTL || !want.AllowMsgTTL, departure{"message TTL", have.AllowMsgTTL, want.AllowMsgTTL, "--allow-msg-ttl"}},
		{have.AllowRollup == want.AllowRollup, departure{"rollup", have.AllowRollup, want.AllowRollup, toggle("allow-rollup", want.AllowRollup)}},
		{have.MaxAge == want.MaxAge, departure{"max age", have.MaxAge, want.MaxAge, "--max-age=" + age(want.MaxAge)}},
		{have.PersistMode == want.PersistMode, departure{"persist mode", have.PersistMode, want.PersistMode, ""}},
		{strings.Join(have.Subjects, " ") == strings.Join(want.Subjects, " "), departure{"subjects", have.Subjects, want.Subjects,
			"--subjects='" + strings.Join(want.Subjects, "' --subjects='") + "'"}},
	} {
		if !rule.ok {
			list = append(list, rule.departure)
		}
	}
	return list
}

func toggle(flag string, on bool) string {
	if on {
		return "--" + flag
	}
	return "--no-" + flag
}

// onlyOn is for settings that the server does not let anyone switch off.
func onlyOn(flag string, on bool) string {
	if on {
		return flag
	}
	return ""
}

// age formats a duration for the nats command, for which 0 means none.
func age(d time.Duration) string {
	if d == 0 {
		return "0"
	}
	return d.String()
}
