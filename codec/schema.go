package codec

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// A Schema is a JSON Schema (draft 2020-12) that can validate values.
type Schema struct {
	text     json.RawMessage
	resolved *jsonschema.Resolved
	into     reflect.Type // the type that it was inferred from, or nil
}

// ParseSchema reads a JSON Schema.
func ParseSchema(text string) (*Schema, error) {
	var s jsonschema.Schema
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return nil, fmt.Errorf("parse JSON Schema: %w", err)
	}
	return resolve(&s)
}

// SchemaOf infers the schema of a Go type from its fields and json tags. It accepts the
// encodings of the type's values, and refuses values that can't be decoded into the type. A
// schema can't express all of that: 3.0 is an integer to a schema, but not to Go. So
// validation also decodes the value. The result is nil for a type that JSON Schema can't
// describe, such as a recursive one. A struct may have additional fields, so that an executor
// accepts the inputs of a newer client.
func SchemaOf(t reflect.Type) *Schema {
	if t.Kind() == reflect.Interface {
		return nil
	}
	s := planOf(t).describe(map[*plan]bool{})
	if s == nil {
		return nil
	}
	schema, err := resolve(s)
	if err != nil {
		return nil
	}
	schema.into = t
	return schema
}

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

// Validate checks the JSON encoding of v. The error says what is wrong, and where in v.
func (s *Schema) Validate(v any) error {
	p, err := encodeAs(JSON, v)
	if err != nil {
		return err
	}
	return s.ValidatePayload(p)
}

// ValidatePayload checks an encoded value. It converts MessagePack to JSON first.
func (s *Schema) ValidatePayload(p Payload) error {
	text, err := p.text()
	if err != nil {
		return err
	}
	v, err := parseJSON(text)
	if err == nil {
		v, err = convert(v, judged)
	}
	if err != nil {
		return err
	}
	if err := s.resolved.Validate(v); err != nil {
		return err
	}
	if s.into == nil {
		return nil
	}
	return p.Decode(reflect.New(s.into).Interface())
}

// judged returns the value by which a schema judges a number. A number beyond the range of a
// float64, which a type may still keep as a string, counts as the largest or the least float64.
func judged(n string) (any, error) {
	v, err := numberOf(n)
	switch {
	case err == nil:
		return v, nil
	case strings.HasPrefix(n, "-"):
		return -math.MaxFloat64, nil
	}
	return math.MaxFloat64, nil
}
