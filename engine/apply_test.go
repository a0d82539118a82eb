package engine

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestLifecycle is the table of statuses in SEMANTICS.md, one rule a row.
func TestLifecycle(t *testing.T) {
	retries := Policy{Timeout: time.Minute, Retry: Retry{MaxRetries: 1}}
	final := erred
	final.Final = true
	for _, c := range []struct {
		rule    string
		from    Execution
		event   Event
		to      Status
		effects string
	}{
		{"a ready one that is claimed runs", ready(Policy{}), claimed, Running, ""},
		{"without children and finalize, a return completes", ready(Policy{}, claimed), returned, Completed, "TellParent Announce"},
		{"without children, a return goes on to the finalize", ready(Policy{}, claimed), toFinalize, WaitingForFinalize, "SpawnFinalize"},
		{"a return of children waits for them", ready(Policy{}, claimed), spawned(2, nil), WaitingForChildren, "SpawnChildren"},
		{"a return of children waits for them before the finalize", ready(Policy{}, claimed), spawned(2, &finalize), WaitingForChildren, "SpawnChildren"},
		{"an error is retried while retries are left", ready(retries, claimed), erred, Ready, "Requeue"},
		{"a timeout is retried while retries are left", ready(retries, claimed), timedOut, Ready, "Requeue"},
		{"an error without a retry left fails", ready(retries, claimed, erred, claimed), erred, Failed, "TellParent Announce"},
		{"a timeout without a retry left times out", ready(retries, claimed, erred, claimed), timedOut, TimedOut, "TellParent Announce"},
		{"an error that no retry helps fails at once", ready(retries, claimed), final, Failed, "TellParent Announce"},
		{"cancelled is never retried", ready(retries, claimed), saidCancel, Cancelled, "TellParent Announce"},
		{"a crash makes it ready again", ready(Policy{}, claimed), crashed, Ready, "Requeue"},
		{"a crash past the cap fails", ready(retries, claimed), crashedLast, Failed, "TellParent Announce"},
		{"a poll that is not done makes it ready again", ready(Policy{}, claimed), polled, Ready, "Requeue"},
		{"a hand-back makes it ready again", ready(Policy{}, claimed), handedBack, Ready, "Requeue"},
		{"some children that completed change nothing yet", ready(Policy{}, claimed, spawned(2, nil)), ending(end(1, Completed)), WaitingForChildren, ""},
		{"the last child that completed completes", ready(Policy{}, claimed, spawned(2, nil), ending(end(1, Completed))), ending(end(0, Completed)), Completed, "TellParent Announce"},
		{"the last child that completed leads to the finalize", ready(Policy{}, claimed, spawned(2, &finalize), ending(end(1, Completed))), ending(end(0, Completed)), WaitingForFinalize, "SpawnFinalize"},
		{"a child that failed fails a fail-fast parent", ready(Policy{}, claimed, spawned(2, nil)), ending(end(1, Failed)), ChildrenFailed, "TellParent CancelBelow Announce"},
		{"a child that timed out fails a fail-fast parent", ready(Policy{OnChildFailure: FailFast}, claimed, spawned(2, nil)), ending(end(1, TimedOut)), ChildrenFailed, "TellParent CancelBelow Announce"},
		{"a child that was cancelled counts as failed", ready(Policy{}, claimed, spawned(2, nil)), ending(end(1, Cancelled)), ChildrenFailed, "TellParent CancelBelow Announce"},
		{"a child whose children failed fails a fail-fast parent", ready(Policy{}, claimed, spawned(2, nil)), ending(end(1, ChildrenFailed)), ChildrenFailed, "TellParent CancelBelow Announce"},
		{"a child whose finalize failed fails a fail-fast parent", ready(Policy{}, claimed, spawned(2, nil)), ending(end(1, FinalizeFailed)), ChildrenFailed, "TellParent CancelBelow Announce"},
		{"the last child that failed leaves nothing to cancel", ready(Policy{}, claimed, spawned(2, nil), ending(end(0, Completed))), ending(end(1, Failed)), ChildrenFailed, "TellParent Announce"},
		{"a finalize that completed completes", ready(Policy{}, claimed, toFinalize), finalized, Completed, "TellParent Announce"},
		{"a finalize that did not fails", ready(Policy{}, claimed, toFinalize), finalizeFell, FinalizeFailed, "TellParent Announce"},
		{"a ready one is cancelled", ready(Policy{}), cancelled, Cancelled, "Withdraw TellParent Announce"},
		{"a running one is cancelled", ready(Policy{}, claimed), cancelled, Cancelled, "TellParent Announce"},
		{"one that waits for children is cancelled", ready(Policy{}, claimed, spawned(2, &finalize)), cancelled, Cancelled, "TellParent CancelBelow Announce"},
		{"one that waits for its finalize is cancelled", ready(Policy{}, claimed, toFinalize), cancelled, Cancelled, "TellParent CancelBelow Announce"},
		{"one that was cancelled remembers an attempt that had begun", ready(Policy{}, cancelled), ranOn, Cancelled, ""},
		{"one that sleeps is put down", asleep(Policy{}), claimed, Running, ""},
		{"one that sleeps for a time comes again then", asleep(Policy{Timeout: time.Minute}), claimed, Running, "Requeue"},
		{"what wakes one completes it", asleep(Policy{}, claimed), woken, Completed, "Withdraw TellParent Announce"},
		{"what wakes one with an error fails it, whatever retries are left", asleep(retries, claimed), rejected, Failed, "Withdraw TellParent Announce"},
		{"one is woken before it sleeps", asleep(Policy{}), woken, Completed, "Withdraw TellParent Announce"},
		{"one that sleeps is cancelled", asleep(Policy{}, claimed), cancelled, Cancelled, "Withdraw TellParent Announce"},
		{"one that sleeps too long times out", asleep(Policy{Timeout: time.Minute}, claimed), timedOut, TimedOut, "TellParent Announce"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			got, fx := apply(t, c.from, c.event)
			if got.Status != c.to {
				t.Errorf("status = %s, want %s", got.Status, c.to)
			}
			if kinds(fx) != c.effects {
				t.Errorf("effects = %q, want %q", kinds(fx), c.effects)
			}
			when := reflect.ValueOf(c.event).FieldByName("At").Interface().(time.Time)
			if c.from.Status != c.to && !got.ChangedAt.Equal(when) {
				t.Errorf("changed at %s, want %s", got.ChangedAt, when)
			}
			if c.from.Status == c.to && !got.ChangedAt.Equal(c.from.ChangedAt) {
				t.Errorf("changed at %s, want %s as before", got.ChangedAt, c.from.ChangedAt)
			}
			want := time.Time{}
			if c.to.Finished() {
				want = when
			}
			if c.from.Status.Finished() {
				want = c.from.FinishedAt
			}
			if !got.FinishedAt.Equal(want) {
				t.Errorf("finished at %s, want %s", got.FinishedAt, want)
			}
		})
	}
}

