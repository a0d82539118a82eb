package codec

import (
	"encoding/hex"
	"errors"
	"io"
	"log"
	"math"
	"math/big"
	"net/url"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// keeps fails the test unless v is unchanged after encoding and decoding, in each encoding
// and after transcoding.
func keeps[T any](t *testing.T, v T) {
	t.Helper()
	for _, enc := range []Type{MsgPack, JSON} {
		p, err := EncodeAs(enc, &v)
		if err != nil {
			t.Errorf("%#v in %s: %v", v, enc, err)
			continue
		}
		for _, form := range []Payload{p, encode(t, JSON, p), encode(t, MsgPack, p)} {
			var got T
			if err := form.Decode(&got); err != nil || !reflect.DeepEqual(got, v) {
				t.Errorf("%s %q: got %#v, %v\nwant %#v", form.Type, form.Data, got, err, v)
			}
		}
	}
}

func TestTypesThatEncodeThemselvesComeBack(t *testing.T) {
	large, _ := new(big.Int).SetString("123456789012345678901234567890", 10)
	page, err := url.Parse("https://example.com/a?b=c#d")
	if err != nil {
		t.Fatal(err)
	}
	keeps(t, money{cents: 250})
	keeps(t, []money{{1}, {2}})
	keeps(t, map[string]money{"a": {1}})
	keeps(t, struct{ N big.Int }{*large})
	keeps(t, struct{ N, M *big.Int }{N: large})
	keeps(t, struct{ Page url.URL }{*page})
	keeps(t, struct{ Page *url.URL }{page})
	keeps(t, byPointer{3})
	keeps(t, []byPointer{{3}})
	keeps(t, inBytes{1, 2})
	keeps(t, embeds{base{1, ""}, "outer", 2})
	keeps(t, embedsNamed{base{1, "inner"}, 2})
	keeps(t, embedsPointer{nil, 1})
	keeps(t, embedsPointer{&Named{"x"}, 1})
	keeps(t, tagged{Quoted: 1, Pointer: new(2), Flag: true, Text: "x", Dash: 3, Other: 4, Odd: 5, Array: [3]byte{1, 2, 3}})
	keeps(t, node{Value: 1, Next: &node{Value: 2}, Below: []node{{}}})
	keeps(t, cased{1, 2})
}

func TestATimeKeepsItsOffset(t *testing.T) {
	for _, at := range []time.Time{
		{}, time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 5*3600)),
		time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
	} {
		var got time.Time
		if err := encode(t, MsgPack, at).Decode(&got); err != nil || !got.Equal(at) || got.Format(time.RFC3339Nano) != at.Format(time.RFC3339Nano) {
			t.Errorf("got %s, %v, want %s", got, err, at)
		}
	}
}

func TestNumbersInInterfacesKeepTheirDigits(t *testing.T) {
	type holds struct {
		Any  any
		Map  map[string]any
		List []any
	}
	for _, c := range []struct{ in, want any }{
		{100, int64(100)}, {200, int64(200)}, {int64(1<<53 + 1), int64(1<<53 + 1)}, {uint64(math.MaxInt64), int64(math.MaxInt64)},
		{uint64(math.MaxUint64), uint64(math.MaxUint64)}, {-1, int64(-1)}, {3.0, int64(3)}, {2.5, 2.5}, {float32(0.1), 0.1}, {1e300, 1e300},
	} {
		for _, enc := range []Type{MsgPack, JSON} {
			p := encode(t, enc, holds{c.in, map[string]any{"k": c.in}, []any{c.in}})
			want := holds{c.want, map[string]any{"k": c.want}, []any{c.want}}
			for _, form := range []Payload{p, encode(t, JSON, p), encode(t, MsgPack, p)} {
				var got holds
				if err := form.Decode(&got); err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("%v in %s: got %#v, %v, want %#v", c.in, form.Type, got, err, want)
				}
			}
		}
	}
}

