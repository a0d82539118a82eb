package codec

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"
	"time"
)

type holder struct {
	Before int     `json:"before"`
	P      Payload `json:"p"`
	After  string  `json:"after"`
}

func TestPayloadInAnotherValueIsEncodedAsItsValue(t *testing.T) {
	for _, of := range []Type{MsgPack, JSON} {
		for _, in := range []Type{MsgPack, JSON} {
			want := something()
			if of == JSON && in == MsgPack { // see TestJSONTextStaysTextInMessagePack
				want.Bytes, want.ByNumber = nil, nil
			}
			p := encode(t, in, holder{1, encode(t, of, want), "x"})

			// A reader that knows the type decodes the value itself.
			var plain struct {
				Before int        `json:"before"`
				P      everything `json:"p"`
				After  string     `json:"after"`
			}
			if err := p.Decode(&plain); err != nil {
				t.Errorf("%s in %s: %v", of, in, err)
				continue
			}
			if !reflect.DeepEqual(plain.P, want) || plain.Before != 1 || plain.After != "x" {
				t.Errorf("%s in %s: got %#v, want %#v", of, in, plain, want)
			}

			// A reader that does not know it decodes a payload, to decode later.
			var later holder
			if err := p.Decode(&later); err != nil {
				t.Errorf("%s in %s: %v", of, in, err)
				continue
			}
			if later.P.Type != in {
				t.Errorf("%s in %s: type of the inner = %q, want %q", of, in, later.P.Type, in)
			}
			var got everything
			if err := later.P.Decode(&got); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s in %s, later: got %#v, %v, want %#v", of, in, got, err, want)
			}
			if later.Before != 1 || later.After != "x" {
				t.Errorf("%s in %s: neighbours = %d, %q, want 1, \"x\"", of, in, later.Before, later.After)
			}
		}
	}
}

func TestPayloadComesBackFromTheOtherEncodingAsTheSameValue(t *testing.T) {
	for name, v := range map[string]any{
		"map with integer keys": map[int]string{1: "one", 20: "twenty"},
		"bytes":                 []byte{0xff, 0x00, 0xc1},
		"large integer":         int64(1<<53 + 1),
		"largest integer":       uint64(math.MaxUint64),
		"float":                 0.1,
		"time":                  time.UnixMilli(1_700_000_000_123).UTC(),
		"text":                  "<a & \"b\">",
		"empty list":            []int{},
		"list of payloads":      []Payload{{JSON, []byte(`1`)}, {}},
	} {
		for from, to := range map[Type]Type{MsgPack: JSON, JSON: MsgPack} {
			if from == JSON && (name == "bytes" || name == "map with integer keys") {
				continue // see TestJSONTextStaysTextInMessagePack
			}
			there := encode(t, to, encode(t, from, v))
			if there.Type != to {
				t.Errorf("%s: type = %q, want %q", name, there.Type, to)
			}
			out := reflect.New(reflect.TypeOf(v))
			if err := there.Decode(out.Interface()); err != nil {
				t.Errorf("%s from %s to %s %q: %v", name, from, to, there.Data, err)
				continue
			}
			got := out.Elem().Interface()
			switch want := v.(type) {
			case time.Time:
				if !got.(time.Time).Equal(want) {
					t.Errorf("%s from %s to %s: got %v, want %v", name, from, to, got, want)
				}
			case []Payload:
				var n int
				if err := got.([]Payload)[0].Decode(&n); err != nil || n != 1 || !got.([]Payload)[1].IsZero() {
					t.Errorf("%s from %s to %s: got %v, %v, want 1 and null", name, from, to, got, err)
				}
			default:
				if !reflect.DeepEqual(got, want) {
					t.Errorf("%s from %s to %s: got %#v, want %#v", name, from, to, got, want)
				}
			}
		}
	}
}

// JSON has strings instead of bytes, and strings as keys. Without the original type, the
// transcoder can't tell these strings from others.
func TestJSONTextStaysTextInMessagePack(t *testing.T) {
	p := encode(t, MsgPack, encode(t, JSON, map[int][]byte{1: {0xff}}))
	var got any
	if err := p.Decode(&got); err != nil || !reflect.DeepEqual(got, map[string]any{"1": "/w=="}) {
		t.Errorf("got %#v, %v, want the text of the JSON", got, err)
	}
}

func TestTimestampsAreTranscodedInUTC(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("x", 3600))
	data, err := marshalOld(map[string]any{"at": []time.Time{at}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(Payload{MsgPack, data})
	if want := `{"at":["2026-01-02T02:04:05Z"]}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

func TestPayloadInTheSameEncodingIsUnchanged(t *testing.T) {
	for _, p := range []Payload{{JSON, []byte(` {"b": 1, "a": 2} `)}, {MsgPack, []byte{0xcd, 0x00, 0x01}}} {
		if got := encode(t, p.Type, p); !got.Equal(p) {
			t.Errorf("got %q, want %q", got.Data, p.Data)
		}
		var got Payload
		if err := p.Decode(&got); err != nil || !got.Equal(p) {
			t.Errorf("decoded into a payload: got %v, %v, want %v", got, err, p)
		}
	}
}

func TestNullLeavesTheZeroValue(t *testing.T) {
	for _, p := range []Payload{{}, {Type: MsgPack}, {Type: JSON}, {MsgPack, []byte{0xc0}}, {JSON, []byte("null")}} {
		var s everything
		var n int
		var list []string
		var a any
		for _, v := range []any{&s, &n, &list, &a} {
			if err := p.Decode(v); err != nil {
				t.Errorf("%v into %T: %v", p, v, err)
			}
		}
		if !reflect.DeepEqual(s, everything{}) || n != 0 || list != nil || a != nil {
			t.Errorf("%v: got %v, %v, %v, %v, want zeros", p, s, n, list, a)
		}
	}
}

func TestZeroPayloadIsNullInAnotherValue(t *testing.T) {
	for enc, want := range map[Type]string{
		MsgPack: "\x83\xa6before\x00\xa1p\xc0\xa5after\xa0",
		JSON:    `{"before":0,"p":null,"after":""}`,
	} {
		p := encode(t, enc, holder{})
		if string(p.Data) != want {
			t.Errorf("%s: got %q, want %q", enc, p.Data, want)
		}
		got := holder{P: Payload{JSON, []byte("1")}}
		if err := p.Decode(&got); err != nil || !got.P.IsZero() || got.P.Type != "" {
			t.Errorf("%s: got %v, %v, want the zero payload", enc, got.P, err)
		}
	}
	if p := encode(t, MsgPack, nil); p.IsZero() {
		t.Errorf("an encoded nil = %v, want it to count as set", p)
	}
}
