package codec

import (
	"math"
	"reflect"

	"github.com/google/jsonschema-go/jsonschema"
)

// describe returns the schema of a plan, or nil if it has none, as a recursive type. Above
// holds the plans that p is a part of.
func (p *plan) describe(above map[*plan]bool) *jsonschema.Schema {
	if above[p] {
		return nil
	}
	above[p] = true
	defer delete(above, p)
	switch p.shape {
	case own, free, closed, payload:
		return &jsonschema.Schema{} // accepts any value
	case boolean:
		return typed("boolean")
	case integer, unsigned, float:
		return p.describeNumber()
	case number:
		return typed("number", "string")
	case text, moment:
		return typed("string")
	case blob:
		s := typed("null", "string")
		s.ContentEncoding = "base64"
		return s
	case pointer:
		return orNull(p.elem.describe(above))
	case list, array:
		return p.describeList(above)
	case table:
		return p.describeTable(above)
	case record:
		return p.describeRecord(above)
	}
	return nil
}

func typed(names ...string) *jsonschema.Schema {
	if len(names) == 1 {
		return &jsonschema.Schema{Type: names[0]}
	}
	return &jsonschema.Schema{Types: names}
}

// orNull changes s so that it accepts null, too.
func orNull(s *jsonschema.Schema) *jsonschema.Schema {
	switch {
	case s == nil:
	case s.Type != "":
		s.Type, s.Types = "", []string{"null", s.Type}
	case len(s.Types) > 0 && s.Types[0] != "null":
		s.Types = append([]string{"null"}, s.Types...)
	}
	return s
}

// mostFloat32 is the smallest number that is too large to be rounded to a float32.
const mostFloat32 = math.MaxFloat32 + 0x1p103

func (p *plan) describeNumber() *jsonschema.Schema {
	if p.shape == float {
		s := typed("number")
		if p.typ.Kind() == reflect.Float32 {
			s.ExclusiveMinimum, s.ExclusiveMaximum = new(-mostFloat32), new(mostFloat32)
		}
		return s
	}
	s, bits := typed("integer"), p.typ.Bits()
	least, most := 0.0, math.Ldexp(1, bits) // most is the largest integer plus 1
	if p.shape == integer {
		least, most = -math.Ldexp(1, bits-1), math.Ldexp(1, bits-1)
	}
	s.Minimum = &least
	if bits == 64 { // a float64 can't hold most-1
		s.ExclusiveMaximum = &most
	} else {
		s.Maximum = new(most - 1)
	}
	return s
}

func (p *plan) describeList(above map[*plan]bool) *jsonschema.Schema {
	items := p.elem.describe(above)
	if items == nil {
		return nil
	}
	s := typed("null", "array")
	if p.shape == array {
		s = typed("array")
		s.MinItems, s.MaxItems = new(p.typ.Len()), new(p.typ.Len())
	}
	s.Items = items
	return s
}

func (p *plan) describeTable(above map[*plan]bool) *jsonschema.Schema {
	s := typed("null", "object")
	switch p.key.shape {
	case text, own:
	case integer, unsigned:
		s.PropertyNames = &jsonschema.Schema{Pattern: "^-?[0-9]+$"}
	default:
		return nil
	}
	if s.AdditionalProperties = p.elem.describe(above); s.AdditionalProperties == nil {
		return nil
	}
	return s
}

func (p *plan) describeRecord(above map[*plan]bool) *jsonschema.Schema {
	s := typed("object")
	if len(p.fields) > 0 {
		s.Properties = make(map[string]*jsonschema.Schema, len(p.fields))
	}
	for i := range p.fields {
		f := &p.fields[i]
		d := f.plan.describe(above)
		if d == nil {
			return nil
		}
		if f.quoted {
			d = typed("string")
			if f.plan.shape == pointer {
				d = orNull(d)
			}
		}
		d.Description = f.about
		s.Properties[f.name] = d
		s.PropertyOrder = append(s.PropertyOrder, f.name)
		if !f.omitEmpty && !f.omitZero && !f.behindPointer {
			s.Required = append(s.Required, f.name)
		}
	}
	return s
}
