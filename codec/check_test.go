package codec

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestTruncatedValuesAreRefused(t *testing.T) {
	whole := encode(t, MsgPack, struct {
		E everything
		T time.Time
		L string
	}{something(), time.Now(), strings.Repeat("x", 300)}).Data
	for n := range len(whole) {
		var v any
		if err := Unmarshal(whole[:n], &v); err == nil {
			t.Errorf("the first %d of %d bytes: no error", n, len(whole))
		}
		if _, err := check(whole[:n]); err == nil {
			t.Errorf("check of the first %d of %d bytes: no error", n, len(whole))
		}
	}
}

func TestExtensionsOtherThanTimestampsAreRefused(t *testing.T) {
	for _, data := range []string{
		"d40500", "d60500000000", "d7050000000000000000", "d480ff", "c70305010203", "c8000105ff", "c90000000105ff",
		"d4ff00", "d5ff0000", "c705ff0000000000", "d8ff" + strings.Repeat("00", 16), "d6", "c7", "c704", "c704ff",
	} {
		b, err := hex.DecodeString(data)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range []any{new(any), new(Payload), new(time.Time), new(map[string]any)} {
			if err := Unmarshal(b, v); err == nil {
				t.Errorf("%s into %T: no error", data, v)
			}
		}
	}
}

// hostile has short inputs that ask the decoder for gigabytes of memory.
var hostile = map[string][]byte{
	"array32":               {0xdd, 0xff, 0xff, 0xff, 0xff},
	"map32":                 {0xdf, 0xff, 0xff, 0xff, 0xff},
	"array of arrays":       bytes.Repeat([]byte{0xdd, 0x00, 0xff, 0xff, 0xff}, 1000),
	"bin32":                 {0xc6, 0xff, 0xff, 0xff, 0xff},
	"str32":                 {0xdb, 0xff, 0xff, 0xff, 0xff},
	"ext32":                 {0xc9, 0xff, 0xff, 0xff, 0xff, 0xff},
	"map32 in a timestamp":  {0xd7, 0xff, 0xdf, 0xff, 0xff, 0xff, 0xff, 0, 0, 0},
	"the same in a field":   {0x81, 0xa1, 'M', 0xd7, 0xff, 0xdf, 0xff, 0xff, 0xff, 0xff, 0, 0, 0},
	"the same after a time": {0x82, 0xa1, 'T', 0xd6, 0xff, 0xdf, 0xff, 0xff, 0xff, 0xa1, 'M', 0xd6, 0xff, 0xdf, 0xff, 0xff, 0xff},
	"nested arrays":         bytes.Repeat([]byte{0x91}, 8<<20),
	"nested maps":           bytes.Repeat([]byte{0x81, 0xa0}, 4<<20),
	"nested, skipped":       append([]byte{0x81, 0xa1, 'x'}, bytes.Repeat([]byte{0x91}, 8<<20)...),
	"nested, whole":         append(bytes.Repeat([]byte{0x91}, 1<<20), 0xc0),
}

func TestHostileLengthsTakeNoMemory(t *testing.T) {
	for name, data := range hostile {
		for _, v := range targets() {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := Unmarshal(data, v)
			runtime.ReadMemStats(&after)
			// Some targets read or skip a timestamp whose bytes look like a map.
			if _, bad := check(data); err == nil && bad != nil {
				t.Errorf("%s into %T: no error, want %v", name, v, bad)
			}
			if got, most := after.TotalAlloc-before.TotalAlloc, uint64(1<<20); got > most {
				t.Errorf("%s into %T: allocated %d bytes, want at most %d", name, v, got, most)
			}
		}
	}
}

func TestTimestampIsNotReadAsAMap(t *testing.T) {
	data := hostile["map32 in a timestamp"]
	for _, v := range []any{new(map[string]any), new(map[string]string), new(map[string]int), new(map[int]inner)} {
		if err := UnmarshalRecord(data, v); err != errStamp {
			t.Errorf("into %T: error = %v, want %v", v, err, errStamp)
		}
		if err := Unmarshal(data, v); err == nil || !strings.Contains(err.Error(), "want object") {
			t.Errorf("into %T: error = %v, want one that names the wanted type", v, err)
		}
	}
	var got time.Time
	if err := Unmarshal(data, &got); err != nil || got.IsZero() {
		t.Errorf("got %s, %v, want a time", got, err)
	}
}

