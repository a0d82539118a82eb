package codec

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

type inner struct {
	Name string `json:"name"`
	Sum  uint64 `json:"sum,omitempty"`
}

type everything struct {
	Flag     bool              `json:"flag"`
	Small    int8              `json:"small"`
	Int      int               `json:"int"`
	Big      int64             `json:"big"`
	Unsigned uint64            `json:"unsigned"`
	Ratio    float64           `json:"ratio"`
	Text     string            `json:"text"`
	Bytes    []byte            `json:"bytes"`
	List     []int             `json:"list"`
	Words    []string          `json:"words"`
	Inner    inner             `json:"inner"`
	Pointer  *inner            `json:"pointer"`
	Nothing  *inner            `json:"nothing"`
	Labels   map[string]string `json:"labels"`
	Counts   map[string]int    `json:"counts"`
	ByNumber map[int]inner     `json:"byNumber"`
	Took     time.Duration     `json:"took"`
	Any      any               `json:"any"`
	Left     string            `json:"left,omitempty"`
	Hidden   string            `json:"-"`
}

func something() everything {
	return everything{
		Flag: true, Small: -7, Int: 70_000, Big: math.MinInt64, Unsigned: math.MaxUint64,
		Ratio: 0.1, Text: "grün\x00<&>", Bytes: []byte{0xff, 0, 0xfe},
		List: []int{1, -1, 300}, Words: []string{"", "a"},
		Inner: inner{Name: "in", Sum: 3}, Pointer: &inner{Name: "ptr"},
		Labels: map[string]string{"b": "2", "a": "1"}, Counts: map[string]int{"y": 2, "x": 1},
		ByNumber: map[int]inner{10: {Name: "ten"}, 9: {Name: "nine"}},
		Took:     time.Minute, Any: map[string]any{"k": []any{1.5, "two", true, nil}},
	}
}

func roundTrip[T any](t *testing.T, in T) {
	t.Helper()
	for _, enc := range []Type{MsgPack, JSON} {
		p, err := EncodeAs(enc, in)
		if err != nil {
			t.Errorf("encode %#v as %s: %v", in, enc, err)
			continue
		}
		if p.Type != enc && planOf(reflect.TypeOf(in)).plain {
			t.Errorf("type = %q, want %q", p.Type, enc)
		}
		var out T
		if err := p.Decode(&out); err != nil {
			t.Errorf("decode %#v from %s %q: %v", in, enc, p.Data, err)
			continue
		}
		if !reflect.DeepEqual(out, in) {
			t.Errorf("through %s: got %#v, want %#v", enc, out, in)
		}
	}
}

func TestScalarsComeBackAsTheyWere(t *testing.T) {
	for _, i := range []int{0, 1, 127, 128, 255, 256, 65_535, 65_536, math.MaxInt32, math.MaxUint32, math.MaxInt64, -1, -32, -33, -128, -129, math.MinInt64} {
		roundTrip(t, i)
	}
	roundTrip(t, uint64(math.MaxUint64))
	roundTrip(t, int8(-128))
	roundTrip(t, uint16(65_535))
	for _, f := range []float64{0, 0.1, -1.5, math.MaxFloat64, math.SmallestNonzeroFloat64} {
		roundTrip(t, f)
	}
	roundTrip(t, float32(0.1))
	roundTrip(t, true)
	roundTrip(t, false)
	for _, s := range []string{"", "a", "grün", strings.Repeat("x", 31), strings.Repeat("x", 32), strings.Repeat("x", 70_000)} {
		roundTrip(t, s)
	}
	roundTrip(t, time.Hour)
}

func TestBytesComeBackAsTheyWere(t *testing.T) {
	for _, b := range [][]byte{{}, {0}, {0xff, 0xfe}, bytes.Repeat([]byte{0xc1}, 70_000)} {
		roundTrip(t, b)
	}
	roundTrip(t, [3]byte{1, 2, 3})
}

func TestStructsComeBackAsTheyWere(t *testing.T) {
	roundTrip(t, something())
	roundTrip(t, everything{})
	roundTrip(t, []everything{something(), {}})
	roundTrip(t, map[string]everything{"a": something()})
	roundTrip(t, (*everything)(nil))
}

