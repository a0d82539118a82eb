package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

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

// Whoever drops what InputSchema or ValidateInput returns, or took a copy of the task before,
// has the schema and the validator all the same.
func TestValidatorsAreThoseOfEveryCopyOfATask(t *testing.T) {
	even := func(n int) (int, error) {
		if n%2 != 0 {
			return 0, errors.New("odd")
		}
		return n + 100, nil
	}
	task, poll, sleeping := Define[int, int]("task"), DefinePoll[int, int]("poll", Poll{Every: time.Second}), DefineSleeping[int, int]("sleeping")
	bound := Bind(task, func(_ context.Context, n int) (int, error) { return n, nil })
	copies := []Task[int, int]{task, poll.Task, sleeping.Task}
	task.ValidateInput(even)
	task.InputSchema(`{"maximum": 10}`)
	poll.ValidateInput(even)
	poll.InputSchema(`{"maximum": 10}`)
	sleeping.ValidateInput(even)
	sleeping.InputSchema(`{"maximum": 10}`)
	var c *Client // which encodes by default
	for _, one := range append(copies, task, poll.Task, sleeping.Task) {
		for in, want := range map[int]string{4: "", 3: "odd", 12: "maximum"} {
			p, err := one.encode(c, in, Encoding{})
			if want == "" {
				var got int
				if err != nil || p.Decode(&got) != nil || got != 104 {
					t.Errorf("%s: %d became %d, %v, want 104", one.ID(), in, got, err)
				}
				continue
			}
			if !errors.Is(err, ErrInvalidInput) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %d gave %v, want it refused for %q", one.ID(), in, err, want)
			}
		}
	}
	// A client in another language has validated nothing; the executor does.
	for in, want := range map[string]string{"4": "104", "3": "odd", "12": "maximum"} {
		out, err := bound.Run(NewContext(t.Context(), Run{Client: c}), Input{Payload: codec.Payload{Type: codec.JSON, Data: []byte(in)}})
		if got := string(out.Output.Data) + fmt.Sprint(err); !strings.Contains(got, want) {
			t.Errorf("executed with %s: %s, want %s in it", in, got, want)
		}
	}
}
