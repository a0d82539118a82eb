package codec

import (
	"encoding/hex"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/durable-execution/durable/codec/vectors"
)

// TestVectorsOfEdges makes the vectors of payloads on which readers might disagree: see Edges
// in WIRE.md. The meaning of a vector has the value that a reader decodes for each wanted type,
// and lists the types for which a reader must refuse the payload.
func TestVectorsOfEdges(t *testing.T) {
	kinds := []struct {
		name string
		into reflect.Type
	}{
		{"any", reflect.TypeFor[any]()}, {"int64", reflect.TypeFor[int64]()}, {"uint64", reflect.TypeFor[uint64]()}, {"int8", reflect.TypeFor[int8]()},
		{"float64", reflect.TypeFor[float64]()}, {"string", reflect.TypeFor[string]()}, {"bytes", reflect.TypeFor[[]byte]()},
		{"struct", reflect.TypeFor[struct {
			Name string `json:"name"`
		}]()},
	}
	var made []vectors.Vector
	add := func(name string, typ Type, data []byte) {
		meaning := map[string]json.RawMessage{}
		refused := []string{}
		for _, k := range kinds {
			v := reflect.New(k.into)
			if (Payload{typ, data}).Decode(v.Interface()) != nil {
				refused = append(refused, k.name)
				continue
			}
			if f, ok := v.Interface().(*float64); ok && math.IsNaN(*f) { // JSON can't express it
				meaning[k.name] = json.RawMessage(`"NaN"`)
				continue
			}
			meaning[k.name] = vectors.Meaning(t, v.Interface())
		}
		meaning["refused"] = vectors.Meaning(t, refused)
		made = append(made, vectors.Vector{
			Name: name, Headers: map[string]string{"Content-Type": string(typ)}, Meaning: vectors.Meaning(t, meaning), Bytes: data, ReadOnly: true,
		})
	}
	for _, text := range []string{
		"9007199254740993", "9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616", "-1", "300", "3.0", "3e0", "2.5", "-0", "1e400",
		`"AAEC"`, `"a\ud800"`, "null", `{"name":"a","name":"b"}`, `{"name":"a","NAME":"b"}`, `{"Name":"a"}`, `{"more":1}`,
	} {
		add("JSON: "+text, JSON, []byte(text))
	}
	add("JSON: a text that is not UTF-8", JSON, []byte("\"a\xff\""))
	add("JSON: 10,001 lists", JSON, []byte(strings.Repeat("[", 10_001)+strings.Repeat("]", 10_001)))
	for _, c := range []struct{ name, data string }{
		{"2^64-1", "cfffffffffffffffff"}, {"2^63", "cf8000000000000000"}, {"300, in more bytes than it takes", "ce0000012c"}, {"3.0", "cb4008000000000000"},
		{"0.1 in 32 bits", "ca3dcccccd"}, {"not a number", "cb7ff8000000000001"}, {"-0.0", "cb8000000000000000"}, {"bytes", "c403000102"}, {"bytes as text", "a441414543"},
		{"a text that is not UTF-8", "a261ff"}, {"a time", "d6ff00000001"}, {"a key that is an integer", "8101a161"}, {"a key twice", "82a46e616d65a161a46e616d65a162"},
		{"a key in upper case", "81a44e616d65a161"}, {"a key that is a list", "8190a161"}, {"another extension", "d40500"}, {"null", "c0"},
	} {
		data, err := hex.DecodeString(c.data)
		if err != nil {
			t.Fatal(err)
		}
		add("MessagePack: "+c.name, MsgPack, data)
	}
	vectors.Check(t, "edges.json", "974974c91358231db8431e15fd847679c21be7871c765a909909a9ec697a012d", made)
}
