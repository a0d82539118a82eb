package engine

import (
	"slices"
	"testing"
)

// sequence returns an execution after its code has returned three steps.
func sequence(t *testing.T) Execution {
	t.Helper()
	x := Execution{ID: "te_root", Task: "all", Queue: DefaultQueue, Status: Running, Executor: "e", Input: text("in")}
	x, fx := apply(t, x, Returned{At: at(1), Steps: []Spawn{{Task: "a", Input: text("in")}, {Task: "b"}, {Task: "c"}}})
	spawnsOnly(t, x, fx, "te_root.0", "a", "")
	return x
}

// spawnsOnly fails the test unless the only effect is to create one step.
func spawnsOnly(t *testing.T, x Execution, fx []Effect, id, task, from string) {
	t.Helper()
	if x.Status != WaitingForChildren || len(fx) != 1 {
		t.Fatalf("status = %s with %d effects, want %s with one", x.Status, len(fx), WaitingForChildren)
	}
	list := x.Children(fx[0].(SpawnChildren).Parent.Spawns)
	if len(list) != 1 || list[0].ID != id || list[0].Task != task || list[0].InputFrom != from {
		t.Fatalf("creates %+v, want %s of %s with the output of %q", list, id, task, from)
	}
}

func stepEnded(index int, s Status) ChildrenEnded {
	return ChildrenEnded{At: at(2), Children: []Closure{{Parent: "te_root", ID: childID("te_root", index), Task: "t", Index: index, Status: s, Message: "why"}}}
}

func TestSequenceCreatesAStepWhenTheOneBeforeHasCompleted(t *testing.T) {
	x := sequence(t)
	x, fx := apply(t, x, stepEnded(0, Completed))
	spawnsOnly(t, x, fx, "te_root.1", "b", "te_root.0")
	x, fx = apply(t, x, stepEnded(1, Completed))
	spawnsOnly(t, x, fx, "te_root.2", "c", "te_root.1")
	x, _ = apply(t, x, stepEnded(2, Completed))
	if x.Status != Completed || x.OutputOf != "te_root.2" {
		t.Errorf("status = %s with the output of %q, want %s with that of te_root.2", x.Status, x.OutputOf, Completed)
	}
}

func TestFailingStepFailsTheSequenceAndIsNamed(t *testing.T) {
	for _, policy := range []ChildPolicy{FailFast, WaitAll} {
		x := sequence(t)
		x.Policy.OnChildFailure = policy
		x, _ = apply(t, x, stepEnded(0, Completed))
		x, fx := apply(t, x, stepEnded(1, Failed))
		if want := "step 2 of 3 (t) failed: why"; x.Status != ChildrenFailed || x.Failure.Message != want {
			t.Errorf("%s: %s, %q, want %s, %q", policy, x.Status, x.Failure.Message, ChildrenFailed, want)
		}
		if x.Spawned != 2 || slices.ContainsFunc(fx, func(f Effect) bool { _, ok := f.(SpawnChildren); return ok }) {
			t.Errorf("%s: %d steps created, want 2 and no more", policy, x.Spawned)
		}
	}
}

func TestStepCountsOnce(t *testing.T) {
	x := sequence(t)
	x, _ = apply(t, x, stepEnded(0, Completed))
	if _, _, err := Apply(x, stepEnded(0, Completed)); err == nil {
		t.Error("the first step was counted twice")
	}
	if !x.FollowsClosure() {
		t.Error("the second step does not follow from the closure of the first, so the holder of the closure would not create it")
	}
	if sequence(t).FollowsClosure() {
		t.Error("the first step follows from a closure, want it to follow from the return of the code")
	}
}

func TestCancelledSequenceCancelsTheStepThatItIsAt(t *testing.T) {
	x := sequence(t)
	x, _ = apply(t, x, stepEnded(0, Completed))
	x, _ = apply(t, x, CancelRequested{At: at(3), Reason: "enough"})
	if got := x.Below(); !slices.Equal(got, []string{"te_root.1"}) {
		t.Errorf("below = %v, want only te_root.1", got)
	}
	if c, ok := x.Unborn("te_root.1", x.Spawns); !ok || c.Task != "b" {
		t.Errorf("unborn step = %+v, %v, want the step of task b", c, ok)
	}
}