func TestEveryPairThatTheTableLacksIsRefused(t *testing.T) {
	can := map[Status]string{
		Ready:              "Claimed CancelRequested",
		Running:            "Returned Erred Polled LeaseLost HandedBack CancelRequested",
		WaitingForChildren: "ChildrenEnded CancelRequested",
		WaitingForFinalize: "FinalizeEnded CancelRequested",
		Cancelled:          "AttemptEnded",
	}
	asleep := map[Status]string{
		Ready:   "Claimed Woken CancelRequested",
		Running: "Erred Woken CancelRequested",
	}
	for name, x := range lives() {
		for _, ev := range events() {
			list := can[x.Status]
			if x.Sleeping {
				list = asleep[x.Status] // no code of it runs, so fewer events can happen
			}
			allowed := slices.Contains(strings.Fields(list), eventName(ev))
			if e, ok := ev.(ChildrenEnded); ok && allowed {
				allowed = slices.ContainsFunc(e.Children, x.awaits)
			}
			next, fx, err := Apply(x, ev)
			if allowed {
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				continue
			}
			var refused *TransitionError
			if !errors.As(err, &refused) {
				t.Errorf("%s: %s gave %v, want a TransitionError", name, eventName(ev), err)
				continue
			}
			if want := (TransitionError{ID: x.ID, From: x.Status, Event: eventName(ev)}); *refused != want {
				t.Errorf("%s: error %+v, want %+v", name, *refused, want)
			}
			if fx != nil || !reflect.DeepEqual(next, x) {
				t.Errorf("%s: a refused %s gave %s and changed %+v into %+v", name, eventName(ev), kinds(fx), x, next)
			}
		}
	}
}

