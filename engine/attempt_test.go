package engine

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// Claims.

func TestClaimRecordsTheExecutorAndTheTimes(t *testing.T) {
	got := ready(Policy{Timeout: time.Minute}, claimed)
	if got.Executor != "executor" || !got.StartedAt.Equal(at(1)) || !got.ExpiresAt.Equal(at(61)) {
		t.Errorf("got %q, %s, %s, want \"executor\", %s, %s", got.Executor, got.StartedAt, got.ExpiresAt, at(1), at(61))
	}
}

func TestWithoutTimeoutAnAttemptNeverExpires(t *testing.T) {
	if got := ready(Policy{}, claimed); !got.ExpiresAt.IsZero() {
		t.Errorf("expires at %s, want never", got.ExpiresAt)
	}
}

func TestTimeoutEndsWithTheAttempt(t *testing.T) {
	for name, x := range lives() {
		if x.Status != Running && !x.ExpiresAt.IsZero() {
			t.Errorf("%s: expires at %s, want never", name, x.ExpiresAt)
		}
	}
}

// Retries, crashes, hand-backs.

func TestRetryConsumesAnAttemptAndWaits(t *testing.T) {
	x := ready(Policy{Retry: Retry{MaxRetries: 2}}, claimed)
	for attempt := 1; attempt <= 2; attempt++ {
		next, fx := apply(t, x, erred)
		if next.Attempt != attempt || !next.StartAt.Equal(at(7)) || next.Executor != "" {
			t.Errorf("attempt %d at %s by %q, want %d at %s by nobody", next.Attempt, next.StartAt, next.Executor, attempt, at(7))
		}
		if e := find[Requeue](t, fx); !e.At.Equal(at(7)) {
			t.Errorf("requeued at %s, want %s", e.At, at(7))
		}
		x, _ = apply(t, next, claimed)
	}
	got, _ := apply(t, x, erred)
	if got.Status != Failed || got.Attempt != 2 {
		t.Errorf("got %s at attempt %d, want failed at 2", got.Status, got.Attempt)
	}
}

func TestDelayOfARetryIsCapped(t *testing.T) {
	x := ready(Policy{Retry: Retry{MaxRetries: 1}}, claimed)
	got, _ := apply(t, x, Erred{At: at(2), RetryDelay: 1<<63 - 1})
	if want := at(2).Add(longestDelay); !got.StartAt.Equal(want) {
		t.Errorf("starts at %s, want %s", got.StartAt, want)
	}
}

func TestFinalErrorConsumesNoAttempt(t *testing.T) {
	final := erred
	final.Final = true
	got := ready(Policy{Retry: Retry{MaxRetries: 2}}, claimed, final)
	if got.Attempt != 0 || got.Status != Failed {
		t.Errorf("got %s at attempt %d, want failed at 0", got.Status, got.Attempt)
	}
}

func TestCrashConsumesNoAttemptAndStartsAgainAtOnce(t *testing.T) {
	retried := ready(Policy{Retry: Retry{MaxRetries: 2}}, claimed, erred, claimed)
	got, fx := apply(t, retried, LeaseLost{At: at(30), CrashCap: 10})
	if got.Attempt != 1 || got.Crashes != 1 || got.Executor != "" {
		t.Errorf("attempt %d, crashes %d, executor %q, want 1, 1 and none", got.Attempt, got.Crashes, got.Executor)
	}
	if e := find[Requeue](t, fx); !e.At.Equal(at(30)) || !got.StartAt.Equal(at(30)) {
		t.Errorf("starts at %s, requeued at %s, want %s", got.StartAt, e.At, at(30))
	}
	if got.Failure == nil || got.Failure.Kind != KindExpired || got.Failure.Message != "execution expired" {
		t.Errorf("failure = %+v, want execution expired", got.Failure)
	}
}

func TestCrashesAreCappedAndTheMessageSaysSo(t *testing.T) {
	const most = 3
	x := ready(Policy{Retry: Retry{MaxRetries: 99}}, claimed)
	for crash := 1; crash <= most; crash++ {
		x, _ = apply(t, x, LeaseLost{At: at(2), CrashCap: most})
		if x.Status != Ready || x.Crashes != crash {
			t.Fatalf("after crash %d: %s, %d crashes, want ready, %d", crash, x.Status, x.Crashes, crash)
		}
		x, _ = apply(t, x, claimed)
	}
	x, _ = apply(t, x, LeaseLost{At: at(2), CrashCap: most})
	if x.Status != Failed || x.Attempt != 0 {
		t.Errorf("got %s at attempt %d, want failed at 0", x.Status, x.Attempt)
	}
	for _, want := range []string{"lost its executor 4 times", "cap of 3"} {
		if !strings.Contains(x.Failure.Message, want) {
			t.Errorf("message = %q, want %q in it", x.Failure.Message, want)
		}
	}
}

func TestHandBackConsumesNothingAndStartsAgainAtOnce(t *testing.T) {
	x := ready(Policy{Retry: Retry{MaxRetries: 2}}, claimed, erred, claimed, crashed, claimed)
	got, fx := apply(t, x, HandedBack{At: at(30)})
	if got.Attempt != x.Attempt || got.Crashes != x.Crashes || got.Executor != "" {
		t.Errorf("attempt %d, crashes %d, executor %q, want %d, %d and none", got.Attempt, got.Crashes, got.Executor, x.Attempt, x.Crashes)
	}
	if !reflect.DeepEqual(got.Failure, x.Failure) {
		t.Errorf("failure = %+v, want %+v as before", got.Failure, x.Failure)
	}
	if e := find[Requeue](t, fx); !e.At.Equal(at(30)) || !got.StartAt.Equal(at(30)) {
		t.Errorf("starts at %s, requeued at %s, want %s", got.StartAt, e.At, at(30))
	}
}

