package engine

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func fullClosure() Closure {
	return Closure{
		Parent: "te_root", ID: "te_root.3", Task: "task", Index: 3, IsFinalize: true, IsWake: true, Again: true, Status: Failed, Message: "why",
		Output: text("out"), OutputOf: "te_root.3-f",
	}
}

func fullCancel() Cancel {
	return Cancel{ID: "te_root.3", At: at(1), Reason: "because", Parent: "te_root", Born: at(0)}
}

func TestEveryFieldOfAMessageIsOnTheWire(t *testing.T) {
	for _, list := range [][]string{zeros(reflect.ValueOf(fullClosure()), "Closure"), zeros(reflect.ValueOf(fullCancel()), "Cancel")} {
		if len(list) > 0 {
			t.Errorf("%s left zero: fill them, so that a field that the message forgets is found", strings.Join(list, ", "))
		}
	}
	closure, err := EncodeClosure(fullClosure())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeClosure(closure); err != nil || !reflect.DeepEqual(got, fullClosure()) {
		t.Errorf("got %+v, %v, want %+v", got, err, fullClosure())
	}
	cancel, err := EncodeCancel(fullCancel())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeCancel(cancel); err != nil || got != fullCancel() {
		t.Errorf("got %+v, %v, want %+v", got, err, fullCancel())
	}
	golden(t, "message.hex", fmt.Appendf(nil, "closure %x\ncancel %x\n", closure, cancel))
}

func TestMessagesAreBounded(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	closure, err := EncodeClosure(Closure{Parent: "te_root", Status: Failed, Message: long})
	if most := maxMessage + 200; err != nil || len(closure) > most {
		t.Errorf("a closure of %d bytes, %v, want at most %d", len(closure), err, most)
	}
	cancel, err := EncodeCancel(Cancel{ID: "te_root", Reason: long})
	if most := maxText + 200; err != nil || len(cancel) > most {
		t.Errorf("a cancellation of %d bytes, %v, want at most %d", len(cancel), err, most)
	}
}

func TestGarbageIsNotAMessage(t *testing.T) {
	active, err := EncodeClosure(Closure{Parent: "te_root", ID: "te_root.1", Status: Running})
	if err != nil {
		t.Fatal(err)
	}
	orphan, err := EncodeClosure(Closure{ID: "te_root", Status: Completed})
	if err != nil {
		t.Fatal(err)
	}
	nameless, err := EncodeCancel(Cancel{ID: "te root"})
	if err != nil {
		t.Fatal(err)
	}
	garbage := map[string][]byte{"nothing": nil, "null": {0xc0}, "an empty map": {0x80}, "half a map": {0x81}, "JSON": []byte(`{"executionId":"te_x"}`)}
	for what, data := range garbage {
		if c, err := DecodeClosure(data); err == nil {
			t.Errorf("%s: closure %+v, want an error", what, c)
		}
		if c, err := DecodeCancel(data); err == nil {
			t.Errorf("%s: cancellation %+v, want an error", what, c)
		}
	}
	for what, data := range map[string][]byte{"of an active one": active, "without a parent": orphan} {
		if c, err := DecodeClosure(data); err == nil {
			t.Errorf("closure %s: %+v, want an error", what, c)
		}
	}
	if c, err := DecodeCancel(nameless); err == nil {
		t.Errorf("cancellation without a valid id: %+v, want an error", c)
	}
}

func TestFinishedParentCancelsUnfinishedChildren(t *testing.T) {
	x := ready(Policy{}, claimed, spawned(3, nil), ending(end(1, Completed)), cancelled)
	want := []Cancel{
		{ID: "te_root.3-0", At: at(9), Parent: "te_root.3", Reason: "parent te_root.3: cancelled"},
		{ID: "te_root.3-2", At: at(9), Parent: "te_root.3", Reason: "parent te_root.3: cancelled"},
	}
	if got := x.CancelsBelow(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestUnbornEqualsTheSpawnedExecution(t *testing.T) {
	x := ready(Policy{}, claimed, spawned(12, &finalize), cancelled)
	for i, s := range x.Spawns {
		got, ok := x.Unborn(childID(x.ID, i), x.Spawns)
		if want := x.Child(i, s); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("child %d: got %+v, %v, want %+v", i, got, ok, want)
		}
	}
	if got, ok := x.Unborn(finalizeID(x.ID), x.Spawns); !ok || !reflect.DeepEqual(got, x.FinalizeExecution()) {
		t.Errorf("finalize: got %+v, %v, want %+v", got, ok, x.FinalizeExecution())
	}
	for _, id := range []string{
		"", x.ID, "te_root", childID(x.ID, 12), childID(x.ID, -1), "te_root.3-01", "te_root.3-+1", "te_root.4-1",
		childID(childID(x.ID, 1), 1), finalizeID(childID(x.ID, 1)), "te_other.3-1", "te_root.3-" + strings.Repeat("9", 30),
	} {
		if got, ok := x.Unborn(id, x.Spawns); ok {
			t.Errorf("%q: got %+v, want nothing", id, got)
		}
	}
	if got, ok := ready(Policy{}, claimed, spawned(1, nil)).Unborn(finalizeID(x.ID), nil); ok {
		t.Errorf("without a finalize: got %+v, want nothing", got)
	}
}

func TestChildOfADeepParentIsFoundByItsID(t *testing.T) {
	x := ready(Policy{}, claimed, spawned(3, nil))
	for depth := range 100 {
		x.ID = childID(x.ID, depth)
		got, ok := x.Unborn(childID(x.ID, 2), x.Spawns)
		if !ok || got.ID != childID(x.ID, 2) || got.Parent != x.ID || got.Index != 2 {
			t.Fatalf("depth %d: got %+v, %v", depth, got, ok)
		}
	}
}

// FuzzDecodeClosure compares the reader in order with the loose reader.
func FuzzDecodeClosure(f *testing.F) {
	data, err := EncodeClosure(fullClosure())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		bothReaders(t, data, func(c *Closure, f *fields) { c.fields(f) })
	})
}
