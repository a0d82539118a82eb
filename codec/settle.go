package codec

import (
	"encoding/json"
	"fmt"
	"reflect"
)

// unmarshalJSON decodes one value of JSON into the value that v points to. It differs from
// encoding/json in three ways: numbers in interfaces keep their digits, it refuses data with
// more than one meaning (see scan), and its errors include the position.
func unmarshalJSON(data []byte, v any) error {
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || rv.IsNil() {
		return errTarget(v)
	}
	if a, ok := v.(*any); ok {
		decoded, err := decodeJSON(data)
		if err == nil {
			*a = decoded
		}
		return err
	}
	p := planOf(rv.Type().Elem())
	if err := p.unmarshal(data, v); err != nil {
		return p.explain(data, err)
	}
	if err := scan(data, p, maxNesting); err != nil {
		return err
	}
	if !p.hasFree {
		return nil
	}
	return p.settle(rv.Elem(), 0)
}

func errTarget(v any) error {
	return fmt.Errorf("decode into %T, which is not a pointer to a value", v)
}

func (p *plan) unmarshal(data []byte, v any) error {
	if !p.hasFree {
		return json.Unmarshal(data, v)
	}
	return unmarshalDigits(data, v)
}

// settle replaces each json.Number in the interfaces in v: see numberOf.
func (p *plan) settle(v reflect.Value, depth int) error {
	if !p.hasFree || depth > 2*maxNesting { // v may have pointed to itself before
		return nil
	}
	depth++
	switch p.shape {
	case free:
		if v.IsNil() {
			return nil
		}
		decoded, err := convert(v.Elem().Interface(), numberOf)
		if err == nil {
			v.Set(reflect.ValueOf(decoded))
		}
		return err
	case pointer:
		if v.IsNil() {
			return nil
		}
		return p.elem.settle(v.Elem(), depth)
	case list, array:
		for i := range v.Len() {
			if err := p.elem.settle(v.Index(i), depth); err != nil {
				return inElement(i, err)
			}
		}
	case table:
		for _, key := range v.MapKeys() {
			value := reflect.New(p.typ.Elem()).Elem()
			value.Set(v.MapIndex(key))
			if err := p.elem.settle(value, depth); err != nil {
				return inKey(fmt.Sprint(key), err)
			}
			v.SetMapIndex(key, value)
		}
	case record:
		for i := range p.fields {
			f := &p.fields[i]
			part, ok := f.of(v)
			if !ok {
				continue
			}
			if err := f.plan.settle(part, depth); err != nil {
				return inKey(f.name, err)
			}
		}
	}
	return nil
}