func TestFinishedIsFinalForEveryEvent(t *testing.T) {
	for name, x := range lives() {
		if !x.Status.Finished() {
			continue
		}
		for _, ev := range events() {
			next, fx, err := Apply(x, ev)
			if added, ok := ev.(AttemptEnded); ok && err == nil {
				addsAnAttempt(t, name, x, next, added)
				continue
			}
			var refused *TransitionError
			if !errors.As(err, &refused) || fx != nil || !reflect.DeepEqual(next, x) {
				t.Errorf("%s: %s gave %+v, %s, %v, want nothing", name, eventName(ev), next, kinds(fx), err)
			}
		}
	}
}

// addsAnAttempt fails the test unless next is x with one more attempt in its history.
func addsAnAttempt(t *testing.T, name string, x, next Execution, ev AttemptEnded) {
	t.Helper()
	if n := len(x.History); x.Status != Cancelled || len(next.History) != n+1 || !reflect.DeepEqual(orNil(next.History[:n:n]), orNil(x.History)) {
		t.Errorf("%s: %s, history %+v became %+v", name, x.Status, x.History, next.History)
		return
	}
	got := next.History[len(x.History)]
	want := Attempt{
		Number: x.Attempt, Executor: ev.Executor, StartedAt: ev.StartedAt, EndedAt: ev.At,
		Failure: &Failure{Kind: x.Failure.Kind, Message: x.Failure.Message},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: remembers %+v, want %+v", name, got, want)
	}
	if next.History = x.History; !reflect.DeepEqual(next, x) {
		t.Errorf("%s: %+v became %+v, want only its history changed", name, x, next)
	}
}

func TestAnAttemptOfACancelledExecutionIsRememberedOnce(t *testing.T) {
	for name, x := range map[string]Execution{
		"told twice":       then(t, ready(Policy{}, cancelled), ranOn),
		"while it ran":     ready(Policy{}, claimed, cancelled),
		"by a clock ahead": then(t, ready(Policy{}, cancelled), AttemptEnded{At: at(99), Executor: "executor", StartedAt: at(50)}),
	} {
		ev := ranOn
		switch name {
		case "while it ran":
			ev.Executor, ev.StartedAt = x.History[0].Executor, x.History[0].StartedAt
		case "by a clock ahead":
			ev.Executor, ev.StartedAt = "executor", at(50)
			if a := x.History[0]; !a.StartedAt.Equal(x.FinishedAt) || !a.EndedAt.Equal(at(99)) {
				t.Errorf("remembered from %s to %s, want from the end of the execution, %s, to %s", a.StartedAt, a.EndedAt, x.FinishedAt, at(99))
			}
		}
		var refused *TransitionError
		if next, _, err := Apply(x, ev); !errors.As(err, &refused) || len(next.History) != 1 {
			t.Errorf("%s: remembered again: %v, %+v", name, err, next.History)
		}
	}
	x := ready(Policy{}, cancelled)
	for i := range 2 * maxHistory {
		x = then(t, x, AttemptEnded{At: at(9), Executor: fmt.Sprint(i), StartedAt: at(1)})
	}
	if n := len(x.History); n != maxHistory || x.History[n-1].Executor != fmt.Sprint(2*maxHistory-1) {
		t.Errorf("%d attempts remembered, want the latest %d", n, maxHistory)
	}
}

func then(t *testing.T, x Execution, ev Event) Execution {
	t.Helper()
	next, _ := apply(t, x, ev)
	return next
}

