package engine

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"

	"github.com/durable-execution/durable/codec"
)

// bothReaders fails the test if the reader in order accepts data, and the loose reader refuses it
// or reads another value.
func bothReaders[T any](t *testing.T, data []byte, list func(*T, *fields)) {
	t.Helper()
	var a, b T
	f := readingInOrder(data)
	if list(&a, &f); !f.done() {
		return
	}
	f, err := readingLoosely(data)
	if err == nil {
		list(&b, &f)
		err = f.err
	}
	if err != nil {
		t.Fatalf("the reader in order accepts %x, but the loose reader returns %v", data, err)
	}
	written := func(x *T) []byte {
		f := writing(nil, 0)
		list(x, &f)
		return f.w.Bytes()
	}
	if in, any := written(&a), written(&b); !bytes.Equal(in, any) {
		t.Fatalf("%x: the reader in order gives %x, the loose reader %x", data, in, any)
	}
}

// TestFieldsAreReadInAnyOrder reads records whose fields are in another order than in the list,
// as encoders in other languages may write maps.
func TestFieldsAreReadInAnyOrder(t *testing.T) {
	want := populated()
	data, err := EncodeRecord(want)
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		shuffled := shuffle(t, data)
		got, err := DecodeRecord(shuffled)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%x: got %+v, %v, want %+v", shuffled, got, err, want)
		}
	}
}

// shuffle returns a map with its entries in a random order, the order of a Go map.
func shuffle(t *testing.T, data []byte) []byte {
	t.Helper()
	var m map[string]codec.Payload
	if err := codec.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	w := codec.NewMap(0)
	for name, value := range m {
		entry, err := codec.Marshal(map[string]codec.Payload{name: value})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Fields(entry); err != nil {
			t.Fatal(err)
		}
	}
	return w.Bytes()
}

// TestEachFieldIsWrittenAlone sets one field of an execution at a time. It finds a field that is
// written only if another is set, or under the name of another.
func TestEachFieldIsWrittenAlone(t *testing.T) {
	full := reflect.ValueOf(populated())
	for i := range full.NumField() {
		field := full.Type().Field(i)
		want := Execution{ID: "te_x", Status: Ready}
		reflect.ValueOf(&want).Elem().Field(i).Set(full.Field(i))
		data, err := EncodeRecord(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeRecord(data)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s alone: got %+v, %v, want %+v", field.Name, got, err, want)
		}
	}
}

// TestWritingChangesNothing checks that encoding does not change its argument. Other goroutines
// may share the argument, so even storing an equal value would be a race.
func TestWritingChangesNothing(t *testing.T) {
	x := populated()
	x.CreatedAt, x.Policy.Timeout = x.CreatedAt.Add(1), x.Policy.Timeout+1 // less than a millisecond
	x.History[0].EndedAt = x.History[0].EndedAt.Add(1)
	before := fmt.Sprintf("%+v %+v %+v", x, x.Failure, x.Finalize)
	if _, err := EncodeRecord(x); err != nil {
		t.Fatal(err)
	}
	EncodeDue(&x)
	if after := fmt.Sprintf("%+v %+v %+v", x, x.Failure, x.Finalize); after != before {
		t.Errorf("after: %s\nbefore: %s", after, before)
	}
}
