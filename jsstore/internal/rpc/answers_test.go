package rpc

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/nats-io/nats.go"
)

// TestAnswersToWhoHasGoneStopNobody makes answers arrive for a call whose context has ended,
// many times: the goroutine that passes them on must not wait for the caller.
func TestAnswersToWhoHasGoneStopNobody(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 50 { // a select picks one of two at random
		synctest.Test(t, func(t *testing.T) {
			a := (&requests{}).newAnswers(3)
			for n := range 3 {
				a.wait(gone, n+1)
				a.calls[n].end(result{m: &nats.Msg{}})
			}
			a.wait(t.Context(), 3)
		})
	}
}

func TestAnswersAreThoseOfTheirCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := (&requests{pending: map[uint64]*call{}}).newAnswers(3)
		lost := errors.New("lost")
		go func() {
			a.calls[2].end(result{m: &nats.Msg{Subject: "two"}})
			a.calls[0].end(result{err: lost})
		}()
		a.wait(t.Context(), 2)
		gone, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("enough"))
		for i, want := range []string{"lost", "enough", ""} {
			if m, err := a.of(gone, i); (err == nil) != (want == "") || err != nil && err.Error() != want || err == nil && m.Subject != "two" {
				t.Errorf("call %d: %v, %v, want error %q", i, m, err, want)
			}
		}
	})
}

// TestWhatCouldNotBeMadeIsNotSent is about messages whose long payload could not be stored:
// they are not tried again.
func TestWhatCouldNotBeMadeIsNotSent(t *testing.T) {
	s := &Client{requests: &requests{}}
	for n := range 3 {
		for _, err := range s.PublishEach(t.Context(), make([]*nats.Msg, n), func(int) error { return ErrNoAnswer }, nil) {
			if !errors.Is(err, ErrNoAnswer) {
				t.Errorf("of %d: %v, want errNoAnswer", n, err)
			}
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range s.PublishEach(gone, make([]*nats.Msg, 3), func(int) error { t.Error("one is made"); return nil }, nil) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("after the end: %v, want context.Canceled", err)
		}
	}
}
