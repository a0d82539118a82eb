package engine

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
)

func TestMetadataAddsUpAndTheLastValueOfAKeyWins(t *testing.T) {
	defined := Metadata{"team": "blue", "kind": "defined"}
	task := Define[int, int]("metadata-adds-up", defined)
	o, err := task.def.options.with([]Option{Metadata{"order": "41", "kind": "enqueued"}, Metadata{"order": "42"}})
	if err != nil {
		t.Fatal(err)
	}
	if want := (Metadata{"team": "blue", "kind": "enqueued", "order": "42"}); !maps.Equal(o.metadata, want) {
		t.Errorf("metadata = %v, want %v", o.metadata, want)
	}
	if want := (Metadata{"team": "blue", "kind": "defined"}); !maps.Equal(task.def.options.metadata, want) || !maps.Equal(defined, want) {
		t.Errorf("the definition has %v now, and the caller's map is %v; want %v for both", task.def.options.metadata, defined, want)
	}
	bare := Define[int, int]("metadata-none")
	for _, opts := range [][]Option{nil, {Metadata(nil)}, {Metadata{}}} {
		if o, err := bare.def.options.with(opts); err != nil || len(o.metadata) != 0 {
			t.Errorf("%v: metadata = %v, %v, want none", opts, o.metadata, err)
		}
	}
}

func TestMetadataPastItsLimitsIsRefused(t *testing.T) {
	pairs := func(n int) Metadata {
		m := Metadata{}
		for i := range n {
			m[fmt.Sprintf("key-%d", i)] = "v"
		}
		return m
	}
	task := Define[int, int]("metadata-limits")
	for _, m := range []Metadata{
		pairs(16), {strings.Repeat("k", 64): strings.Repeat("v", 256)}, {"A-z_9": "any: = \"text\" {}, Zoë 日本"}, {"k": strings.Repeat("é", 128)},
	} {
		if _, err := task.def.options.with([]Option{m}); err != nil {
			t.Errorf("%v: %v", m, err)
		}
	}
	for _, c := range []struct {
		m    Metadata
		want string
	}{
		{pairs(17), "metadata: 17 pairs, at most 16"},
		{Metadata{"": "v"}, "metadata key is empty"},
		{Metadata{strings.Repeat("k", 65): "v"}, "65 characters, at most 64"},
		{Metadata{"a.b": "v"}, `metadata key "a.b": '.' is not one of A-Z a-z 0-9 _ -`},
		{Metadata{"k": ""}, "metadata k: the value is empty"},
		{Metadata{"k": strings.Repeat("é", 129)}, "metadata k: the value has 258 bytes, at most 256"},
		{Metadata{"k": "a\xff"}, "metadata k: the value is not valid UTF-8"},
		{Metadata{"k": "a\r\nb: c"}, `metadata k: value "a\r\nb: c" has what can't be printed`},
		{Metadata{"k": " v"}, `metadata k: value " v" begins or ends with a space`},
	} {
		_, err := task.def.options.with([]Option{c.m})
		if !errors.Is(err, ErrInvalidOption) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: error = %v, want ErrInvalidOption with %q", c.m, err, c.want)
		}
	}
}

func TestChildrenHaveTheirOwnMetadata(t *testing.T) {
	child := Define[int, int]("metadata-child", Metadata{"of": "the definition"})
	var c Children
	child.Spawn(&c, 1)
	child.Spawn(&c, 2, Metadata{"of": "the spawn"})
	parent := ready(Policy{}, claimed)
	parent.Metadata = Metadata{"order": "42"}
	parent, _ = apply(t, parent, Returned{At: at(2), Children: c.spawns})
	for i, x := range parent.Children(parent.Spawns) {
		if want := (Metadata{"of": []string{"the definition", "the spawn"}[i]}); !maps.Equal(x.Metadata, want) {
			t.Errorf("child %d: metadata = %v, want %v", i, x.Metadata, want)
		}
	}
}