type loop struct {
	Next *loop
	More map[string]any
	List []any
}

type ring []ring

type toItself *toItself

func TestValuesThatCanNotBeDecodedAreRefused(t *testing.T) {
	circle := &loop{}
	circle.Next = &loop{Next: circle}
	around := map[string]any{}
	around["a"] = []any{around}
	self := ring{nil}
	self[0] = self
	var pointed toItself
	pointed = &pointed
	var in any
	in = &in
	deep := any(1)
	for range maxNesting + 1 {
		deep = []any{deep}
	}
	for _, c := range []struct {
		v    any
		want string
	}{
		{circle, "contains itself"}, {around, "contains itself"}, {self, "contains itself"}, {pointed, "contains itself"}, {in, "contains itself"},
		{&in, "contains itself"}, {deep, "deeper"}, {loop{List: []any{deep}}, "field List[0]"}, {mute{1}, "can't decode its encoding"},
		{struct{ E error }{errors.New("x")}, "field E"}, {map[string][]float64{"a": {0, math.NaN()}}, "field a[1]: NaN"}, {math.Inf(-1), "-Inf"},
		{map[bool]int{true: 1}, "its keys are not strings or integers"}, {struct{ C chan int }{}, "field C: chan int"}, {struct{ F func() }{}, "field F"},
		{map[string]byPointer{"a": {}}, "field a: codec.byPointer: its method to encode has a pointer receiver"}, {[]any{big.Int{}}, "use *big.Int"},
		{map[string]int{"\xff": 1, "\xfe": 2}, "occurs twice"},
		{time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC), "year"}, {[]Payload{{MsgPack, []byte{0xc1}}}, "field [0]"},
	} {
		for _, enc := range []Type{MsgPack, JSON} {
			p, err := EncodeAs(enc, c.v)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%T in %s: %.80q, %v, want an error that says %q", c.v, enc, p.Data, err, c.want)
			}
		}
	}
}

func TestErrorsNameThePosition(t *testing.T) {
	type item struct {
		Qty   string `json:"qty"`
		Price int8   `json:"price"`
	}
	type order struct {
		Items []item         `json:"items"`
		ByID  map[int]*item  `json:"byId"`
		When  time.Time      `json:"when"`
		Data  []byte         `json:"data"`
		Money *money         `json:"money"`
		N     int            `json:"n,string"`
		Large big.Int        `json:"large"`
		U     uint64         `json:"u"`
		Any   map[string]any `json:"any"`
	}
	for in, want := range map[string]string{
		`{"items":[{},{},{"qty":3}]}`:        "field items[2].qty: stored integer 3, want string",
		`{"items":[{"price":300}]}`:          "field items[0].price: stored integer 300, want integer from -128 to 127",
		`{"items":[{"price":3.0}]}`:          "field items[0].price: stored number 3.0, want integer",
		`{"items":{"a":1}}`:                  "field items: stored object, want list",
		`{"byId":{"7":{"qty":true}}}`:        "field byId.7.qty: stored true, want string",
		`{"byId":{"x":{}}}`:                  "field byId.x: the key can't be read as integer",
		`{"when":"yesterday"}`:               `field when: stored string "yesterday", want time in RFC 3339 format`,
		`{"data":"!"}`:                       `field data: stored string "!", want string in base64`,
		`{"money":3}`:                        "field money: stored integer 3, want codec.money",
		`{"n":3}`:                            "field n: stored integer 3, want integer within a string",
		`{"large":"x"}`:                      `field large: stored string "x", want big.Int`,
		`{"u":-1}`:                           "field u: stored integer -1, want integer from 0 to 18446744073709551615",
		`{"u":18446744073709551616}`:         "field u: stored integer 18446744073709551616, want integer from 0",
		`[]`:                                 "stored list, want object",
		`{"any":{"a":[1e400]}}`:              "field any.a[0]: stored number 1e400",
		`{"items":[{"qty":"a","qty":"b"}]}`:  `field items[0]: the key "qty" occurs twice`,
		`{"any":{"a":1,"a":2}}`:              `field any: the key "a" occurs twice`,
		`{"items":[{"Qty":"a"}]}`:            `field items[0]: the key "Qty" differs from the field "qty"`,
		`{"N":"1"}`:                          `the key "N" differs from the field "n"`,
		`{"unknown":{"qty":3,"Qty":4}}`:      "",
		`{"n":"1","u":18446744073709551615}`: "",
	} {
		p := Payload{JSON, []byte(in)}
		forms := []Payload{p, packed(p)}
		if strings.Contains(in, "twice") {
			forms = forms[:1]
		}
		for _, form := range forms {
			var got order
			err := form.Decode(&got)
			if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
				t.Errorf("%s in %s:\ngot  %v\nwant %s", in, form.Type, err, want)
			}
		}
	}
}

