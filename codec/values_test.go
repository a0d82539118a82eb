package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// typeGen draws a type: one of the zoo, or a type that it composes.
func typeGen(depth int) *rapid.Generator[reflect.Type] {
	return rapid.Custom(func(t *rapid.T) reflect.Type {
		scalars := []reflect.Type{
			reflect.TypeFor[bool](), reflect.TypeFor[int](), reflect.TypeFor[int8](), reflect.TypeFor[int16](), reflect.TypeFor[int32](), reflect.TypeFor[int64](),
			reflect.TypeFor[uint](), reflect.TypeFor[uint8](), reflect.TypeFor[uint16](), reflect.TypeFor[uint32](), reflect.TypeFor[uint64](),
			reflect.TypeFor[float32](), reflect.TypeFor[float64](), reflect.TypeFor[string](), reflect.TypeFor[[]byte](),
		}
		kind := rapid.IntRange(0, 9).Draw(t, "kind")
		if depth == 0 || kind < 3 {
			return rapid.SampledFrom(scalars).Draw(t, "scalar")
		}
		elem := func() reflect.Type { return typeGen(depth-1).Draw(t, "elem") }
		switch kind {
		case 3, 4:
			return rapid.SampledFrom(zoo).Draw(t, "zoo")
		case 5:
			return reflect.PointerTo(elem())
		case 6:
			return reflect.SliceOf(elem())
		case 7:
			return reflect.ArrayOf(rapid.IntRange(0, 3).Draw(t, "n"), elem())
		case 8:
			keys := []reflect.Type{reflect.TypeFor[string](), reflect.TypeFor[int](), reflect.TypeFor[uint8](), reflect.TypeFor[int64](), reflect.TypeFor[word]()}
			return reflect.MapOf(rapid.SampledFrom(keys).Draw(t, "key"), elem())
		}
		var fields []reflect.StructField
		for i := range rapid.IntRange(0, 5).Draw(t, "fields") {
			tag := rapid.SampledFrom([]string{
				"", "", fmt.Sprintf(`json:"f%d"`, i), fmt.Sprintf(`json:"f%d,omitempty"`, i), fmt.Sprintf(`json:"f%d,omitzero"`, i),
				fmt.Sprintf(`json:"f%d,string"`, i), `json:"-"`, `json:"-,"`, `json:"F0"`, fmt.Sprintf(`json:"f%d" msgpack:"x%d"`, i, i), `json:",omitempty"`,
			}).Draw(t, "tag")
			fields = append(fields, reflect.StructField{Name: fmt.Sprintf("F%d", i), Type: elem(), Tag: reflect.StructTag(tag)})
		}
		return reflect.StructOf(fields)
	})
}

// fill sets v to a random value.
func fill(t *rapid.T, v reflect.Value, depth int) {
	if special(t, v, depth) {
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(rapid.Int64().Draw(t, "int") >> (64 - v.Type().Bits()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(rapid.Uint64().Draw(t, "uint") >> (64 - v.Type().Bits()))
	case reflect.Float32:
		v.SetFloat(float64(rapid.Float32().Draw(t, "float")))
	case reflect.Float64:
		v.SetFloat(rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{0, 3, -1, 1e20, 1e21, 1 << 60, math.Copysign(0, -1), math.NaN(), math.Inf(1)})).Draw(t, "float"))
	case reflect.String:
		v.SetString(rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "\xff\xfe", "a\xc3", "<&>\u2028"})).Draw(t, "string"))
	case reflect.Slice:
		if n := rapid.IntRange(-1, 3).Draw(t, "len"); n >= 0 && depth > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				fill(t, v.Index(i), depth-1)
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(t, v.Index(i), depth-1)
		}
	case reflect.Pointer:
		if depth > 0 && rapid.Bool().Draw(t, "there") {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem(), depth-1)
		}
	case reflect.Map:
		if n := rapid.IntRange(-1, 3).Draw(t, "len"); n >= 0 && depth > 0 {
			v.Set(reflect.MakeMap(v.Type()))
			for range n {
				key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
				fill(t, key, depth-1)
				fill(t, value, depth-1)
				v.SetMapIndex(key, value)
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(t, v.Field(i), depth-1)
			}
		}
	case reflect.Chan:
		v.Set(reflect.MakeChan(v.Type(), 0))
	}
}

