package engine

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/durable-execution/durable/codec"
)

func TestAPollBeginsAnewWithItsRetriesAndCrashes(t *testing.T) {
	x := ready(Policy{Retry: Retry{MaxRetries: 1}}, claimed, crashed, claimed, erred, claimed)
	got, fx := apply(t, x, Polled{At: at(30), After: time.Minute})
	if got.Polls != 1 || got.Attempt != 0 || got.Crashes != 0 || got.Failure != nil || got.Executor != "" {
		t.Errorf("polls %d, attempt %d, crashes %d, failure %v, executor %q, want 1, 0, 0 and none",
			got.Polls, got.Attempt, got.Crashes, got.Failure, got.Executor)
	}
	if len(got.History) != len(x.History) {
		t.Errorf("history of %d attempts became one of %d, want no growth", len(x.History), len(got.History))
	}
	if e := find[Requeue](t, fx); !e.At.Equal(at(90)) || !got.StartAt.Equal(at(90)) {
		t.Errorf("starts at %s, requeued at %s, want %s", got.StartAt, e.At, at(90))
	}
}

func TestAPollIsGivenUpAtItsLimitOrDeadline(t *testing.T) {
	x := ready(Policy{Delay: 10 * time.Second, Retry: Retry{MaxRetries: 5}}, claimed)
	polled := func(n int, at time.Time) Execution { x := x; x.Polls = n; return x }
	for _, c := range []struct {
		rule string
		poll Poll
		n    int // earlier polls
		at   time.Time
		want Status
		wait time.Duration
		text string
	}{
		{"without limits it goes on", Poll{Every: time.Second}, 1e6, at(1e8), Ready, time.Second, ""},
		{"below the limit it goes on", Poll{Every: time.Second, Limit: 3}, 1, at(1), Ready, time.Second, ""},
		{"the limit counts this one", Poll{Every: time.Second, Limit: 3}, 2, at(1), Failed, 0, "not done after 3 polls"},
		{"a limit of one", Poll{Every: time.Second, Limit: 1}, 0, at(1), Failed, 0, "not done after 1 poll"},
		{"before the deadline it goes on", Poll{Every: time.Second, Deadline: time.Minute}, 5, at(60), Ready, time.Second, ""},
		{"the last one begins at the deadline, which counts from the first start", Poll{Every: time.Minute, Deadline: time.Minute}, 5, at(60), Ready, 10 * time.Second, ""},
		{"at the deadline it is given up", Poll{Every: time.Second, Deadline: time.Minute}, 5, at(70), TimedOut, 0, "not done within 1m0s, after 6 polls"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			got, _ := apply(t, polled(c.n, c.at), Return{Poll: &c.poll}.Event(polled(c.n, c.at), c.at))
			if got.Status != c.want {
				t.Fatalf("status = %s, want %s", got.Status, c.want)
			}
			if c.want == Ready && got.StartAt.Sub(c.at) != c.wait {
				t.Errorf("waits %s, want %s", got.StartAt.Sub(c.at), c.wait)
			}
			if c.text != "" && got.Failure.Message != c.text {
				t.Errorf("message = %q, want %q", got.Failure.Message, c.text)
			}
		})
	}
}

func TestAPollThatCanNotBeIsRefusedWhereItIsDefined(t *testing.T) {
	for want, p := range map[string]Poll{
		"every 0s: less than 1ms": {},
		"every -1s":               {Every: -time.Second},
		"limit -1: negative":      {Every: time.Second, Limit: -1},
		"deadline -1s: negative":  {Every: time.Second, Deadline: -time.Second},
	} {
		t.Run(want, func(t *testing.T) {
			defer func() {
				text, _ := recover().(string)
				for _, want := range []string{`define task "poll" at `, "poll_test.go:", want} {
					if !strings.Contains(text, want) {
						t.Errorf("panic = %q, want %q in it", text, want)
					}
				}
			}()
			DefinePoll[int, int]("poll", p)
		})
	}
}

func TestBoundPollSaysWhetherItIsDone(t *testing.T) {
	task := DefinePoll[int, string]("poll", Poll{Wait: func(n int) time.Duration { return time.Duration(n) * time.Second }})
	b := BindPoll(task, func(_ context.Context, n int) (string, bool, error) {
		switch n {
		case 0:
			return "", false, nil
		case 1:
			return "done", true, nil
		}
		return "", true, errors.New("broken")
	})
	run := func(n int) (Return, error) {
		p, err := codec.Encode(n)
		if err != nil {
			t.Fatal(err)
		}
		return b.Run(NewContext(t.Context(), Run{Polls: 2, Validated: true}), Input{Payload: p})
	}
	if r, err := run(0); err != nil || r.Poll == nil || r.Poll.Every != 3*time.Second || !r.Output.IsZero() {
		t.Errorf("not done: %+v, %v, want a wait of 3s and no output", r, err)
	}
	if r, err := run(1); err != nil || r.Poll != nil || r.Output.IsZero() {
		t.Errorf("done: %+v, %v, want an output", r, err)
	}
	if r, err := run(2); err == nil || r.Poll != nil {
		t.Errorf("an error: %+v, %v, want the error", r, err)
	}
}
