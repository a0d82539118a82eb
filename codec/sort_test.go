package codec

import (
	"encoding/hex"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"
)

func TestEqualMapsAreEqualBytes(t *testing.T) {
	type holder struct {
		Counts map[string]int
		Any    any
		Deep   []map[int]map[string]inner
	}
	build := func() []any {
		counts, numbers, dynamic := map[string]int{}, map[int]string{}, map[string]any{}
		for i := range 40 {
			k := strings.Repeat("k", i%7) + fmt.Sprint(i)
			counts[k], numbers[i-20], dynamic[k] = i, k, map[uint8]int{uint8(i): 1, uint8(i + 1): 2}
		}
		return []any{
			counts, numbers, dynamic,
			map[string]string{"b": "", "a": ""}, map[string]bool{"b": true, "a": true},
			map[string][]byte{"x": {1}, "y": {2}, "z": nil},
			holder{counts, numbers, []map[int]map[string]inner{{1: {"b": {}, "a": {Name: "n"}}, 2: nil}, {}}},
			&holder{Counts: counts, Any: dynamic}, []any{counts, &numbers}, struct{ Any any }{counts},
		}
	}
	first := build()
	for i, v := range first {
		want := encode(t, MsgPack, v)
		for range 20 {
			if got := encode(t, MsgPack, build()[i]); !got.Equal(want) {
				t.Errorf("%T: got %x, want %x", v, got.Data, want.Data)
				break
			}
		}
		out := reflect.New(reflect.TypeOf(v))
		if err := want.Decode(out.Interface()); err != nil {
			t.Errorf("decode %T: %v", v, err)
		}
		switch v.(type) {
		case map[string]any, []any, *holder, struct{ Any any }:
			continue // integers come back as int64
		}
		if h, ok := v.(holder); ok {
			got := out.Elem().Interface().(holder)
			if !maps.Equal(got.Counts, h.Counts) || !reflect.DeepEqual(got.Deep, h.Deep) {
				t.Errorf("got %#v, want %#v", got, h)
			}
			continue
		}
		if got := out.Elem().Interface(); !reflect.DeepEqual(got, v) {
			t.Errorf("got %#v, want %#v", got, v)
		}
	}
}

func TestMapsAreSortedByTheirKeys(t *testing.T) {
	for _, v := range []any{
		map[string]int{"b": 1, "aa": 2, "": 3},
		map[string]any{"b": 1, "aa": 2, "": 3},
		map[string]uint8{"b": 1, "aa": 2, "": 3},
	} {
		if got, want := hex.EncodeToString(encode(t, MsgPack, v).Data), "83a003a2616102a16201"; got != want {
			t.Errorf("%T: got %s, want %s", v, got, want)
		}
	}
}
