package engine

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// The verdicts of errors.

func TestNewErredTellsKindsByTheErrors(t *testing.T) {
	x := ready(Policy{Retry: Retry{MaxRetries: 3, BaseDelay: time.Second, Multiplier: 2}}, claimed, erred, claimed)
	other := &ExecutionError{ID: "te_other", Task: "other", Status: Cancelled, Cause: &Failure{Kind: KindCancelled, Message: "gone"}}
	for _, c := range []struct {
		err   error
		kind  FailureKind
		final bool
		delay time.Duration
	}{
		{errors.New("boom"), KindError, false, 2 * time.Second},
		{fmt.Errorf("wrapped: %w", ErrTimedOut), KindTimeout, false, 2 * time.Second},
		{ErrCancelled, KindCancelled, false, 2 * time.Second},
		{ErrInvalidInput, KindError, false, 2 * time.Second}, // of another task's Enqueue
		{ErrTooLarge, KindError, false, 2 * time.Second},
		{ErrShutdown, KindError, false, 2 * time.Second},
		{fmt.Errorf("wrapped: %w", &ChildError{Task: "other", Status: TimedOut, Message: "late"}), KindError, false, 2 * time.Second},
		{errors.Join(errors.New("boom"), ErrTimedOut), KindTimeout, false, 2 * time.Second},
		{errors.Join(other, ErrTimedOut), KindTimeout, false, 2 * time.Second},
		{refuseInput(fmt.Errorf("%w: %w", ErrInvalidInput, ErrTimedOut)), KindInvalidInput, true, 2 * time.Second}, // the validator's error
		{refuseOutput(ErrTooLarge), KindOutput, true, 2 * time.Second},
		{fmt.Errorf("wrapped: %w", refuseOutput(ErrTooLarge)), KindError, false, 2 * time.Second}, // of another attempt
		{Permanent(errors.New("boom")), KindError, true, 2 * time.Second},
		{fmt.Errorf("wrapped: %w", Permanent(ErrTimedOut)), KindTimeout, true, 2 * time.Second},
		{RetryAfter(errors.New("boom"), time.Hour), KindError, false, time.Hour},
		{RetryAfter(errors.New("boom"), -time.Hour), KindError, false, 0},
		{Permanent(RetryAfter(ErrTimedOut, time.Hour)), KindTimeout, true, time.Hour},
		{&Failure{Kind: KindExpired, Message: "oh"}, KindError, false, 2 * time.Second}, // of another attempt
		{other, KindError, false, 2 * time.Second},
		{fmt.Errorf("wrapped: %w", other), KindError, false, 2 * time.Second},
	} {
		got := NewErred(x, c.err, at(2), 0)
		if got.Failure.Kind != c.kind || got.Final != c.final || got.RetryDelay != c.delay || !got.At.Equal(at(2)) {
			t.Errorf("%v: got %+v, want %s, final %v, after %s", c.err, got, c.kind, c.final, c.delay)
		}
		if got.Failure.Message != c.err.Error() {
			t.Errorf("%v: message = %q", c.err, got.Failure.Message)
		}
	}
	if Permanent(nil) != nil || RetryAfter(nil, time.Second) != nil {
		t.Errorf("Permanent(nil) = %v, RetryAfter(nil) = %v, want nil", Permanent(nil), RetryAfter(nil, time.Second))
	}
}

func TestTextsInARecordAreBoundedAndValid(t *testing.T) {
	long := strings.Repeat("ü", maxText)
	f := Fail(ready(Policy{}, claimed), Failure{Kind: KindPanic, Message: long, Stack: long}, at(2), 0).Failure
	for what, got := range map[string]string{"message": f.Message, "stack": f.Stack} {
		if len(got) > maxText+50 || strings.ContainsRune(got, '�') || !strings.Contains(got, "bytes more") {
			t.Errorf("%s: %d bytes, %q at its end", what, len(got), got[len(got)-40:])
		}
	}
	if got, want := bounded("a\xffb"), "a?b"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestErrorsIsRecognisesFailures(t *testing.T) {
	for kind, want := range map[FailureKind]error{KindCancelled: ErrCancelled, KindTimeout: ErrTimedOut, KindInvalidInput: ErrInvalidInput} {
		err := error(&ExecutionError{ID: "te_x", Task: "task", Status: Failed, Cause: &Failure{Kind: kind, Message: "why"}})
		for _, target := range []error{ErrCancelled, ErrTimedOut, ErrInvalidInput, ErrNotFound} {
			if got := errors.Is(err, target); got != (target == want) {
				t.Errorf("a failure %s is %q: %v, want %v", kind, target, got, target == want)
			}
		}
		if got, want := err.Error(), "execution te_x of task task failed: why"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestAttemptThatGivesUpForTheShutdownIsHandedBack(t *testing.T) {
	x := ready(Policy{}, claimed)
	for _, c := range []struct {
		err      error
		stopping bool
		want     bool
	}{
		{ErrShutdown, true, true},
		{fmt.Errorf("enqueue the next: %w", ErrShutdown), true, true},
		{Permanent(ErrShutdown), true, true},
		{ErrShutdown, false, false}, // of another client
		{errors.New("boom"), true, false},
	} {
		_, got := VerdictOf(c.err).Event(x, at(2), 0, c.stopping).(HandedBack)
		if got != c.want {
			t.Errorf("%v while stopping is %v: handed back is %v, want %v", c.err, c.stopping, got, c.want)
		}
	}
}
