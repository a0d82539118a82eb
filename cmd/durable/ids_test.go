package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/durable-execution/durable/engine"
)

func TestIDsOfChildrenInOtherFormsAreUnderstood(t *testing.T) {
	for typed, want := range map[string]string{
		"a.0.1": "a.0-1", "a/0/1": "a.0-1", "a:0-1": "a.0-1", "a[0][1]": "a.0-1", "a#0": "a.0", "a.0_1.": "a.0-1",
		"a/finalize": "a.f", "a.1.f": "a.1-f", "te_06h1ae4u.0.1.2": "te_06h1ae4u.0-1-2", "a.b.c": "", "a,b": "", "/0": "", "": "",
	} {
		if engine.ValidateID(typed) == nil {
			t.Errorf("%q is an id", typed)
		}
		if got := rightID(typed); got != want {
			t.Errorf("%q means %q, want %q", typed, got, want)
		}
	}
	for id, want := range map[string][]string{
		"a-0": {"a.0"}, "a-0-1": {"a.0-1", "a-0.1"}, "a-0.1": {"a.0-1"}, "a.0_1": {"a.0-1", "a-0.1"},
		"te_06h1ae4u_0": {"te_06h1ae4u.0"}, "a-f": {"a.f"}, "a-finalize": {"a.f"}, "order-x": nil, "a": nil,
	} {
		if got := otherForms(id); !slices.Equal(got, want) {
			t.Errorf("%q may mean %q, want %q", id, got, want)
		}
	}
}

// TestEveryCommandSuggestsTheIDThatWasMeant types the id of a child in other notations: some are
// not valid ids, and some are valid but belong to no execution.
func TestEveryCommandSuggestsTheIDThatWasMeant(t *testing.T) {
	dir := shelf(t)
	for _, line := range []string{"get ID", "tree ID", "wait ID", "watch ID", "cancel ID --yes", "wake ID --output 1", "retry ID"} {
		for typed, code := range map[string]int{"order-1/0": exitUsage, "order-1.0.": exitUsage, "order-1-0": exitNotFound, "order-1_0": exitNotFound} {
			args := append(strings.Fields(strings.ReplaceAll(line, "ID", typed)), "--dir", dir)
			if o := durable(t, args...).want(t, code); !strings.Contains(o.err, "hint: did you mean order-1.0?") {
				t.Errorf("durable %v says %q", args, o.err)
			}
		}
	}
	for _, line := range []string{"list --tree a/0", "list --parent a/0", "history x --execution a/0", "delete a/0 --yes"} {
		if o := durable(t, append(strings.Fields(line), "--dir", dir)...).want(t, exitUsage); !strings.Contains(o.err, "did you mean a.0?") {
			t.Errorf("durable %s says %q", line, o.err)
		}
	}
}
