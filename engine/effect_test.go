package engine

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Closures: a child tells its parent.

func TestClosureNamesTheChildAndItsOutcome(t *testing.T) {
	for name, x := range lives() {
		if !x.Status.Finished() || x.ParentFinished {
			continue
		}
		want := Closure{Parent: "te_root", ID: "te_root.3", Task: "task", Index: 3, Status: x.Status}
		if x.Status != Completed {
			want.Message = x.Failure.Message
		}
		switch x.Status { // if an execution below is the cause, the message names it
		case ChildrenFailed:
			want.Message = "te_root.3-1 (child) failed: child 1 broke"
		case FinalizeFailed:
			want.Message = "te_root.3-f (finalize) failed: fell"
		}
		want.Again = true // effects from the record may have been carried out before
		if got := find[TellParent](t, Effects(x)).Closure; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
		if got := *find[Announce](t, Effects(x)).Execution; !reflect.DeepEqual(got, x) {
			t.Errorf("%s: announced %+v, want %+v", name, got, x)
		}
	}
}

func TestFinishedParentGetsNoClosure(t *testing.T) {
	for name, x := range lives() {
		if x.Status.Finished() {
			continue
		}
		got, fx := apply(t, x, cancelBelow)
		if strings.Contains(kinds(fx), "TellParent") || !got.ParentFinished {
			t.Errorf("%s: effects %s, parent finished %v, want no TellParent", name, kinds(fx), got.ParentFinished)
		}
	}
}

func TestRootSendsNoClosure(t *testing.T) {
	x := ready(Policy{})
	x.ID, x.Parent, x.Index = "te_root", "", 0
	x, _ = apply(t, x, claimed)
	if _, fx := apply(t, x, returned); kinds(fx) != "Expire Announce" {
		t.Errorf("effects = %q, want only Expire and Announce", kinds(fx))
	}
}

func TestFailureOfTheFinalizeIsBoundedAtAnyDepth(t *testing.T) {
	message := strings.Repeat("x", 3*maxText)
	for depth := range 50 {
		c := finalizeFell.Closure
		c.Message = message
		x := ready(Policy{}, claimed, toFinalize, FinalizeEnded{At: at(8), Closure: c})
		if x.Failure.Kind != KindFinalize || !strings.HasPrefix(x.Failure.Message, "finalize finalize failed: ") {
			t.Fatalf("failure = %s, %.60q", x.Failure.Kind, x.Failure.Message)
		}
		if message = x.Failure.Message; len(message) > maxText+50 {
			t.Fatalf("message of %d bytes at depth %d, want about %d", len(message), depth, maxText)
		}
	}
}

// Cancellation.

func TestCancelKeepsTheReason(t *testing.T) {
	for name, x := range lives() {
		if x.Status.Finished() {
			continue
		}
		got, _ := apply(t, x, cancelled)
		if want := (Failure{Kind: KindCancelled, Message: "because"}); got.Failure == nil || *got.Failure != want {
			t.Errorf("%s: failure = %+v, want %+v", name, got.Failure, want)
		}
	}
}

func TestReasonOfACancelIsBounded(t *testing.T) {
	got := ready(Policy{}, CancelRequested{At: at(9), Reason: strings.Repeat("x", 1<<20) + "\xff"})
	if n := len(got.Failure.Message); n > maxText+50 {
		t.Errorf("reason of %d bytes, want about %d", n, maxText)
	}
}

func TestCancelWithdrawsOnlyQueuedExecutions(t *testing.T) {
	for name, x := range lives() {
		if x.Status.Finished() {
			continue
		}
		got, fx := apply(t, x, cancelled)
		withdrawn := strings.Contains(kinds(fx), "Withdraw")
		if want := x.Status == Ready || x.Sleeping; withdrawn != want {
			t.Errorf("%s: withdrawn %v, want %v", name, withdrawn, want)
		}
		if withdrawn && !reflect.DeepEqual(*find[Withdraw](t, fx).Execution, got) {
			t.Errorf("%s: withdrew %+v, want %+v", name, *find[Withdraw](t, fx).Execution, got)
		}
	}
	// An execution whose code returned ErrCancelled was running, so its message is not in the queue.
	if _, fx := apply(t, ready(Policy{}, claimed), saidCancel); strings.Contains(kinds(fx), "Withdraw") {
		t.Errorf("effects = %q, want no Withdraw", kinds(fx))
	}
}

