package engine

import (
	"context"
	"strings"
	"testing"
)

type joinedAny = Joined[any, any]

// leads returns a parent with the given id and finalize; without a finalize if that is empty.
func leads(id, finalize string) Binding {
	spawns := func(_ context.Context, _ any, c *Children) (any, error) {
		Define[any, any]("spawned").Spawn(c, nil)
		return nil, nil
	}
	if finalize == "" {
		return BindFanOut(Define[any, Gathered[any]](id), spawns)
	}
	return BindParentTask(Define[any, any](id), spawns, Define[joinedAny, any](finalize))
}

// joinsBy returns a finalize with the given id: a sequence whose only step is another finalize.
func joinsBy(id, step string) Binding {
	return BindSequence(Define[joinedAny, any](id), Define[joinedAny, any](step))
}

// inSteps returns a sequence with the given id and the ids of its steps.
func inSteps(id string, ids ...string) Binding {
	var s Step[any, any] = Define[any, any](ids[0])
	for _, next := range ids[1:] {
		s = Then(s, Define[any, any](next))
	}
	return BindSequence(Define[any, any](id), s)
}

func TestTasksThatLeadToThemselvesAreRefused(t *testing.T) {
	for path, list := range map[string][]Binding{
		"a → a":         {inSteps("a", "x", "a")},
		"a → b → a":     {inSteps("a", "x", "b", "y"), inSteps("b", "a")},
		"a → b → c → a": {inSteps("c", "x", "y", "a"), inSteps("a", "x", "b"), inSteps("b", "c", "x")},
		"f → g → f":     {leads("a", "f"), joinsBy("f", "g"), joinsBy("g", "f")},
		"f → f":         {leads("a", "f"), joinsBy("f", "f")},
		// The first id and its last step are not part of the circle.
		"p → q → p": {inSteps("a", "p", "z"), inSteps("p", "z", "q"), inSteps("q", "p"), inSteps("z", "y")},
	} {
		all := map[string]Binding{}
		for _, b := range list {
			all[b.ID] = b
		}
		err := CheckBindings(all)
		if err == nil {
			t.Errorf("%s: accepted", path)
			continue
		}
		if again := CheckBindings(all); again.Error() != err.Error() {
			t.Errorf("%s: refused by %q and then by %q", path, err, again)
		}
		for _, want := range []string{path, "would never finish", "bindings_test.go:"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %q, want %q in it", path, err, want)
			}
		}
	}
}

// A spawned task may lead back to its parent: the code decides when the recursion ends.
func TestRecursionThatCodeEndsIsAccepted(t *testing.T) {
	countdown := Define[int, int]("countdown")
	lines := Define[any, any]("lines")
	middle := BindParent(Define[any, any]("middle"), func(_ context.Context, in any, c *Children) (any, error) {
		lines.Spawn(c, in) // middle is a step of this sequence
		return in, nil
	}, func(context.Context, joinedAny) (any, error) { return nil, nil })
	for name, list := range map[string][]Binding{
		"a task that spawns itself": {BindParent(countdown, func(_ context.Context, n int, c *Children) (int, error) {
			if n > 0 {
				countdown.Spawn(c, n-1)
			}
			return n, nil
		}, func(context.Context, Joined[int, int]) (int, error) { return 0, nil })},
		"a step that spawns its sequence": {inSteps("lines", "x", "middle"), middle, *middle.Finalize},
		"a finalize that spawns its parent": {leads("spawned", "f"), BindParentTask(Define[joinedAny, any]("f"), func(_ context.Context, in joinedAny, c *Children) (any, error) {
			Define[any, any]("spawned").Spawn(c, in)
			return nil, nil
		}, Define[Joined[joinedAny, any], any]("g"))},
		"one step twice":                      {inSteps("a", "x", "x", "x")},
		"one step of many sequences":          {inSteps("a", "x", "b"), inSteps("b", "x", "c"), inSteps("c", "x")},
		"one finalize of two parents":         {leads("a", "f"), leads("b", "f")},
		"a sequence of parents in a sequence": {inSteps("a", "b", "c"), inSteps("b", "p", "p"), leads("p", "f"), inSteps("c", "p", "x")},
		"steps that are bound elsewhere":      {inSteps("a", "b"), inSteps("c", "a")},
	} {
		all := map[string]Binding{}
		for _, b := range list {
			all[b.ID] = b
		}
		if err := CheckBindings(all); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
