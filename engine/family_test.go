package engine

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// Children.

func TestChildrenAreReadyAfterTheirDelay(t *testing.T) {
	x, fx := apply(t, ready(Policy{}, claimed), spawned(3, &finalize))
	if x.Spawned != 3 || !reflect.DeepEqual(*find[SpawnChildren](t, fx).Parent, x) {
		t.Errorf("%d spawned by %+v, want 3 by %+v", x.Spawned, *find[SpawnChildren](t, fx).Parent, x)
	}
	for i, s := range x.Spawns {
		want := Execution{
			ID: childID(x.ID, i), Parent: x.ID, Index: i, Task: "child", Queue: "queue", Policy: s.Policy,
			Input: text(fmt.Sprint(i)), Validated: true,
			Status: Ready, CreatedAt: at(2), ChangedAt: at(2), StartAt: at(2 + i),
		}
		if got := x.Child(i, s); !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func TestFinalizeIsReadyAfterItsDelay(t *testing.T) {
	x, fx := apply(t, ready(Policy{}, claimed, spawned(1, &finalize)), ending(end(0, Completed)))
	want := Execution{
		ID: "te_root.3-f", Parent: x.ID, IsFinalize: true, Task: "finalize", Queue: "queue", Policy: finalize.Policy, Validated: true,
		Status: Ready, CreatedAt: at(5), ChangedAt: at(5), StartAt: at(5).Add(time.Minute),
	}
	if got := *find[SpawnFinalize](t, fx).Finalize; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestSpawningAgainMakesTheSameExecutions(t *testing.T) {
	x := ready(Policy{}, claimed, spawned(3, &finalize))
	later, _ := apply(t, x, ending(end(1, Completed)))
	for i, s := range x.Spawns {
		if a, b := x.Child(i, s), later.Child(i, s); !reflect.DeepEqual(a, b) {
			t.Errorf("child %d: got %+v, want %+v", i, b, a)
		}
	}
}

func TestEachChildIsCountedOnce(t *testing.T) {
	x := ready(Policy{}, claimed, spawned(3, nil))
	x, _ = apply(t, x, ending(end(1, Completed), end(1, Completed), end(1, Failed)))
	if x.Status != WaitingForChildren || x.Ended.Len() != 1 || !x.Ended.Has(1) {
		t.Fatalf("got %s with %x ended, want waiting with child 1", x.Status, x.Ended)
	}
	// A closure of a counted child is ignored, and a new one in the same event counts.
	x, _ = apply(t, x, ending(end(1, Failed), end(0, Completed)))
	if x.Status != WaitingForChildren || x.Ended.Len() != 2 || !x.Ended.Has(0) {
		t.Fatalf("got %s with %x ended, want waiting with children 0 and 1", x.Status, x.Ended)
	}
	if x, _ = apply(t, x, ending(end(2, Completed))); x.Status != Completed {
		t.Errorf("got %s with %x ended, want completed", x.Status, x.Ended)
	}
}

func TestDuplicateClosuresChangeNothing(t *testing.T) {
	for _, p := range []Policy{{}, {OnChildFailure: WaitAll}} {
		x := ready(p, claimed, spawned(3, nil), ending(end(1, Completed)))
		stranger, negative, fin := end(3, Completed), end(-1, Failed), end(0, Completed)
		fin.IsFinalize = true
		for what, ev := range map[string]ChildrenEnded{
			"the same again":        ending(end(1, Completed)),
			"the same otherwise":    ending(end(1, Failed)),
			"the same twice":        ending(end(1, Completed), end(1, Completed)),
			"a child that is not":   ending(stranger),
			"a negative index":      ending(negative),
			"the finalize":          ending(fin),
			"none":                  ending(),
			"nothing but the known": ending(end(1, Failed), stranger, negative, fin),
		} {
			next, fx, err := Apply(x, ev)
			var refused *TransitionError
			if !errors.As(err, &refused) || fx != nil || !reflect.DeepEqual(next, x) {
				t.Errorf("%s: got %+v, %s, %v, want a TransitionError and nothing else", what, next, kinds(fx), err)
			}
		}
	}
}

func TestStrangersAmongTheClosuresAreIgnored(t *testing.T) {
	x := ready(Policy{}, claimed, spawned(2, nil))
	got, _ := apply(t, x, ending(end(7, Failed), end(-1, Failed), end(0, Completed)))
	if got.Status != WaitingForChildren || got.Ended.Len() != 1 || len(got.ChildFailures) != 0 {
		t.Errorf("got %s, %x ended, failures %v, want waiting, child 0, none", got.Status, got.Ended, got.ChildFailures)
	}
}

func TestFailFastFixesTheFailuresOfTheFirstFailingBatch(t *testing.T) {
	x := ready(Policy{}, claimed, spawned(5, &finalize), ending(end(0, Completed)))
	got, _ := apply(t, x, ending(end(3, TimedOut), end(1, Completed), end(2, Cancelled)))
	want := []ChildFailure{
		{Index: 3, ID: "te_root.3-3", Task: "child", Status: TimedOut, Message: "child 3 broke"},
		{Index: 2, ID: "te_root.3-2", Task: "child", Status: Cancelled, Message: "child 2 broke"},
	}
	if !reflect.DeepEqual(got.ChildFailures, want) {
		t.Errorf("got %+v, want %+v", got.ChildFailures, want)
	}
	message := "2 children of 5 did not complete; child 3 (child) timed_out: child 3 broke"
	if got.Failure.Kind != KindChildren || got.Failure.Message != message {
		t.Errorf("failure = %+v, want %q", got.Failure, message)
	}
	if !got.Output.IsZero() || got.Gathers {
		t.Errorf("output = %v, gathers %v, want none", got.Output, got.Gathers)
	}
	// No later event changes the failures.
	if next, _, err := Apply(got, ending(end(4, Failed))); err == nil || !reflect.DeepEqual(next, got) {
		t.Errorf("a late child gave %+v, %v, want a refusal", next, err)
	}
}

func TestRecordKeepsTheFirstOfManyChildFailures(t *testing.T) {
	const n = 3 * maxChildFailures
	var all []Closure
	for i := range n {
		c := end(i, Failed)
		c.Message = strings.Repeat("x", 10*maxMessage)
		all = append(all, c)
	}
	got, _ := apply(t, ready(Policy{}, claimed, spawned(n, nil)), ending(all...))
	if len(got.ChildFailures) != maxChildFailures {
		t.Errorf("%d failures kept, want %d", len(got.ChildFailures), maxChildFailures)
	}
	for _, f := range got.ChildFailures {
		if len(f.Message) > maxMessage+50 {
			t.Errorf("message of %d bytes kept, want about %d", len(f.Message), maxMessage)
		}
	}
	if want := fmt.Sprintf("%d children of %d", n, n); !strings.HasPrefix(got.Failure.Message, want) {
		t.Errorf("message = %.60q, want %q at its beginning", got.Failure.Message, want)
	}
	if got.Ended.Len() != n {
		t.Errorf("%d ended, want %d", got.Ended.Len(), n)
	}
}

func TestWaitAllWaitsForAllAndCompletes(t *testing.T) {
	for _, fin := range []*Spawn{nil, &finalize} {
		x := ready(Policy{OnChildFailure: WaitAll}, claimed, spawned(3, fin))
		for i, s := range []Status{Failed, Cancelled} {
			if x, _ = apply(t, x, ending(end(i, s))); x.Status != WaitingForChildren {
				t.Fatalf("%s after child %d, want waiting for children", x.Status, i)
			}
		}
		x, _ = apply(t, x, ending(end(2, TimedOut)))
		want := Completed
		if fin != nil {
			want = WaitingForFinalize
		}
		if x.Status != want || x.Failure != nil || x.ChildFailures != nil {
			t.Errorf("got %s, %v, %v, want %s and no failures", x.Status, x.Failure, x.ChildFailures, want)
		}
	}
}

func TestLateChildrenDoNotChangeAFinishedParent(t *testing.T) {
	for name, x := range map[string]Execution{
		"children failed": ready(Policy{}, claimed, spawned(3, nil), ending(end(0, Failed))),
		"cancelled":       ready(Policy{}, claimed, spawned(3, nil), cancelled),
	} {
		for _, s := range []Status{Completed, Failed, Cancelled} {
			next, fx, err := Apply(x, ending(end(1, s), end(2, s)))
			if err == nil || fx != nil || !reflect.DeepEqual(next, x) {
				t.Errorf("%s: a late child that %s gave %+v, %s, %v, want a refusal", name, s, next, kinds(fx), err)
			}
		}
	}
}

func TestThousandsOfChildrenEndInAnyOrder(t *testing.T) {
	const n = 10_000
	x := ready(Policy{}, claimed, spawned(n, nil))
	for i := 0; i < n; i += 100 {
		var batch []Closure
		for j := range 100 {
			batch = append(batch, end((i+j)*7919%n, Completed)) // 7919 is prime to n
		}
		x, _ = apply(t, x, ending(batch...))
		if x.Ended.Len() != i+100 {
			t.Fatalf("%d ended, want %d", x.Ended.Len(), i+100)
		}
	}
	if x.Status != Completed || len(x.Ended) != n/8 {
		t.Errorf("got %s with %d bytes of ended, want completed with %d", x.Status, len(x.Ended), n/8)
	}
}

func TestZeroChildrenWithoutFinalizeCompleteWithAnEmptyList(t *testing.T) {
	x := ready(Policy{}, claimed, Returned{At: at(2), Output: text("mid"), Children: []Spawn{}, Gathers: true})
	if x.Status != Completed || !x.Gathers || x.Spawned != 0 || !x.Output.Equal(text("mid")) {
		t.Errorf("got %s, gathers %v, %d children, output %s, want completed, gathering nothing with \"mid\"", x.Status, x.Gathers, x.Spawned, x.Output.Data)
	}
}

func TestZeroChildrenWithFinalizeGoStraightToIt(t *testing.T) {
	x := ready(Policy{}, claimed, spawned(0, &finalize))
	if x.Status != WaitingForFinalize || x.Finalize == nil || !x.Output.Equal(text("mid")) {
		t.Errorf("got %s, %v, output %s, want waiting for finalize with \"mid\"", x.Status, x.Finalize, x.Output.Data)
	}
}

// Outputs.

func TestOutputOfTheFinalizeIsTheOutputOfTheParent(t *testing.T) {
	gathering := toFinalize
	gathering.Gathers = true
	x := ready(Policy{}, claimed, gathering, finalized)
	if !x.Output.Equal(text("final")) || x.Gathers || x.OutputOf != "" {
		t.Errorf("got %s, gathers %v, output of %q, want \"final\" itself", x.Output.Data, x.Gathers, x.OutputOf)
	}
}

func TestOutputOfAFinalizeThatGathersIsReferredTo(t *testing.T) {
	// The finalize is a parent itself, without a finalize of its own.
	fin := ready(Policy{}, claimed, toFinalize).FinalizeExecution()
	for _, ev := range []Event{claimed, spawned(1, nil), ChildrenEnded{At: at(6), Children: []Closure{{Parent: fin.ID, Index: 0, Status: Completed}}}} {
		var fx []Effect
		if fin, fx = apply(t, fin, ev); !fin.Status.Finished() {
			continue
		}
		c := find[TellParent](t, fx).Closure
		if !c.Output.IsZero() || c.OutputOf != fin.ID {
			t.Fatalf("closure = %+v, want the output of %s and no copy", c, fin.ID)
		}
		parent := ready(Policy{}, claimed, toFinalize, FinalizeEnded{At: at(7), Closure: c})
		if parent.Status != Completed || parent.OutputOf != fin.ID || !parent.Output.IsZero() || parent.Gathers {
			t.Errorf("parent: %+v, want the output of %s and no copy", parent, fin.ID)
		}
	}
	if fin.Status != Completed {
		t.Errorf("finalize is %s, want completed", fin.Status)
	}
}

func TestOutputOfAFinalizeIsHandedUpThroughEveryFinalize(t *testing.T) {
	// The output of the finalize of a finalize goes up unchanged.
	for _, c := range []Closure{
		{IsFinalize: true, Status: Completed, Output: text("deep")},
		{IsFinalize: true, Status: Completed, OutputOf: "te_root.3-f-f"},
	} {
		fin := ready(Policy{}, claimed, toFinalize).FinalizeExecution()
		fin, _ = apply(t, fin, claimed)
		fin, _ = apply(t, fin, toFinalize)
		_, fx := apply(t, fin, FinalizeEnded{At: at(6), Closure: c})
		up := find[TellParent](t, fx).Closure
		if up.OutputOf != c.OutputOf || !up.Output.Equal(c.Output) {
			t.Errorf("closure = %+v, want the output %q or of %q", up, c.Output.Data, c.OutputOf)
		}
		x := ready(Policy{}, claimed, toFinalize, FinalizeEnded{At: at(7), Closure: up})
		if x.OutputOf != c.OutputOf || !x.Output.Equal(c.Output) {
			t.Errorf("parent: output %q or of %q, want %q or of %q", x.Output.Data, x.OutputOf, c.Output.Data, c.OutputOf)
		}
	}
}

func TestOutputsOfChildrenStayWithThem(t *testing.T) {
	_, fx := apply(t, ready(Policy{}, claimed), returned)
	if c := find[TellParent](t, fx).Closure; !c.Output.IsZero() || c.OutputOf != "" {
		t.Errorf("closure = %+v, want no output", c)
	}
}

func TestOnlyACompletedExecutionHasAnOutput(t *testing.T) {
	for name, x := range lives() {
		has := !x.Output.IsZero() || x.Gathers || x.OutputOf != ""
		if x.Status.Finished() && has != (x.Status == Completed) {
			t.Errorf("%s: output %q, gathers %v, of %q", name, x.Output.Data, x.Gathers, x.OutputOf)
		}
	}
}