func TestHandBackOfAnUnreadableInputCountsNoAttempt(t *testing.T) {
	for _, before := range [][]Event{nil, {claimed, erred}} {
		x := ready(Policy{Retry: Retry{MaxRetries: 2}}, before...)
		y, _ := apply(t, x, Claimed{At: at(20), Executor: "executor"})
		got, fx := apply(t, y, HandedBack{At: at(30), Until: at(40)})
		want := x
		want.ChangedAt, want.StartAt = at(30), at(40)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if e := find[Requeue](t, fx); !e.At.Equal(at(40)) {
			t.Errorf("requeued at %s, want %s", e.At, at(40))
		}
	}
}

func TestErrorIsKeptUntilAnAttemptSucceeds(t *testing.T) {
	x := ready(Policy{Retry: Retry{MaxRetries: 1}}, claimed, erred)
	want := erred.Failure
	if x.Failure == nil || *x.Failure != want {
		t.Errorf("ready again: failure = %+v, want %+v", x.Failure, want)
	}
	x, _ = apply(t, x, claimed)
	if x.Failure == nil || *x.Failure != want {
		t.Errorf("running again: failure = %+v, want %+v", x.Failure, want)
	}
	for _, ev := range []Event{returned, toFinalize, spawned(1, nil)} {
		if got, _ := apply(t, x, ev); got.Failure != nil {
			t.Errorf("%s: failure = %+v, want none", got.Status, got.Failure)
		}
	}
	if got, _ := apply(t, x, timedOut); got.Failure == nil || *got.Failure != timedOut.Failure {
		t.Errorf("%s: failure = %+v, want %+v", got.Status, got.Failure, timedOut.Failure)
	}
}

// History.

func TestEveryAttemptIsInTheHistory(t *testing.T) {
	x := ready(Policy{Retry: Retry{MaxRetries: 1}},
		Claimed{At: at(1), Executor: "a"}, erred,
		Claimed{At: at(11), Executor: "b"}, LeaseLost{at(12), 10},
		Claimed{At: at(21), Executor: "c"}, HandedBack{At: at(22)},
		Claimed{At: at(31), Executor: "d"}, Returned{At: at(32)})
	want := []Attempt{
		{0, "a", at(1), at(2), &Failure{Kind: KindError, Message: "boom"}},
		{1, "b", at(11), at(12), &Failure{Kind: KindExpired, Message: "execution expired"}},
		{1, "c", at(21), at(22), &Failure{Kind: KindShutdown, Message: "executor shut down before the attempt ended"}},
		{1, "d", at(31), at(32), nil},
	}
	if !reflect.DeepEqual(x.History, want) {
		t.Errorf("got %+v, want %+v", x.History, want)
	}
}

func TestHistoryKeepsNoStacksAndNoLongMessages(t *testing.T) {
	f := Failure{Kind: KindPanic, Message: strings.Repeat("x", maxText), Stack: strings.Repeat("y", maxText)}
	x := ready(Policy{Retry: Retry{MaxRetries: 1}}, claimed, Erred{At: at(2), Failure: f})
	kept := x.History[0].Failure
	if kept.Kind != KindPanic || kept.Stack != "" || len(kept.Message) > maxMessage+50 {
		t.Errorf("kept %s, %d bytes of message, %d of stack, want panic, about %d, 0", kept.Kind, len(kept.Message), len(kept.Stack), maxMessage)
	}
	if *x.Failure != f {
		t.Errorf("the latest failure = %+v, want it whole", x.Failure)
	}
}

func TestCancelEndsTheAttemptInTheHistory(t *testing.T) {
	x := ready(Policy{}, claimed, cancelled)
	want := []Attempt{{0, "executor", at(1), at(9), &Failure{Kind: KindCancelled, Message: "because"}}}
	if !reflect.DeepEqual(x.History, want) {
		t.Errorf("got %+v, want %+v", x.History, want)
	}
	for name, x := range map[string]Execution{
		"ready":                ready(Policy{}, cancelled),
		"waiting for finalize": ready(Policy{}, claimed, toFinalize, CancelRequested{At: at(9)}),
	} {
		for _, a := range x.History {
			if a.Failure != nil {
				t.Errorf("%s: history %+v has an attempt that the cancel ended", name, x.History)
			}
		}
	}
}

func TestHistoryKeepsTheLatestAttempts(t *testing.T) {
	const attempts = 3*maxHistory + 1
	x := ready(Policy{Retry: Retry{MaxRetries: attempts}})
	for i := range attempts {
		x, _ = apply(t, x, Claimed{At: at(2 * i), Executor: fmt.Sprint(i)})
		x, _ = apply(t, x, Erred{At: at(2*i + 1), Failure: Failure{Message: fmt.Sprint(i)}})
		if want := min(i+1, maxHistory); len(x.History) != want {
			t.Fatalf("after %d attempts: %d kept, want %d", i+1, len(x.History), want)
		}
	}
	for i, a := range x.History {
		n := attempts - maxHistory + i
		want := Attempt{n, fmt.Sprint(n), at(2 * n), at(2*n + 1), &Failure{Message: fmt.Sprint(n)}}
		if !reflect.DeepEqual(a, want) {
			t.Errorf("entry %d: got %+v, want %+v", i, a, want)
		}
	}
}