func TestMessagePackOfAnyClientIsReadLikeJSON(t *testing.T) {
	for _, c := range []struct {
		data string
		into any
		want any
		err  string // if decoding must fail
	}{
		{"cfffffffffffffffff", new(int), nil, "stored integer 18446744073709551615, want integer from -9223372036854775808"},
		{"cfffffffffffffffff", new(uint64), uint64(math.MaxUint64), ""},
		{"cfffffffffffffffff", new(any), uint64(math.MaxUint64), ""},
		{"cd0100", new(uint8), nil, "stored integer 256, want integer from 0 to 255"},
		{"ff", new(uint), nil, "stored integer -1"},
		{"d0ff", new(int8), int8(-1), ""},
		{"cb4008000000000000", new(int), 3, ""}, // 3.0 is 3 in JSON
		{"cb4008000000000000", new(any), int64(3), ""},
		{"cb4004000000000000", new(int), nil, "stored number 2.5, want integer"},
		{"03", new(float64), 3.0, ""},
		{"ca3dcccccd", new(float64), 0.1, ""},
		{"ca3dcccccd", new(any), 0.1, ""},
		{"cb7ff8000000000001", new(any), nil, "not finite"},
		{"a2ff61", new(string), "\ufffda", ""},
		{"a2ff61", new(any), "\ufffda", ""},
		{"c403000102", new(string), "AAEC", ""},
		{"c403000102", new(any), "AAEC", ""},
		{"a4" + hex.EncodeToString([]byte("AAEC")), new([]byte), []byte{0, 1, 2}, ""},
		{"d6ff00000001", new(string), "1970-01-01T00:00:01Z", ""},
		{"d6ff00000001", new(any), "1970-01-01T00:00:01Z", ""},
		{"b4" + hex.EncodeToString([]byte("1970-01-01T00:00:01Z")), new(time.Time), time.Unix(1, 0).UTC(), ""},
		{"8101a161", new(any), map[string]any{"1": "a"}, ""},
		{"8101a161", new(map[string]string), map[string]string{"1": "a"}, ""},
		{"81a131a161", new(map[int]string), map[int]string{1: "a"}, ""},
		{"82a161" + "01" + "a161" + "02", new(map[string]int), nil, `the key "a" occurs twice`},
		{"82a161" + "01" + "a161" + "02", new(any), nil, `the key "a" occurs twice`},
		{"82a4" + hex.EncodeToString([]byte("Name")) + "a161" + "a4" + hex.EncodeToString([]byte("Name")) + "a162", new(Named), Named{}, ""},
		{"81a5" + hex.EncodeToString([]byte("TITLE")) + "a161", new(Named), nil, `differs from the field "Title"`},
		{"c0", new(int), 0, ""}, {"93010203", new([3]byte), [3]byte{1, 2, 3}, ""},
	} {
		data, err := hex.DecodeString(c.data)
		if err != nil {
			t.Fatal(err)
		}
		err = Payload{MsgPack, data}.Decode(c.into)
		if got := reflect.ValueOf(c.into).Elem().Interface(); c.err == "" && (err != nil || !reflect.DeepEqual(got, c.want)) {
			if c.data[:4] == "82a4" && err != nil { // an unknown key occurs twice
				continue
			}
			t.Errorf("%s: got %#v, %v, want %#v", c.data, got, err, c.want)
		}
		if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s into %T: error = %v, want one that says %s", c.data, c.into, err, c.err)
		}
	}
}

