package engine

import (
	"bytes"
	"testing"

	"github.com/durable-execution/durable/codec"
)

// marshalled fails unless what was written field by field is what reflection makes
// of the same.
func marshalled(t *testing.T, wire any, got []byte, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	want, err := codec.Marshal(wire)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%T: %x\nwant as codec.Marshal has it: %x", wire, got, want)
	}
}

// TestRecordsAreEncodedAsReflectionEncodesThem sets each field of a record alone,
// and all of them, so that a field that was forgotten shows.
func TestRecordsAreEncodedAsReflectionEncodesThem(t *testing.T) {
	data, err := EncodeRecord(populated())
	if err != nil {
		t.Fatal(err)
	}
	var r record
	if err := codec.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	data, err = r.encode(nil, nil)
	marshalled(t, &r, data, err)
	for _, alone := range one(r) {
		data, err := alone.encode(nil, nil)
		marshalled(t, &alone, data, err)
	}
	zero := record{Policy: &policy{}, Failure: &failure{}, Finalize: &spawn{}, Spawns: make([]spawn, 20), History: make([]attempt, 1)}
	data, err = zero.encode(nil, nil)
	marshalled(t, &zero, data, err)
}

func TestClosuresAreEncodedAsReflectionEncodesThem(t *testing.T) {
	full := Closure{
		Parent: "p", ID: "p.0", Task: "task", Index: 300, IsFinalize: true, IsWake: true, Again: true, Status: Completed, Message: "why",
		Output: text("out"), OutputOf: "p.f-f",
	}
	w := full.wire()
	w.Version = 2
	for _, w := range []*closure{w, {}, {Index: 1}} {
		marshalled(t, w, w.encode(), nil)
	}
	for _, alone := range one(*w) {
		marshalled(t, &alone, alone.encode(), nil)
	}
}
