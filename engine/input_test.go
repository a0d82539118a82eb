package engine

import (
	"errors"
	"strings"
	"testing"

	"github.com/durable-execution/durable/codec"
)

// TestInputThatNobodyHasValidatedIsJudged is about what an executor does with an input that
// came from elsewhere, an output of the step before for instance.
func TestInputThatNobodyHasValidatedIsJudged(t *testing.T) {
	type order struct {
		Item  string
		Count int
		Notes []string
	}
	plain := Define[order, int]("plain")
	strict := Define[order, int]("strict").InputSchema(`{"type":"object","properties":{"Count":{"type":"integer","minimum":1}}}`)
	encode := func(v any) codec.Payload {
		p, err := codec.Encode(v)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, c := range []struct {
		what string
		task Task[order, int]
		in   codec.Payload
		want string // of the error
	}{
		{"what the type is encoded to", plain, encode(order{"a", 0, []string{"b"}}), ""},
		{"its zero", plain, encode(order{}), ""},
		{"its fields in another order", plain, encode(map[string]any{"Notes": nil, "Item": "a", "Count": 1}), ""},
		{"JSON", plain, codec.Payload{Type: codec.JSON, Data: []byte(`{"Item":"a","Count":1,"Notes":[]}`)}, ""},
		{"a field is missing", plain, encode(map[string]any{"Item": "a"}), "Count"},
		{"a field of another type", plain, encode(map[string]any{"Item": "a", "Count": "1", "Notes": nil}), "Count"},
		{"no MessagePack", plain, codec.Payload{Type: codec.MsgPack, Data: []byte{0xc1}}, "0xc1"},
		{"a written schema accepts it", strict, encode(order{"a", 1, nil}), ""},
		{"a written schema refuses it", strict, encode(order{"a", 0, nil}), "minimum"},
	} {
		in, err := c.task.decode(Input{Payload: c.in}, false)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.what, err)
		case c.want != "" && (!errors.Is(err, ErrInvalidInput) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %+v, %v, want ErrInvalidInput about %s", c.what, in, err, c.want)
		}
	}
}

// BenchmarkUnvalidatedInput is the input of a step of a sequence.
func BenchmarkUnvalidatedInput(b *testing.B) {
	task := Define[[]byte, int]("task")
	in := Input{Payload: codec.Payload{Type: codec.MsgPack, Data: append([]byte{0xc5, 1, 44}, make([]byte, 300)...)}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := task.decode(in, false); err != nil {
			b.Fatal(err)
		}
	}
}
