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

// TestUnvalidatedInputIsChecked decodes inputs that no process has validated, such as
// the output of the previous step.
func TestUnvalidatedInputIsChecked(t *testing.T) {
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
		want string // in the error
	}{
		{"an encoded value of the type", plain, encode(order{"a", 0, []string{"b"}}), ""},
		{"its zero value", plain, encode(order{}), ""},
		{"its fields in another order", plain, encode(map[string]any{"Notes": nil, "Item": "a", "Count": 1}), ""},
		{"JSON", plain, codec.Payload{Type: codec.JSON, Data: []byte(`{"Item":"a","Count":1,"Notes":[]}`)}, ""},
		{"a field is missing", plain, encode(map[string]any{"Item": "a"}), "Count"},
		{"a field of another type", plain, encode(map[string]any{"Item": "a", "Count": "1", "Notes": nil}), "Count"},
		{"invalid MessagePack", plain, codec.Payload{Type: codec.MsgPack, Data: []byte{0xc1}}, "0xc1"},
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

// BenchmarkUnvalidatedInput decodes the input of a step of a sequence.
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

// All copies of a task have the schema and the validator: also a copy that was made before, and
// the task itself if the caller drops the results of InputSchema and ValidateInput.
func TestEveryCopyOfATaskHasItsValidators(t *testing.T) {
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
	var c *Client // a nil client uses the default encoding
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
	// A client in another language does not validate the input. The executor does.
	for in, want := range map[string]string{"4": "104", "3": "odd", "12": "maximum"} {
		out, err := bound.Run(NewContext(t.Context(), Run{Client: c}), Input{Payload: codec.Payload{Type: codec.JSON, Data: []byte(in)}})
		if got := string(out.Output.Data) + fmt.Sprint(err); !strings.Contains(got, want) {
			t.Errorf("executed with %s: %s, want %s in it", in, got, want)
		}
	}
}