func TestStructFieldsAreNamedByTheirJSONTags(t *testing.T) {
	data, err := Marshal(struct {
		A int `json:"first"`
		B int
		C int `json:"gone,omitempty"`
		D int `json:"-"`
	}{A: 1, B: 2, D: 4})
	if got, want := hex.EncodeToString(data), "82a5666972737401a14202"; err != nil || got != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

func TestUnknownFieldsArePassedOver(t *testing.T) {
	p, err := Encode(something())
	if err != nil {
		t.Fatal(err)
	}
	var out struct {
		Text string `json:"text"`
	}
	if err := p.Decode(&out); err != nil || out.Text != something().Text {
		t.Errorf("got %q, %v, want %q", out.Text, err, something().Text)
	}
}

func TestTimesComeBackAsTheSameInstant(t *testing.T) {
	for _, in := range []time.Time{
		{},
		time.UnixMilli(0),
		time.UnixMilli(1_700_000_000_123),
		time.Unix(1_700_000_000, 123_456_789),
		time.Date(1900, 1, 2, 3, 4, 5, 6, time.UTC),
		time.Date(2500, 1, 2, 3, 4, 5, 6, time.FixedZone("x", 3600)),
		// The encodings of both times contain the bytes of a map's head.
		time.Unix(0xdf000001, 0),
		time.Unix(1, 0xdfffffff>>2),
	} {
		type timed struct {
			At   time.Time
			Then []time.Time
		}
		p, err := Encode(timed{in, []time.Time{in, in}})
		if err != nil {
			t.Fatal(err)
		}
		var out timed
		if err := p.Decode(&out); err != nil {
			t.Errorf("decode %s: %v", in, err)
			continue
		}
		for _, got := range append(out.Then, out.At) {
			if !got.Equal(in) {
				t.Errorf("got %s, want %s", got, in)
			}
		}
		var top time.Time
		if p, err = Encode(in); err == nil {
			err = p.Decode(&top)
		}
		if err != nil || !top.Equal(in) {
			t.Errorf("alone: got %s, %v, want %s", top, err, in)
		}
	}
}

func TestIntegersInInterfacesAreInt64OrUint64(t *testing.T) {
	for _, p := range []Payload{
		encode(t, MsgPack, []any{1, -1, int8(3), uint64(math.MaxUint64), 1.5}),
		{JSON, []byte(`[1,-1,3,18446744073709551615,1.5]`)},
	} {
		var out any
		if err := p.Decode(&out); err != nil {
			t.Fatal(err)
		}
		// Integers that fit an int64 are written and read as signed, even if they were unsigned.
		want := []any{int64(1), int64(-1), int64(3), uint64(math.MaxUint64), 1.5}
		if !reflect.DeepEqual(out, want) {
			t.Errorf("%s: got %#v, want %#v", p.Type, out, want)
		}
	}
}

func TestMapsWithIntegerKeysComeIntoInterfacesAsJSONHasThem(t *testing.T) {
	p := encode(t, MsgPack, map[int]string{1: "one", -300: "less", math.MaxInt64: "most"})
	var out any
	if err := p.Decode(&out); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"1": "one", "-300": "less", "9223372036854775807": "most"}
	if !reflect.DeepEqual(out, want) {
		t.Errorf("got %#v, want %#v", out, want)
	}
}

func TestUnknownContentTypeIsRefused(t *testing.T) {
	odd := Payload{"text/xml", []byte("<a/>")}
	var v any
	_, encodeErr := EncodeAs("text/xml", 1)
	_, innerErr := Encode(holder{P: odd})
	_, jsonErr := json.Marshal(odd)
	for what, err := range map[string]error{
		"decode": odd.Decode(&v), "encode": encodeErr, "encode within": innerErr, "marshal JSON": jsonErr,
	} {
		if err == nil || !strings.Contains(err.Error(), `"text/xml"`) {
			t.Errorf("%s: error = %v, want one that names the content type", what, err)
		}
	}
}

func TestPayloadMustBeOneValueWithinAnother(t *testing.T) {
	for _, p := range []Payload{
		{MsgPack, []byte{0x01, 0x02}}, {MsgPack, []byte{0x92, 0x01}}, {MsgPack, []byte{0xc1}},
		{JSON, []byte("1 2")}, {JSON, []byte("[1")}, {"", []byte("}")},
	} {
		for _, in := range []Type{MsgPack, JSON} {
			if got, err := EncodeAs(in, holder{P: p}); err == nil {
				t.Errorf("%s %q in %s: got %q, want an error", p.Type, p.Data, in, got.Data)
			}
		}
	}
}

func TestTrailingBytesAreRefused(t *testing.T) {
	for _, p := range []Payload{
		{MsgPack, []byte{0x01, 0x02}}, {MsgPack, []byte{0x90, 0xc0}}, {MsgPack, []byte{0xc0, 0x00}},
		{JSON, []byte("1 2")}, {JSON, []byte("[] null")},
	} {
		for _, v := range []any{new(any), new(int), new([]int), new(everything)} {
			if err := p.Decode(v); err == nil {
				t.Errorf("%s %q into %T: no error", p.Type, p.Data, v)
			}
		}
	}
}

func encode(t testing.TB, as Type, v any) Payload {
	t.Helper()
	p, err := EncodeAs(as, v)
	if err != nil {
		t.Fatalf("encode %#v: %v", v, err)
	}
	return p
}