func special(t *rapid.T, v reflect.Value, depth int) bool {
	switch p := v.Addr().Interface().(type) {
	case *money:
		p.cents = rapid.Int64().Draw(t, "cents")
	case *byPointer:
		p.n = rapid.Int().Draw(t, "n")
	case *big.Int:
		p.SetString(rapid.StringMatching(`-?[1-9][0-9]{0,40}`).Draw(t, "big"), 10)
	case *netip.Addr:
		*p = netip.AddrFrom4([4]byte{10, 0, 0, rapid.Byte().Draw(t, "addr")})
	case *json.Number:
		*p = json.Number(rapid.SampledFrom([]string{"1", "1.50", "123456789012345678901234567890", "1e400", "nonsense", ""}).Draw(t, "number"))
	case *json.RawMessage:
		*p = json.RawMessage(rapid.SampledFrom([]string{`{"a": [1, 2.50]}`, "null", "1e400", `{"a":1,"a":2}`, "{"}).Draw(t, "raw"))
	case *time.Time:
		zone := rapid.SampledFrom([]*time.Location{time.UTC, time.Local, time.FixedZone("", 3600), time.FixedZone("x", -5400)}).Draw(t, "zone")
		*p = time.Unix(rapid.Int64Range(-1<<36, 1<<38).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanos")).In(zone)
	case *error:
		if rapid.IntRange(0, 3).Draw(t, "failed") == 0 {
			*p = errors.New("x")
		}
	case *Payload:
		*p = rapid.SampledFrom([]Payload{{}, {MsgPack, []byte{0x81, 0xa1, 'a', 0xcc, 0xc8}}, {JSON, []byte(`{"b":[1,2.5,"x",12345678901234567890123]}`)}, {JSON, []byte(`[null,3.0]`)}, {MsgPack, []byte{0xc1}}}).Draw(t, "payload")
	case *any:
		if depth > 0 && rapid.Bool().Draw(t, "there") {
			inner := reflect.New(typeGen(1).Draw(t, "dynamic")).Elem()
			fill(t, inner, depth-1)
			*p = inner.Interface()
		}
	default:
		return false
	}
	return true
}

// asJSON encodes v by encoding/json and returns the value that encoding/json decodes from
// that, with json.Number in interfaces. It returns an error if v can't be encoded or decoded.
func asJSON(t *rapid.T, v reflect.Value) (want reflect.Value, err error) {
	data, err := json.Marshal(v.Addr().Interface())
	if err != nil {
		return want, err
	}
	want = reflect.New(v.Type())
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	return want.Elem(), dec.Decode(want.Interface())
}

func textOf(t *rapid.T, v reflect.Value) string {
	data, err := json.Marshal(v.Addr().Interface())
	if err != nil {
		t.Fatalf("%#v can't be encoded again: %v", v.Interface(), err)
	}
	var a any
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(&a); err != nil {
		t.Fatal(err)
	}
	data, _ = json.Marshal(a)
	return string(data)
}

// TestValuesMeanTheSameAsInEncodingJSON generates types and values. A value that EncodeAs
// accepts must decode to the same value as from encoding/json, in each encoding and after any
// number of transcodings, and the schema of the type must accept it. EncodeAs must refuse a
// value that encoding/json can't encode and decode.
func TestValuesMeanTheSameAsInEncodingJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := typeGen(3).Draw(t, "type")
		v := reflect.New(typ).Elem()
		fill(t, v, 4)
		want, lost := asJSON(t, v)
		schema := SchemaOf(typ)
		for _, enc := range []Type{MsgPack, JSON} {
			p, err := EncodeAs(enc, v.Addr().Interface())
			if err != nil {
				if lost == nil && !mayBeRefused(err) {
					t.Fatalf("%s %#v in %s: %v", typ, v.Interface(), enc, err)
				}
				if strings.Contains(err.Error(), "reflect.") || strings.Contains(err.Error(), "strconv.") {
					t.Fatalf("error = %v, which names internals of a library", err)
				}
				continue
			}
			if lost != nil {
				t.Fatalf("%s %#v in %s: %s %q is accepted, but encoding/json returns %v", typ, v.Interface(), enc, p.Type, p.Data, lost)
			}
			wanted := textOf(t, want)
			for _, form := range forms(t, p) {
				got := reflect.New(typ)
				if err := form.Decode(got.Interface()); err != nil {
					t.Fatalf("%s %#v in %s %q: %v", typ, v.Interface(), form.Type, form.Data, err)
				}
				if text := textOf(t, got.Elem()); text != wanted {
					t.Fatalf("%s %#v in %s %q:\ngot  %s\nwant %s", typ, v.Interface(), form.Type, form.Data, text, wanted)
				}
				if q := planOf(typ); !q.hasFree && !q.hasPayload && q.plain && !reflect.DeepEqual(got.Elem().Interface(), want.Interface()) {
					t.Fatalf("%s in %s %q:\ngot  %#v\nwant %#v", typ, form.Type, form.Data, got.Elem().Interface(), want.Interface())
				}
				if schema == nil {
					continue
				}
				if err := schema.ValidatePayload(form); err != nil {
					t.Fatalf("%s %#v in %s %q: the schema %s refuses it: %v", typ, v.Interface(), form.Type, form.Data, schema.text, err)
				}
			}
		}
	})
}

