package engine

import (
	"errors"
	"fmt"
	"testing"

	"github.com/durable-execution/durable/codec"
)

func TestAnInputIsLeftOnlyToATypeThatReadsIt(t *testing.T) {
	type before struct {
		Qty string `json:"qty"`
	}
	type after struct {
		Qty int `json:"qty"`
	}
	older, newer := Define[before, int]("order").def, Define[after, int]("order").def
	given, err := codec.Encode(before{"three"})
	if err != nil {
		t.Fatal(err)
	}
	in := Input{Payload: given}
	another := older.Bound()
	another.ID = "another"
	bare := older.Bound()
	bare.InputSchema = nil
	for what, c := range map[string]struct {
		d     *Definition
		in    Input
		bound []BoundTask
		want  bool
	}{
		"the older type":   {newer, in, []BoundTask{newer.Bound(), older.Bound()}, true},
		"nobody else":      {newer, in, nil, false},
		"the same type":    {newer, in, []BoundTask{newer.Bound()}, false},
		"another task":     {newer, in, []BoundTask{another}, false},
		"without a schema": {newer, in, []BoundTask{bare}, false},
		"its own input":    {older, in, []BoundTask{newer.Bound()}, false},
		"nobody's input":   {newer, Input{Payload: codec.Payload{Type: codec.JSON, Data: []byte(`[]`)}}, []BoundTask{older.Bound()}, false},
		"a finalize":       {newer, Input{Payload: given, Joined: &Joined[codec.Payload, codec.Payload]{}}, []BoundTask{older.Bound()}, false},
	} {
		if got := c.d.ReadElsewhere(c.in, c.bound); got != c.want {
			t.Errorf("%s: read elsewhere = %v, want %v", what, got, c.want)
		}
	}
}

func TestOnlyAnErrorFromBeforeTheCodeIsARefusedInput(t *testing.T) {
	why := fmt.Errorf("%w: why", ErrInvalidInput)
	for err, want := range map[error]bool{
		refuseInput(why): true, refuseSpawns(why): false, fmt.Errorf("code: %w", refuseInput(why)): false, why: false, errors.New("x"): false,
	} {
		if got := InputRefused(err); got != want {
			t.Errorf("%v: refused = %v, want %v", err, got, want)
		}
	}
}
