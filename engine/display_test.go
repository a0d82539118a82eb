package engine

import (
	"testing"
	"time"
)

func TestDisplaySaysWhyAnExecutionWaits(t *testing.T) {
	now := time.Date(2026, 11, 30, 19, 30, 0, 0, time.UTC)
	in := func(d time.Duration) time.Time { return now.Add(d) }
	retries := Policy{Retry: Retry{MaxRetries: 5}}
	boom, expired := &Failure{Kind: KindError, Message: "boom"}, &Failure{Kind: KindExpired, Message: "execution expired"}
	for want, x := range map[string]Execution{
		"ready":                             {Status: Ready, StartAt: now},
		"scheduled in 1h":                   {Status: Ready, StartAt: in(time.Hour)},
		"scheduled in 1d2h":                 {Status: Ready, StartAt: in(26*time.Hour + 59*time.Minute)},
		"scheduled in 1s":                   {Status: Ready, StartAt: in(time.Millisecond)},
		"scheduled in 1m":                   {Status: Ready, StartAt: in(time.Minute - time.Millisecond)},
		"scheduled in 400d":                 {Status: Ready, StartAt: in(400*24*time.Hour + time.Minute)},
		"scheduled in 1m30s":                {Status: Ready, StartAt: in(90 * time.Second)},
		"retrying in 3s (2 of 5)":           {Status: Ready, StartAt: in(3 * time.Second), Attempt: 2, Policy: retries, Failure: boom},
		"retrying (2 of 5)":                 {Status: Ready, StartAt: now, Attempt: 2, Policy: retries, Failure: boom},
		"polling in 3s":                     {Status: Ready, StartAt: in(3 * time.Second), Polls: 7},
		"retrying in 2s (1 of 5)":           {Status: Ready, StartAt: in(2 * time.Second), Attempt: 1, Polls: 7, Policy: retries, Failure: boom},
		"executor lost, trying again":       {Status: Ready, StartAt: now, Failure: expired},
		"executor lost, trying again in 2s": {Status: Ready, StartAt: in(2 * time.Second), Failure: expired, Attempt: 1},
		"running":                           {Status: Running, StartAt: in(time.Hour), Attempt: 1, Failure: boom},
		"sleeping":                          {Status: Running, Sleeping: true},
		"waiting_for_children_tasks":        {Status: WaitingForChildren},
		"waiting_for_finalize_task":         {Status: WaitingForFinalize},
		"completed":                         {Status: Completed},
		"failed":                            {Status: Failed, Failure: expired},
		"cancelled":                         {Status: Cancelled, StartAt: in(time.Hour), Sleeping: true},
	} {
		if got := x.Display(now, false); got != want {
			t.Errorf("%+v is displayed as %q, want %q", x, got, want)
		}
		lost := want
		if want == "running" {
			lost = "executor lost"
		}
		if got := x.Display(now, true); got != lost {
			t.Errorf("%s without its executor is displayed as %q, want %q", want, got, lost)
		}
	}
}

func TestPeopleSeeAnExecutorLostWhereTheRecordHasItExpired(t *testing.T) {
	for want, f := range map[string]*Failure{
		"executor lost": {Kind: KindExpired, Message: "execution expired"},
		"executor lost: lost its executor 11 times in all": {Kind: KindExpired, Message: "execution expired: lost its executor 11 times in all"},
		"execution expired": {Kind: KindError, Message: "execution expired"}, // the code itself wrote this message
		"boom":              {Kind: KindError, Message: "boom"},
	} {
		if got := f.Display(); got != want {
			t.Errorf("%q is displayed as %q, want %q", f.Message, got, want)
		}
	}
}
