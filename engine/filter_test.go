package engine

import (
	"slices"
	"testing"
	"time"
)

func TestFiltersSelectByEveryField(t *testing.T) {
	x := Execution{
		ID: "te_root.1-2", Parent: "te_root.1", Task: "task", Queue: "queue", Status: Failed,
		CreatedAt: at(1), StartedAt: at(2), FinishedAt: at(3),
		Failure: &Failure{Message: "Disk FULL on Zoë"}, Metadata: Metadata{"order": "42", "team": "blue"},
	}
	for _, f := range []Filter{
		{}, {Tree: "te_root"}, {Parent: "te_root.1"}, {Prefix: "te_ro"}, {Prefix: x.ID}, {Status: Failed}, {Task: "task"}, {Queue: "queue"},
		{Error: "disk full"}, {Error: "ZOË"}, {Metadata: Metadata{"order": "42"}}, {Metadata: x.Metadata},
		{Created: Span{From: at(1)}}, {Created: Span{Until: at(2)}}, {Started: Span{at(2), at(3)}}, {Finished: Span{From: at(3)}},
		{Statuses: []Status{Failed}}, {Statuses: []Status{Ready, TimedOut, Failed}}, {Status: Failed, Statuses: []Status{Failed, Ready}}, {Statuses: []Status{}},
	} {
		if !f.Matches(x) {
			t.Errorf("%+v does not select %+v", f, x)
		}
	}
	for _, f := range []Filter{
		{Tree: "te_root.1"}, {Tree: "te_roo"}, {Parent: "te_root"}, {Prefix: "root"}, {Roots: true}, {Status: Ready}, {Task: "tas"}, {Queue: "q"},
		{Error: "disc"}, {Metadata: Metadata{"order": "4"}}, {Metadata: Metadata{"order": "42", "other": "1"}},
		{Created: Span{From: at(2)}}, {Created: Span{Until: at(1)}}, {Started: Span{at(3), at(4)}}, {Finished: Span{Until: at(3)}},
		{Status: Failed, Task: "other"}, {Statuses: []Status{Ready, TimedOut}}, {Status: Failed, Statuses: []Status{Ready}}, {Status: Ready, Statuses: []Status{Failed}},
	} {
		if f.Matches(x) {
			t.Errorf("%+v selects %+v", f, x)
		}
	}
	bare := Execution{ID: "te_bare", Status: Ready, CreatedAt: at(1)}
	if (Filter{Finished: Span{Until: at(9)}}).Matches(bare) || (Filter{Error: "x"}).Matches(bare) || !(Filter{Roots: true}).Matches(bare) {
		t.Error("a filter selects an execution without a finish time, a failure or a parent")
	}
}

func TestCursorsGoThroughAListInItsOrder(t *testing.T) {
	list := []Execution{{ID: "b", CreatedAt: at(2)}, {ID: "a", CreatedAt: at(1)}, {ID: "a.0", CreatedAt: at(1)}, {ID: "c", CreatedAt: at(0)}}
	if !slices.IsSortedFunc(list, NewestFirst) {
		t.Errorf("%v is not in order", list)
	}
	for i, x := range list {
		c, err := ParseCursor(CursorOf(x).String())
		if err != nil {
			t.Fatal(err)
		}
		for k, y := range list {
			if c.Before(y) != (k > i) {
				t.Errorf("cursor %s before %s: %v, want %v", c, y.ID, c.Before(y), k > i)
			}
		}
	}
	if c, err := ParseCursor(""); err != nil || c.String() != "" || !c.Before(list[0]) {
		t.Errorf("the empty cursor: %v, %v", c, err)
	}
	for _, text := range []string{"x", "12", ":a", "12:", "12:a.b.c", "1e3:a", " 12:a"} {
		if c, err := ParseCursor(text); err == nil {
			t.Errorf("%q was accepted as a cursor: %v", text, c)
		}
	}
	if _, err := ParseCursor(Cursor{time.UnixMilli(5), "te_a.0-f"}.String()); err != nil {
		t.Error(err)
	}
}