func TestTransitionErrorNamesTheEventAndTheStatus(t *testing.T) {
	_, _, err := Apply(ready(Policy{}), returned)
	if got, want := fmt.Sprint(err), "execution te_root.3: Returned while ready"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestApplyLeavesItsArgumentUntouched(t *testing.T) {
	for name, x := range lives() {
		for _, ev := range events() {
			x := spare(x)
			before, event := deepCopy(x), fmt.Sprintf("%+v", ev)
			Apply(x, ev)
			if !untouched(x, before) {
				t.Errorf("%s: %s changed it to %+v, want %+v", name, eventName(ev), x, before)
			}
			if got := fmt.Sprintf("%+v", ev); got != event {
				t.Errorf("%s: event became %s, want %s", name, got, event)
			}
		}
	}
}

func TestTwoFuturesOfOneExecutionDoNotMeet(t *testing.T) {
	for name, x := range lives() {
		x := spare(x)
		var futures, copies []Execution
		for _, ev := range events() {
			if next, _, err := Apply(x, ev); err == nil {
				futures, copies = append(futures, next), append(copies, deepCopy(next))
			}
		}
		for i := range futures {
			if !reflect.DeepEqual(futures[i], copies[i]) {
				t.Errorf("%s: future %d became %+v, want %+v", name, i, futures[i], copies[i])
			}
		}
	}
}

func TestEffectsDerivedAgainAreTheSame(t *testing.T) {
	for name, x := range lives() {
		for _, ev := range events() {
			next, fx, err := Apply(x, ev)
			if err != nil {
				continue
			}
			if x.Status.Finished() {
				continue // its effects followed when it finished: see TestFinishedIsFinalForEveryEvent
			}
			if x.Status == WaitingForChildren && next.Status == WaitingForChildren {
				// Some children have finished, so the spawn was carried out before.
				if fx != nil {
					t.Errorf("%s: %s gave %s, want nothing", name, eventName(ev), kinds(fx))
				}
				continue
			}
			if got := once(Effects(next)); !reflect.DeepEqual(got, once(fx)) {
				t.Errorf("%s, %s: derived %+v, want %+v", name, eventName(ev), got, fx)
			}
			for _, e := range fx {
				if reflect.DeepEqual(e, SpawnChildren{&next, true}) {
					t.Errorf("%s: the first effects of %s have Again set", name, eventName(ev))
				}
			}
		}
	}
}

func TestEffectsDerivedAgainSayThatTheyMayHaveBeenCarriedOut(t *testing.T) {
	if e := find[SpawnChildren](t, Effects(ready(Policy{}, claimed, spawned(2, nil)))); !e.Again {
		t.Errorf("SpawnChildren.Again = false, want true")
	}
	if e := find[SpawnFinalize](t, Effects(ready(Policy{}, claimed, toFinalize))); !e.Again {
		t.Errorf("SpawnFinalize.Again = false, want true")
	}
	_, fx := apply(t, ready(Policy{}, claimed), toFinalize)
	if e := find[SpawnFinalize](t, fx); e.Again {
		t.Errorf("SpawnFinalize.Again = true in the first effects, want false")
	}
}

// The times of events come from different clocks. The times of an execution must be in order
// nevertheless.
func TestTimesAreInTheOrderInWhichThingsHappened(t *testing.T) {
	early := Claimed{At: t0.Add(-time.Hour), Executor: "slow clock"}
	for name, x := range lives() {
		for _, ev := range []Event{
			CancelRequested{At: t0.Add(-time.Minute), Reason: "because"}, early,
			Erred{At: t0.Add(-time.Minute), Failure: Failure{Kind: KindError, Message: "why"}, Final: true},
		} {
			got, _, err := Apply(x, ev)
			if err != nil {
				continue // it can't happen to x
			}
			if !got.StartedAt.IsZero() && got.StartedAt.Before(got.CreatedAt) {
				t.Errorf("%s: started at %s, created at %s", name, got.StartedAt, got.CreatedAt)
			}
			if got.Status.Finished() && (got.FinishedAt.Before(got.CreatedAt) || got.FinishedAt.Before(got.StartedAt)) {
				t.Errorf("%s: finished at %s, created at %s, started at %s", name, got.FinishedAt, got.CreatedAt, got.StartedAt)
			}
			for _, a := range got.History {
				if a.EndedAt.Before(a.StartedAt) {
					t.Errorf("%s: attempt ended at %s, started at %s", name, a.EndedAt, a.StartedAt)
				}
			}
		}
	}
}
