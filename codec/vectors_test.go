package codec

import (
	"bytes"
	"flag"
	"strings"
	"testing"
	"time"

	"github.com/durable-execution/durable/codec/vectors"
)

var _ = flag.Bool("update", false, "add the test vectors that are missing")

// vectorKey returns the key k1 of the vectors: the 32 bytes from 0 to 31. It is no secret.
func vectorKey() []byte {
	key := make([]byte, 32)
	for i := range key {
		key[i] = byte(i)
	}
	return key
}

func TestVectorsOfPayloads(t *testing.T) {
	aes, err := AESGCM("k1", map[string][]byte{"k1": vectorKey()})
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{Wrappers: []Wrapper{Gzip(1, 0), aes}, Apply: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("hello, world; ", 20)
	var made []vectors.Vector
	plain := map[string]Payload{}
	add := func(name string, p Payload, layers ...string) {
		t.Helper()
		sealed, err := c.Seal(p, layers)
		if err != nil {
			t.Fatal(err)
		}
		plain[name] = p
		made = append(made, vectors.Vector{Name: name, Headers: map[string]string{"Content-Type": string(sealed.Type)},
			Meaning: vectors.Meaning(t, p), Bytes: sealed.Data, ReadOnly: len(layers) > 0})
	}
	encoded := func(v any) Payload {
		t.Helper()
		p, err := Encode(v)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, v := range []struct {
		name  string
		value any
	}{
		{"nil", nil}, {"true", true}, {"0", 0}, {"127", 127}, {"128", 128}, {"65536", 65536}, {"-1", -1}, {"-33", -33}, {"-2147483649", int64(-2147483649)},
		{"2^53", int64(1) << 53}, {"1.5", 1.5}, {"text", "hello, wörld"}, {"bytes", []byte{0, 1, 255}}, {"list", []any{1, "a", nil}},
		{"map", map[string]any{"b": 1, "a": map[string]any{"d": true, "c": []int{}}}},
		{"struct", struct {
			Name  string `json:"name"`
			Count int    `json:"count,omitempty"`
		}{Name: "world"}},
		{"time", time.UnixMilli(1_700_000_000_123).UTC()},
		{"long text", long},
	} {
		add("MessagePack: "+v.name, encoded(v.value))
	}
	add("JSON", Payload{Type: JSON, Data: []byte(`{"name":"world","list":[1,2.5,null]}`)})
	add("gzip", encoded(long), "gzip")
	add("gzip of JSON", Payload{Type: JSON, Data: []byte(`"` + long + `"`)}, "gzip")
	add("aes-gcm", encoded(map[string]any{"name": "world"}), "aes-gcm")
	add("aes-gcm of gzip of JSON", Payload{Type: JSON, Data: []byte(`"` + long + `"`)}, "gzip", "aes-gcm")
	file := vectors.Check(t, "payloads.json", "50d486b7f09f0984bdaae9c8221a3768e8bb90ba5972c43589bb799ccfe8d8f2", made)
	for name, want := range plain {
		v := file[name]
		got, err := c.Open(Payload{Type: Type(v.Headers["Content-Type"]), Data: v.Bytes})
		if err != nil || got.Type != want.Type || !bytes.Equal(got.Data, want.Data) {
			t.Errorf("%s: %v\nopened %s %x\nwant %s %x", name, err, got.Type, got.Data, want.Type, want.Data)
		}
	}
}
