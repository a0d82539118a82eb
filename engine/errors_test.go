package engine

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// What errors make of an attempt.

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
		{ErrInvalidInput, KindInvalidInput, false, 2 * time.Second},
		{ErrTooLarge, KindOutput, false, 2 * time.Second},
		{Permanent(errors.New("boom")), KindError, true, 2 * time.Second},
		{fmt.Errorf("wrapped: %w", Permanent(ErrTimedOut)), KindTimeout, true, 2 * time.Second},
		{RetryAfter(errors.New("boom"), time.Hour), KindError, false, time.Hour},
		{RetryAfter(errors.New("boom"), -time.Hour), KindError, false, 0},
		{Permanent(RetryAfter(ErrTimedOut, time.Hour)), KindTimeout, true, time.Hour},
		{&Failure{Kind: KindPanic, Message: "oh", Stack: "main.go:1"}, KindPanic, false, 2 * time.Second},
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
	f := NewErred(ready(Policy{}, claimed), &Failure{Kind: KindPanic, Message: long, Stack: long}, at(2), 0).Failure
	for what, got := range map[string]string{"message": f.Message, "stack": f.Stack} {
		if len(got) > maxText+50 || strings.ContainsRune(got, '�') || !strings.Contains(got, "bytes more") {
			t.Errorf("%s: %d bytes, %q at its end", what, len(got), got[len(got)-40:])
		}
	}
	if got, want := bounded("a\xffb"), "a?b"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestErrorsAreToldByWhatTheFailureWas(t *testing.T) {
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
