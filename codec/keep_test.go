package codec_test

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/durable-execution/durable/codec"
)

type nested struct {
	A int `json:"a,omitempty"`
}

type older struct {
	Name   string  `json:"name"`
	Nested *nested `json:"nested,omitempty"`
	Plain  int
}

// later is what a later version has made of older.
func later(extra map[string]any) map[string]any {
	m := map[string]any{"name": "n", "nested": map[string]any{"a": 1}, "Plain": 2}
	for k, v := range extra {
		m[k] = v
	}
	return m
}

func TestFieldsThatAStructLacksAreKept(t *testing.T) {
	for what, extra := range map[string]map[string]any{
		"none":   {},
		"one":    {"z": "new"},
		"values": {"a": nil, "list": []any{int64(1), map[string]any{"x": 1.5}}, "name2": true},
		"many": func() map[string]any {
			m := map[string]any{}
			for i := range 40_000 {
				m[string(rune('a'+i%26))+string(rune(0x4e00+i/26))] = int64(i)
			}
			return m
		}(),
	} {
		t.Run(what, func(t *testing.T) {
			data, err := codec.Marshal(later(extra))
			if err != nil {
				t.Fatal(err)
			}
			var old older
			rest, err := codec.UnmarshalKeeping(data, &old)
			if err != nil {
				t.Fatal(err)
			}
			if want := (older{Name: "n", Nested: &nested{1}, Plain: 2}); !reflect.DeepEqual(old, want) {
				t.Errorf("decoded %+v, want %+v", old, want)
			}
			if (rest == nil) != (len(extra) == 0) {
				t.Errorf("%d bytes kept of %d fields", len(rest), len(extra))
			}

			old.Name = "changed"
			m := codec.NewMap(0)
			m.String("name", old.Name)
			outer := m.Open("nested")
			m.Int("a", int64(old.Nested.A))
			m.Close(outer)
			m.Int("Plain", int64(old.Plain))
			if err := m.Fields(rest); err != nil {
				t.Fatal(err)
			}
			data = m.Bytes()
			want := later(extra)
			want["name"] = "changed"
			var got map[string]any
			if err := codec.Unmarshal(data, &got); err != nil {
				t.Fatal(err)
			}
			sorted, err := codec.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			if wanted, err := codec.Marshal(want); err != nil || !bytes.Equal(sorted, wanted) {
				t.Errorf("written again: %v, %v, want %v", got, err, want)
			}
		})
	}
}

func TestFieldsWithinFieldsAreNotKept(t *testing.T) {
	data, err := codec.Marshal(map[string]any{"name": "n", "nested": map[string]any{"a": 1, "b": 2}})
	if err != nil {
		t.Fatal(err)
	}
	var old older
	rest, err := codec.UnmarshalKeeping(data, &old)
	if err != nil || rest != nil || old.Nested == nil || old.Nested.A != 1 {
		t.Errorf("decoded %+v, kept %x, %v, want a = 1 and nothing kept", old, rest, err)
	}
}

func TestKeepingRefusesWhatUnmarshalRefuses(t *testing.T) {
	for _, data := range [][]byte{nil, {0x81}, {0x81, 0xa1, 'x'}, {0x01}, {0x80, 0x80}, {0x81, 0xa4, 'n', 'a', 'm', 'e', 0x01}} {
		var a, b older
		_, err := codec.UnmarshalKeeping(data, &a)
		if want := codec.Unmarshal(data, &b); (err == nil) != (want == nil) {
			t.Errorf("%x: %v, want as Unmarshal: %v", data, err, want)
		}
	}
}