func TestCancelReachesTheChildrenThatHaveNotEnded(t *testing.T) {
	x := ready(Policy{}, claimed, spawned(10, &finalize), ending(end(0, Completed), end(4, Completed), end(9, Completed)))
	got, fx := apply(t, x, cancelled)
	var want []string
	for _, i := range []int{1, 2, 3, 5, 6, 7, 8} {
		want = append(want, childID(x.ID, i))
	}
	if below := find[CancelBelow](t, fx).Parent.Below(); !slices.Equal(below, want) {
		t.Errorf("below: %v, want %v", below, want)
	}
	if got.Closed {
		t.Errorf("closed, but the executions below are not cancelled yet")
	}
}

func TestFailFastCancelsTheChildrenThatHaveNotEnded(t *testing.T) {
	x := ready(Policy{}, claimed, spawned(4, &finalize), ending(end(0, Completed)))
	_, fx := apply(t, x, ending(end(2, Failed)))
	want := []string{childID(x.ID, 1), childID(x.ID, 3)}
	if below := find[CancelBelow](t, fx).Parent.Below(); !slices.Equal(below, want) {
		t.Errorf("below: %v, want %v", below, want)
	}
}

func TestCancelReachesTheFinalizeThatIsWaitedFor(t *testing.T) {
	for name, x := range map[string]Execution{
		"no children":  ready(Policy{}, claimed, toFinalize),
		"all children": ready(Policy{}, claimed, spawned(2, &finalize), ending(end(0, Completed), end(1, Completed))),
		"wait for all": ready(Policy{OnChildFailure: WaitAll}, claimed, spawned(1, &finalize), ending(end(0, Failed))),
	} {
		_, fx := apply(t, x, cancelled)
		if below, want := find[CancelBelow](t, fx).Parent.Below(), []string{"te_root.3-f"}; !slices.Equal(below, want) {
			t.Errorf("%s: below: %v, want %v", name, below, want)
		}
	}
}

func TestNothingIsBelowAnExecutionWithoutChildren(t *testing.T) {
	for name, x := range map[string]Execution{
		"ready":           ready(Policy{}, cancelled),
		"running":         ready(Policy{}, claimed, cancelled),
		"failed":          ready(Policy{}, claimed, erred),
		"completed":       ready(Policy{}, claimed, spawned(1, nil), ending(end(0, Completed))),
		"finalize failed": ready(Policy{}, claimed, spawned(1, &finalize), ending(end(0, Completed)), finalizeFell),
	} {
		if below := x.Below(); below != nil {
			t.Errorf("%s: below: %v, want nothing", name, below)
		}
	}
}

func TestNothingIsBelowAnActiveExecution(t *testing.T) {
	for name, x := range lives() {
		if below := x.Below(); !x.Status.Finished() && below != nil {
			t.Errorf("%s: below: %v, want nothing", name, below)
		}
	}
}

// Closed.

func TestClosedSaysThatNothingIsLeftToTellOrCancel(t *testing.T) {
	for name, x := range lives() {
		for _, root := range []bool{false, true} {
			if root {
				x.ID, x.Parent = "te_root", ""
			}
			for _, ev := range events() {
				next, fx, err := Apply(x, ev)
				if err != nil || x.Status.Finished() {
					continue // it had finished before
				}
				left := strings.Contains(kinds(fx), "TellParent") || strings.Contains(kinds(fx), "CancelBelow")
				if want := next.Status.Finished() && !left; next.Closed != want {
					t.Errorf("%s, root %v, %s: closed %v with effects %s, want %v", name, root, eventName(ev), next.Closed, kinds(fx), want)
				}
				if next.Status.Finished() && !reflect.DeepEqual(*find[Announce](t, fx).Execution, next) {
					t.Errorf("%s, root %v, %s: announced %+v, want %+v", name, root, eventName(ev), *find[Announce](t, fx).Execution, next)
				}
			}
		}
	}
}
