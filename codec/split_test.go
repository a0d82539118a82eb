package codec_test

import (
	"bytes"
	"errors"
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

// read reads the fields that it knows, and returns the others.
func (o *older) read(data []byte) ([]byte, error) {
	m, err := codec.SplitMap(data)
	if err != nil {
		return nil, err
	}
	for name, to := range map[string]any{"name": &o.Name, "nested": &o.Nested, "Plain": &o.Plain} {
		if value, ok := m.Take(name); ok {
			err = errors.Join(err, codec.Unmarshal(value, to))
		}
	}
	return m.Rest(), err
}

// later returns an older value as a later version writes it, with the fields in extra.
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
			rest, err := old.read(data)
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
	rest, err := old.read(data)
	if err != nil || rest != nil || old.Nested == nil || old.Nested.A != 1 {
		t.Errorf("decoded %+v, kept %x, %v, want a = 1 and nothing kept", old, rest, err)
	}
}

func TestSplittingRefusesTheSameDataAsUnmarshal(t *testing.T) {
	for _, data := range [][]byte{nil, {0x81}, {0x81, 0xa1, 'x'}, {0x01}, {0x80, 0x80}, {0x81, 0xa4, 'n', 'a', 'm', 'e', 0x01}} {
		var a, b older
		_, err := a.read(data)
		if want := codec.Unmarshal(data, &b); (err == nil) != (want == nil) {
			t.Errorf("%x: %v, want as Unmarshal: %v", data, err, want)
		}
	}
}

func TestTheLastOfTwoEqualFieldsCounts(t *testing.T) {
	m, err := codec.SplitMap([]byte("\x83\xa1a\x01\xa1b\x02\xa1a\x03"))
	if err != nil {
		t.Fatal(err)
	}
	if value, ok := m.Take("a"); !ok || !bytes.Equal(value, []byte{3}) {
		t.Errorf("a = %x, %t, want 3", value, ok)
	}
	if rest := m.Rest(); string(rest) != "\x81\xa1b\x02" {
		t.Errorf("rest = %x, want b alone", rest)
	}
}

func TestNullIsSplitIntoNothing(t *testing.T) {
	if m, err := codec.SplitMap([]byte{0xc0}); m != nil || err != nil {
		t.Errorf("map of null: %v, %v, want nil", m, err)
	}
	if l, err := codec.SplitList([]byte{0xc0}); l != nil || err != nil {
		t.Errorf("list of null: %v, %v, want nil", l, err)
	}
}

func TestListsAreSplitIntoTheirElements(t *testing.T) {
	for _, n := range []int{0, 1, 15, 16, 70000} {
		data, err := codec.Marshal(make([]nested, n))
		if err != nil {
			t.Fatal(err)
		}
		if list, err := codec.SplitList(data); err != nil || len(list) != n {
			t.Errorf("%d elements: got %d, %v", n, len(list), err)
		}
	}
	for _, data := range []string{"", "\x91", "\x80", "\x01", "\x90\x90", "\xa1x", "\xc4\x01x"} {
		if list, err := codec.SplitList([]byte(data)); err == nil {
			t.Errorf("%x is split into %x", data, list)
		}
	}
}
