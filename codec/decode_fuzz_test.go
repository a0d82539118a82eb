package codec

import (
	"encoding/json"
	"reflect"
	"testing"
)

// FuzzDecode decodes arbitrary bytes into each type. If that gives a value, transcoding the
// bytes to JSON and decoding that must give the same value. The fuzz test does not compare types
// that programs of earlier versions wrote by rules of their own.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{`{"name":"a","count":-3,"when":"2026-01-02T03:04:05Z","data":"AAEC","ByNr":{"1":[2]},"Any":[1,2.5,"x",null]}`, `"250 ct"`, `[1,3.0]`, `12345678901234567890123`} {
		f.Add([]byte(text), true)
		if p := packed(Payload{JSON, []byte(text)}); p.Type == MsgPack {
			f.Add(p.Data, false)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, isJSON bool) {
		p := Payload{MsgPack, data}
		if isJSON {
			p.Type = JSON
		}
		for _, typ := range append(zoo, reflect.TypeFor[[]int8](), reflect.TypeFor[map[int]string](), reflect.TypeFor[[][]float32]()) {
			v := reflect.New(typ)
			if p.Decode(v.Interface()) != nil || planOf(typ).hasPayload || p.Check() != nil {
				continue
			}
			first, err := json.Marshal(v.Interface())
			if err != nil {
				continue
			}
			other := encode(t, JSON, p)
			w := reflect.New(typ)
			if err := other.Decode(w.Interface()); err != nil && planOf(typ).plain {
				t.Fatalf("%s: %q is %s, and as %s: %v", typ, data, first, other.Data, err)
			}
			if second, err := json.Marshal(w.Interface()); planOf(typ).plain && (err != nil || string(second) != string(first)) {
				t.Fatalf("%s: %q is %s, and as %s it is %s, %v", typ, data, first, other.Data, second, err)
			}
		}
	})
}
