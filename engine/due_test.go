package engine

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/durable-execution/durable/codec"
)

// waiting returns populated with only the fields that a ready message has.
func waiting() Execution {
	x := populated()
	return Execution{
		Parent: x.Parent, Index: x.Index, Only: x.Only, IsFinalize: x.IsFinalize, RetryOf: x.RetryOf, Policy: x.Policy,
		Input: x.Input, InputFrom: x.InputFrom, Validated: x.Validated, Metadata: x.Metadata, Sleeping: x.Sleeping, CreatedAt: x.CreatedAt,
	}
}

func TestReadyMessageIsReadAsItWasWritten(t *testing.T) {
	json := waiting()
	json.Input = codec.Payload{Type: codec.JSON, Data: []byte("1")}
	for _, want := range []Execution{waiting(), json, {}, {Policy: Policy{Retention: Forever}}, {Input: text("no policy")}} {
		data := EncodeDue(&want)
		var got Execution
		if err := DecodeDue(data, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
	golden(t, "due.hex", fmt.Appendf(nil, "%x\n", EncodeDue(new(waiting()))))
}

// TestReadyMessageCanNotSetOtherFields decodes a message with fields that only a record may have. If
// these fields got into the record, a client with the right to enqueue could set any of them.
func TestReadyMessageCanNotSetOtherFields(t *testing.T) {
	data := []byte("\xc1\x84\xa5later\x01\xa8outputOf\xa7te_root\xa6status\xa9completed\xa5index\x02")
	var got Execution
	if err := DecodeDue(data, &got); err != nil || !reflect.DeepEqual(got, Execution{Index: 2}) {
		t.Errorf("got %+v, %v, want index 2 and nothing else", got, err)
	}
}

func TestGarbageIsNotAReadyMessage(t *testing.T) {
	full := EncodeDue(new(waiting()))
	for what, data := range map[string][]byte{
		"nothing": nil, "an input": []byte(`{"a":1}`), "the mark alone": {dueMark}, "a list": {dueMark, 0x91, 1}, "half of it": full[:len(full)/2],
		"more than it": append(bytes.Clone(full), 0), "a field of another type": append([]byte{dueMark}, "\x81\xa5index\xa11"...),
	} {
		if err := DecodeDue(data, new(Execution)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v, want ErrDamaged", what, err)
		}
	}
	later, err := codec.Marshal(map[string]any{"v": Version + 1, "parentId": "te_root"})
	if err != nil {
		t.Fatal(err)
	}
	var x Execution
	if err := DecodeDue(append([]byte{dueMark}, later...), &x); !errors.Is(err, ErrNewer) || x.Parent != "te_root" {
		t.Errorf("of a later version: %+v, %v, want ErrNewer and the known fields", x, err)
	}
}

// FuzzDecodeDue compares the reader in order with the loose reader.
func FuzzDecodeDue(f *testing.F) {
	for _, x := range []Execution{waiting(), fresh(), {}} {
		f.Add(EncodeDue(&x)[1:])
	}
	f.Add([]byte("\x81\xa5later\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		bothReaders(t, data, func(x *Execution, f *fields) { x.due(f) })
		data = append([]byte{dueMark}, data...)
		var x Execution
		if err := DecodeDue(data, &x); err != nil {
			return
		}
		again := EncodeDue(&x)
		var y Execution
		if err := DecodeDue(again, &y); err != nil || !bytes.Equal(EncodeDue(&y), again) {
			t.Fatalf("%+v encoded and decoded again is %+v, %v", x, y, err)
		}
	})
}