// mayBeRefused reports whether err is for a value that EncodeAs refuses although
// encoding/json accepts it.
func mayBeRefused(err error) bool {
	for _, why := range []string{"occurs twice", "has a pointer receiver", "can't begin a value", "does not fit a 64-bit float"} {
		if strings.Contains(err.Error(), why) {
			return true
		}
	}
	return false
}

// forms returns p, and p after transcoding to JSON, back to MessagePack if possible, and to
// JSON again.
func forms(t *rapid.T, p Payload) []Payload {
	list := []Payload{p}
	for _, enc := range []Type{JSON, MsgPack, JSON} {
		q, err := EncodeAs(enc, list[len(list)-1])
		if err != nil {
			t.Fatalf("%s %q in %s: %v", p.Type, p.Data, enc, err)
		}
		list = append(list, q)
	}
	return list
}

// TestSchemaRefusesValuesThatCanNotBeDecoded replaces a part of an encoded value by another value.
func TestSchemaRefusesValuesThatCanNotBeDecoded(t *testing.T) {
	others := []string{"3.0", "3e0", "9223372036854775808", "18446744073709551616", "-1", "300", "1e39", "1e400", `"3"`, `""`, "true", "null", "[]", "{}", "[1]", `{"a":1}`, `"!"`}
	rapid.Check(t, func(t *rapid.T) {
		typ := typeGen(2).Draw(t, "type")
		v := reflect.New(typ).Elem()
		fill(t, v, 4)
		p, err := EncodeAs(JSON, v.Addr().Interface())
		schema := SchemaOf(typ)
		if err != nil || schema == nil {
			return
		}
		leaves := leavesOf(p.Data)
		at := rapid.SampledFrom(leaves).Draw(t, "leaf")
		changed := append(bytes.Clone(p.Data[:at[0]]), rapid.SampledFrom(others).Draw(t, "other")...)
		p.Data = append(changed, p.Data[at[1]:]...)
		for _, form := range []Payload{p, packed(p)} {
			fresh := reflect.New(typ).Interface()
			decoded := form.Decode(fresh)
			if decoded != nil && schema.ValidatePayload(form) == nil {
				t.Fatalf("%s: the schema %s accepts %s, but decoding it returns %v", typ, schema.text, p.Data, decoded)
			}
			if decoded != nil && (strings.Contains(decoded.Error(), "json:") || strings.Contains(decoded.Error(), "msgpack") || strings.Contains(decoded.Error(), "strconv")) {
				t.Fatalf("%s: error of %s = %v, which names internals of a library", typ, p.Data, decoded)
			}
		}
	})
}

// packed returns p in MessagePack, or p itself if MessagePack can't express the same value.
func packed(p Payload) Payload {
	if data, ok := p.asMsgPack(); ok {
		return Payload{MsgPack, data}
	}
	return p
}

// leavesOf returns where each value in a JSON text begins and ends, and first the whole text.
func leavesOf(data []byte) [][2]int {
	list := [][2]int{{0, len(data)}}
	var below func(raw []byte, at int)
	below = func(raw []byte, at int) {
		if len(raw) == 0 || raw[0] != '{' && raw[0] != '[' {
			return
		}
		for _, p := range partsOf(raw) {
			first := at + bytes.Index(raw, p.raw) // may find an equal value before it
			list = append(list, [2]int{first, first + len(p.raw)})
			below(p.raw, first)
		}
	}
	below(data, 0)
	return list
}
