package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// A tree fails from the bottom up: at each level a closure tells the parent. The tests encode and
// decode the closure, as a store does.

// levels are the ways in which a failure goes up one level.
var levels = []string{"a child", "one of two children", "a step", "a finalize"}

// above returns the parent of x, after the closure of x. X did not complete.
func above(t interface{ Fatal(...any) }, x Execution, level string) Execution {
	step := func(y Execution, ev Event) Execution {
		next, _, err := Apply(y, ev)
		if err != nil {
			t.Fatal(err)
		}
		return next
	}
	p := step(Execution{ID: x.Parent, Task: "task-" + level[:1], Status: Ready, CreatedAt: t0, StartAt: t0, ChangedAt: t0}, claimed)
	spawn := Spawn{Task: x.Task, Queue: DefaultQueue}
	data, err := EncodeClosure(x.closure(false))
	if err != nil {
		t.Fatal(err)
	}
	c, err := DecodeClosure(data)
	if err != nil {
		t.Fatal(err)
	}
	switch level {
	case "a step":
		p = step(p, Returned{At: at(2), Steps: []Spawn{spawn, spawn}})
	case "a finalize":
		p = step(p, Returned{At: at(2), Finalize: &spawn})
		c.IsFinalize = true
		return step(p, FinalizeEnded{At: at(3), Closure: c})
	case "one of two children":
		p = step(p, Returned{At: at(2), Children: []Spawn{spawn, spawn}})
	default:
		p = step(p, Returned{At: at(2), Children: []Spawn{spawn}})
	}
	return step(p, ChildrenEnded{At: at(3), Children: []Closure{c}})
}

// TestTheReasonAtTheBottomArrivesAtTheTop sends a failure up through many levels.
func TestTheReasonAtTheBottomArrivesAtTheTop(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		how := rapid.SliceOfN(rapid.SampledFrom(levels), 1, 60).Draw(t, "levels")
		reason := rapid.SampledFrom([]string{"bottom of it all", "a: b; c: d", "", strings.Repeat("long ", 2000), "ü\xff"}).Draw(t, "reason")
		ids := []string{"r"} // from the top down
		for _, level := range slices.Backward(how) {
			id := childID(ids[len(ids)-1], 0)
			if level == "a finalize" {
				id = finalizeID(ids[len(ids)-1])
			}
			ids = append(ids, id)
		}
		n := len(how)
		x := Execution{ID: ids[n], Parent: ids[n-1], Task: "leaf", Status: Running, CreatedAt: t0, StartedAt: t0}
		x, _, err := Apply(x, Erred{At: at(1), Failure: Failure{Kind: KindError, Message: bounded(reason)}, Final: true})
		if err != nil {
			t.Fatal(err)
		}
		leaf := x
		for i, level := range how {
			x = above(t, x, level)
			if x.Parent = ""; i+1 < n {
				x.Parent = ids[n-i-2]
			}
		}
		says := x.Failure.Message
		head := bounded(reason)
		head = head[:min(len(head), 500)]
		if len(how) > 1 {
			head = fmt.Sprintf("%s (leaf) failed: %s", leaf.ID, head)
		}
		if !strings.Contains(says, head) {
			t.Fatalf("after %v the failure is %q, want %q in it", how, says, head)
		}
		if len(says) > maxMessage+400 || !utf8.ValidString(says) {
			t.Fatalf("after %v the failure has %d bytes: %q", how, len(says), says)
		}
		if reason == "bottom of it all" && strings.Count(says, reason) != 1 {
			t.Fatalf("the reason is in %q more than once", says)
		}
	})
}

func TestCuttingTwiceChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := string(rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "s"))
		n := rapid.IntRange(40, 280).Draw(t, "n")
		once := cut(s, n)
		if again := cut(once, n); again != once || len(once) > n {
			t.Fatalf("%d bytes, cut again %q, want %q of at most %d", len(once), again, once, n)
		}
	})
}