// TestDataOfEarlierVersionsIsRead decodes the MessagePack of earlier versions for
// types that this version writes in JSON. The MessagePack library must not be called for a
// type with a shadowed field: it would print a message to the standard logger.
func TestDataOfEarlierVersionsIsRead(t *testing.T) {
	var printed strings.Builder
	log.SetOutput(io.MultiWriter(&printed, os.Stderr))
	defer log.SetOutput(os.Stderr)
	type old struct {
		Large  *big.Int
		Page   *url.URL
		Bytes  inBytes
		Word   word
		Array  [3]byte
		Text   string `json:",string"`
		Number int    `json:",string"`
		Local  time.Time
		Any    any
		Other  int `json:"other" msgpack:"another"`
		Next   *old
	}
	page, _ := url.Parse("https://example.com/")
	was := old{
		Large: big.NewInt(12), Page: page, Bytes: inBytes{1, 2}, Word: "x", Array: [3]byte{1, 2, 3}, Text: "plain", Number: 5,
		Local: time.Unix(1, 0), Any: "a", Other: 4, Next: &old{Number: 6},
	}
	was.Next.Local = time.Unix(2, 0)
	data, err := marshalOld(was)
	if err != nil {
		t.Fatal(err)
	}
	var got old
	if err := (Payload{MsgPack, data}).Decode(&got); err != nil || !reflect.DeepEqual(got, was) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, was)
	}
	if data, err = marshalOld(struct {
		Named `json:"named"`
		N     int
	}{Named{"x"}, 1}); err != nil {
		t.Fatal(err)
	}
	var inlined struct {
		Named `json:"named"`
		N     int
	}
	if err := (Payload{MsgPack, data}).Decode(&inlined); err != nil || inlined.Title != "x" || inlined.N != 1 {
		t.Errorf("got %+v, %v, want an embedded struct", inlined, err)
	}
	keeps(t, embeds{base{1, ""}, "outer", 2})
	if err := (Payload{MsgPack, []byte{0x81, 0xa2, 'i', 'd', 1}}).Decode(&embeds{}); err != nil {
		t.Error(err)
	}
	if printed.Len() > 0 {
		t.Errorf("the standard logger printed %q", printed.String())
	}
}

// TestBytesOfPlainTypesNeverChange compares the bytes of this version with the bytes of
// earlier versions.
func TestBytesOfPlainTypesNeverChange(t *testing.T) {
	for _, v := range []any{
		something(), everything{}, plainOne{When: time.Unix(1, 5).UTC(), More: map[string]any{"b": 1, "a": []any{uint8(200), "x", nil, 1.5, []byte{1}}}},
		map[string]string{"b": "1", "a": "2"}, map[int8]bool{-1: true, 1: false, 100: true}, []time.Time{time.Unix(0, 0).UTC(), time.Unix(1<<35, 1).UTC()},
		[]string{}, []byte(nil), [2]int{1, 2}, uint64(math.MaxUint64), float32(1.5), math.MinInt64, strings.Repeat("x", 70_000), make([]byte, 300), make([]int, 20),
	} {
		want, err := marshalOld(v)
		if err != nil {
			t.Fatal(err)
		}
		if p := encode(t, MsgPack, v); p.Type != MsgPack || hex.EncodeToString(p.Data) != hex.EncodeToString(want) {
			t.Errorf("%T: %s %x\nwant %x", v, p.Type, p.Data, want)
		}
	}
}
