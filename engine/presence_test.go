package engine

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestClockOffsetsAreBoundedByTheTripOfTheAnswer(t *testing.T) {
	called := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	a := Answer{CalledAt: called, Took: 20 * time.Millisecond, Presence: Presence{Now: called.Add(3 * time.Second)}}
	ahead, give := a.Offset()
	if ahead != 2990*time.Millisecond || give != 11*time.Millisecond {
		t.Errorf("offset = %s ± %s, want 2.99s ± 11ms", ahead, give)
	}
}

func TestFingerprintsTellTypesApartAndNothingElse(t *testing.T) {
	type file struct{ Path string }
	type renamed struct{ Path string }
	type longer struct{ Path, Name string }
	type tree struct{ Below []tree } // a recursive type has no schema
	print := func(d *Definition) string { return d.Bound().Fingerprint }
	first := print(Define[file, int]("a").def)
	for what, c := range map[string]struct {
		got  string
		same bool
	}{
		"another id":       {print(Define[file, int]("b").def), true},
		"another name":     {print(Define[renamed, int]("a").def), true},
		"another option":   {print(Define[file, int]("a", Timeout(time.Hour)).def), true},
		"another field":    {print(Define[longer, int]("a").def), false},
		"another output":   {print(Define[file, string]("a").def), false},
		"swapped":          {print(Define[int, file]("a").def), false},
		"without a schema": {print(Define[tree, int]("a").def), false},
	} {
		if (c.got == first) != c.same {
			t.Errorf("%s: fingerprint = %s, the first is %s, want the same: %v", what, c.got, first, c.same)
		}
	}
	if a, b := print(Define[tree, int]("a").def), print(Define[*tree, int]("a").def); a == b {
		t.Errorf("two types without schemas have the same fingerprint: %s", a)
	}
	if b := Define[file, int]("a").def.Bound(); !strings.Contains(string(b.InputSchema), `"Path"`) || b.Output != "int" {
		t.Errorf("bound = %+v", b)
	}
}

func TestGarbageIsNotAPresenceAndAsksForNothing(t *testing.T) {
	for _, text := range []string{"", "null", "[]", "{}", `{"executor":"x"}`, `{"now":1}`, `{"executor":1,"now":1}`, "\x00"} {
		if p, err := DecodePresence([]byte(text)); err == nil {
			t.Errorf("%q was decoded as %+v, want an error", text, p)
		}
		if c := DecodeRollCall([]byte(text)); !reflect.DeepEqual(c, RollCall{}) {
			t.Errorf("%q asks for %+v, want nothing", text, c)
		}
	}
	p, err := DecodePresence([]byte(`{"executor":"x","now":1,"unknown":{},"queues":null}`))
	if err != nil || p.Serves("default") || p.Binds("task") {
		t.Errorf("presence = %+v, %v", p, err)
	}
}

func TestAnAnswerThatIsTooLongIsCut(t *testing.T) {
	p := Presence{Executor: "x", Now: time.UnixMilli(1)}
	for range 100 {
		p.Tasks = append(p.Tasks, BoundTask{ID: "task", InputSchema: []byte(`{"description":"` + strings.Repeat("x", 100) + `"}`)})
	}
	for _, c := range []struct{ limit, tasks int }{{1 << 20, 100}, {10 << 10, 100}, {1 << 10, 0}} {
		data, err := EncodePresence(p, c.limit)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodePresence(data)
		if err != nil || len(data) > c.limit || len(got.Tasks) != c.tasks || got.Cut != (c.limit < 1<<20) {
			t.Errorf("at most %d: %d bytes, %d tasks, cut %v, %v, want %d tasks", c.limit, len(data), len(got.Tasks), got.Cut, err, c.tasks)
		}
	}
}
