package codec

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

type described struct {
	Name    string         `json:"name"`
	Size    int            `json:"size,omitempty"`
	Data    []byte         `json:"data,omitempty"`
	At      time.Time      `json:"at,omitzero"`
	Addr    netip.Addr     `json:"addr,omitzero"` // encodes itself by a method
	Payload Payload        `json:"payload,omitzero"`
	Inner   []described2   `json:"inner,omitempty"`
	Free    map[string]any `json:"free,omitempty"`
}

type described2 struct {
	Flag bool `json:"flag"`
}

func TestInferredSchemaAcceptsEncodedValues(t *testing.T) {
	s := SchemaOf(reflect.TypeFor[described]())
	if s == nil {
		t.Fatal("no schema")
	}
	v := described{
		Name: "n", Size: 3, Data: []byte{1, 2}, At: time.Unix(1, 0).UTC(), Addr: netip.MustParseAddr("10.0.0.1"),
		Payload: Payload{Type: JSON, Data: []byte(`{"a":1}`)}, Inner: []described2{{true}}, Free: map[string]any{"k": 1},
	}
	for _, kind := range []Type{MsgPack, JSON} {
		p, err := EncodeAs(kind, v)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.ValidatePayload(p); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestInferredSchemaNamesTheErrorAndItsPosition(t *testing.T) {
	s := SchemaOf(reflect.TypeFor[described]())
	for input, want := range map[string]string{
		`{"name":1}`:                           "/properties/name",
		`{}`:                                   "name",
		`{"name":"n","inner":[{"flag":"no"}]}`: "/properties/inner",
		`[]`:                                   "type",
		`{`:                                    "unexpected",
	} {
		err := s.ValidatePayload(Payload{Type: JSON, Data: []byte(input)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error = %v, want one that names %q", input, err, want)
		}
	}
}

func TestInputOfANewerClientMayHaveMoreFields(t *testing.T) {
	s := SchemaOf(reflect.TypeFor[described]())
	if err := s.ValidatePayload(Payload{Type: JSON, Data: []byte(`{"name":"n","later":1,"inner":[{"flag":true,"more":2}]}`)}); err != nil {
		t.Error(err)
	}
}

type recursive struct{ Next *recursive }

func TestTypesThatCannotBeDescribedHaveNoSchema(t *testing.T) {
	for _, typ := range []reflect.Type{reflect.TypeFor[recursive](), reflect.TypeFor[any](), reflect.TypeFor[chan int]()} {
		if s := SchemaOf(typ); s != nil {
			t.Errorf("%s: schema %s, want none", typ, s.text)
		}
	}
}

func TestWrittenSchemaIsChecked(t *testing.T) {
	s, err := ParseSchema(`{"type":"object","properties":{"index":{"type":"integer","minimum":0}},"required":["index"]}`)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(map[string]int{"index": 1}); err != nil {
		t.Error(err)
	}
	if err := s.Validate(map[string]int{"index": -1}); err == nil || !strings.Contains(err.Error(), "minimum") {
		t.Errorf("error = %v, want one that names the minimum", err)
	}
	if data, err := json.Marshal(s); err != nil || !json.Valid(data) {
		t.Errorf("the schema is %s, %v, want JSON", data, err)
	}
	for _, text := range []string{``, `{"type":7}`, `nonsense`} {
		if _, err := ParseSchema(text); err == nil {
			t.Errorf("%q was accepted as a schema", text)
		}
	}
}