func TestNestingIsBounded(t *testing.T) {
	nested := func(n int, level ...byte) []byte { return append(bytes.Repeat(level, n), 0x01) }
	for _, level := range [][]byte{{0x91}, {0x81, 0xa0}, {0xdc, 0, 1}} {
		var v any
		if err := Unmarshal(nested(maxNesting, level...), &v); err != nil {
			t.Errorf("%x %d deep: %v", level, maxNesting, err)
		}
		if err := Unmarshal(nested(maxNesting+1, level...), &v); err != errNesting {
			t.Errorf("%x %d deep: error = %v, want %v", level, maxNesting+1, err, errNesting)
		}
	}
	// Values next to each other do not count as nested.
	wide := append([]byte{0xdc, 0xff, 0xff}, bytes.Repeat([]byte{0x91, 0x90}, 0xffff)...)
	var v []any
	if err := Unmarshal(wide, &v); err != nil || len(v) != 0xffff {
		t.Errorf("got %d elements, %v, want %d", len(v), err, 0xffff)
	}
}

func TestPanicOfTheDecoderBecomesAnError(t *testing.T) {
	for _, c := range []struct {
		data []byte
		v    any
	}{
		{[]byte{0x01}, new(error)},                   // an int does not implement error
		{[]byte{0x81, 0x90, 0x01}, new(map[any]int)}, // a list can't be a key
	} {
		if err := Unmarshal(c.data, c.v); err == nil {
			t.Errorf("%x into %T: no error", c.data, c.v)
		}
	}
}

func TestErrorLeavesNothingBehindForTheNextCall(t *testing.T) {
	want := encode(t, MsgPack, holder{1, Payload{JSON, []byte(`{"a":[1]}`)}, "x"})
	for name, data := range hostile {
		for _, v := range targets() {
			if err := Unmarshal(data[:min(len(data), 100)], v); err == nil {
				continue
			}
			var got holder
			if err := want.Decode(&got); err != nil || got.Before != 1 || got.After != "x" || hex.EncodeToString(got.P.Data) != "81a1619101" {
				t.Fatalf("after %s into %T: got %+v, %v", name, v, got, err)
			}
		}
	}
}

func TestInterfaceThatHeldSomethingTakesTheNewValue(t *testing.T) {
	for _, p := range []Payload{{MsgPack, []byte{0x81, 0xa1, 'a', 0x01}}, {JSON, []byte(`{"a":1}`)}} {
		for _, old := range []any{map[string]any{"b": 2}, 3, "text", something(), new(int)} {
			v := old
			if err := p.Decode(&v); err != nil || !reflect.DeepEqual(v, map[string]any{"a": int64(1)}) {
				t.Errorf("%s over %#v: got %#v, %v", p.Type, old, v, err)
			}
		}
	}
}

// targets returns values to decode into, each of which uses another part of the decoder.
func targets() []any {
	type node struct {
		T    time.Time
		M    map[string]any
		Next *node
		List []node
		P    Payload
		E    error
	}
	return []any{
		new(any), new(everything), new(holder), new(node), new(Payload), new(time.Time), new(struct{}),
		new(map[string]any), new(map[string]string), new(map[string]int), new(map[int]inner), new(map[any]any),
		new([]any), new([]string), new([]int), new([]byte), new([4]byte), new([][]byte), new([]inner),
		new(int), new(uint8), new(float64), new(string), new(bool),
	}
}

func FuzzUnmarshal(f *testing.F) {
	for _, v := range []any{nil, 1, -1, 1.5, "text", []byte{1}, something(), []any{1, "a"}, map[int]string{1: "x"}, time.Unix(1, 2), time.Unix(0xdf000001, 0)} {
		data, err := Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, data := range hostile {
		f.Add(data[:min(len(data), 100)])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, bad := check(data)
		for _, v := range targets() {
			if err := Unmarshal(data, v); err == nil && bad != nil {
				t.Errorf("%x into %T: no error, want %v", data, v, bad)
			}
		}
		if bad != nil {
			return
		}
		// Encode and decode the interface's value again: it must stay the same.
		var first any
		if Unmarshal(data, &first) != nil {
			return
		}
		again, err := Marshal(first)
		if err != nil {
			t.Fatalf("marshal %#v: %v", first, err)
		}
		var second any
		if err := Unmarshal(again, &second); err != nil {
			t.Fatalf("unmarshal %x of %#v: %v", again, first, err)
		}
		if twice, err := Marshal(second); err != nil || !bytes.Equal(twice, again) {
			t.Errorf("%x became %x, %v", again, twice, err)
		}
		// If the data can be transcoded to JSON, the JSON can be transcoded back.
		if p, err := EncodeAs(JSON, Payload{MsgPack, data}); err == nil {
			if _, err := EncodeAs(MsgPack, p); err != nil {
				t.Errorf("%x is %s in JSON, which can't be transcoded back: %v", data, p.Data, err)
			}
		}
	})
}
