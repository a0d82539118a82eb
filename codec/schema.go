package codec

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// A Schema is a JSON Schema (draft 2020-12) that can judge values.
type Schema struct {
	text     json.RawMessage
	resolved *jsonschema.Resolved
	into     reflect.Type // that it was inferred from, if it was
}

// ParseSchema reads a JSON Schema.
func ParseSchema(text string) (*Schema, error) {
	var s jsonschema.Schema
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return nil, fmt.Errorf("parse JSON Schema: %w", err)
	}
	return resolve(&s)
}

// SchemaOf infers the schema of a Go type from its fields and json tags. It accepts what
// the type's values encode to, and refuses what can't be decoded into the type, which it
// tries where a schema has no words for it: 3.0 is an integer to a schema, and none to Go. A
// type that JSON Schema can't describe, such as a recursive one, has none: the
// result is nil. A struct may come with more fields than it has today, so that
// an executor accepts what a newer client sends.
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

// Validate judges v by the JSON that it encodes to. The error says where in v
// what is wrong.
func (s *Schema) Validate(v any) error {
	p, err := encodeAs(JSON, v)
	if err != nil {
		return err
	}
	return s.ValidatePayload(p)
}

// ValidatePayload judges an encoded value, by the JSON that it is or would be.
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

// judged is what a schema is shown of a number: of one past all that 64 bits can say, which
// a type may take that keeps it as a text, the last that they can.
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
