package codec

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
)

// A Schema is a JSON Schema (draft 2020-12) that can judge values.
type Schema struct {
	text     json.RawMessage
	resolved *jsonschema.Resolved
}

// ParseSchema reads a JSON Schema.
func ParseSchema(text string) (*Schema, error) {
	var s jsonschema.Schema
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return nil, fmt.Errorf("parse JSON Schema: %w", err)
	}
	return resolve(&s)
}

// SchemaOf infers the schema of a Go type from its fields and json tags. A type
// that JSON Schema can't describe, such as a recursive one, has none: the
// result is nil. A struct may come with more fields than it has today, so that
// an executor accepts what a newer client sends.
func SchemaOf(t reflect.Type) *Schema {
	if t.Kind() == reflect.Interface {
		return nil
	}
	known := map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[[]byte](): {Types: []string{"null", "string"}, ContentEncoding: "base64"},
	}
	custom(t, known, map[reflect.Type]bool{})
	s, err := jsonschema.ForType(t, &jsonschema.ForOptions{TypeSchemas: known})
	if err != nil {
		return nil
	}
	open(s)
	schema, err := resolve(s)
	if err != nil {
		return nil
	}
	return schema
}

// custom adds to known the types below t that say themselves what their JSON is:
// any, for all that can be inferred.
func custom(t reflect.Type, known map[reflect.Type]*jsonschema.Schema, seen map[reflect.Type]bool) {
	if seen[t] || t == reflect.TypeFor[time.Time]() {
		return // the library knows times
	}
	seen[t] = true
	for _, says := range []reflect.Type{
		reflect.TypeFor[json.Marshaler](), reflect.TypeFor[json.Unmarshaler](),
		reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
	} {
		if t.Kind() != reflect.Pointer && t.Kind() != reflect.Interface && reflect.PointerTo(t).Implements(says) {
			known[t] = &jsonschema.Schema{}
			return
		}
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		custom(t.Elem(), known, seen)
	case reflect.Struct:
		for i := range t.NumField() {
			custom(t.Field(i).Type, known, seen)
		}
	}
}

// open lets every struct in s have further fields.
func open(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	if len(s.Properties) > 0 || isFalse(s.AdditionalProperties) {
		s.AdditionalProperties = nil
	}
	for _, p := range s.Properties {
		open(p)
	}
	open(s.Items)
	open(s.AdditionalProperties)
}

func isFalse(s *jsonschema.Schema) bool { return s != nil && s.Not != nil }

func resolve(s *jsonschema.Schema) (*Schema, error) {
	r, err := s.Resolve(nil)
	if err != nil {
		return nil, fmt.Errorf("resolve JSON Schema: %w", err)
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode JSON Schema: %w", err)
	}
	return &Schema{text: text, resolved: r}, nil
}

// MarshalJSON returns the schema itself.
func (s *Schema) MarshalJSON() ([]byte, error) { return s.text, nil }

// Validate judges v by the JSON that it encodes to. The error says where in v
// what is wrong.
func (s *Schema) Validate(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.ValidatePayload(Payload{Type: JSON, Data: data})
}

// ValidatePayload judges an encoded value, by the JSON that it is or would be.
func (s *Schema) ValidatePayload(p Payload) error {
	if p.Type == MsgPack {
		return s.Validate(p)
	}
	var v any
	if err := p.Decode(&v); err != nil {
		return err
	}
	return s.resolved.Validate(v)
}
