package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
)

// explain improves err, which encoding/json returned when it read data into p: the result
// describes the position, the stored value and the wanted type.
func (p *plan) explain(data []byte, err error) error {
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) || !json.Valid(data) {
		return err
	}
	if found := p.blame(data, 0); found != nil {
		return found
	}
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
		return fmt.Errorf("stored %s, want %s", wrong.Value, wrong.Type)
	}
	return err
}

// blame returns an error for the first part of raw that can't be read into p. It returns nil if
// it finds none.
func (p *plan) blame(raw []byte, depth int) error {
	raw = bytes.TrimSpace(raw)
	if p.shape != own && string(raw) == "null" || depth > maxNesting {
		return nil
	}
	switch p.shape {
	case pointer:
		return p.elem.blame(raw, depth+1)
	case list, array:
		if raw[0] != '[' {
			return p.wrong(raw, nil)
		}
		for i, part := range partsOf(raw) {
			if err := p.elem.blame(part.raw, depth+1); err != nil {
				return inElement(i, err)
			}
		}
		return nil
	case table, record:
		if raw[0] != '{' {
			return p.wrong(raw, nil)
		}
		return p.blameMember(raw, depth)
	}
	if err := json.Unmarshal(raw, reflect.New(p.typ).Interface()); err != nil {
		return p.wrong(raw, err)
	}
	return nil
}

func (p *plan) blameMember(raw []byte, depth int) error {
	for _, part := range partsOf(raw) {
		if p.shape == table {
			alone, _ := json.Marshal(map[string]any{part.key: nil})
			if json.Unmarshal(alone, reflect.New(p.typ).Interface()) != nil {
				return inKey(part.key, fmt.Errorf("the key can't be read as %s", p.key.wanted(false)))
			}
			if err := p.elem.blame(part.raw, depth+1); err != nil {
				return inKey(part.key, err)
			}
			continue
		}
		i, known := p.names[part.key]
		if !known {
			continue
		}
		if err := p.fields[i].blame(part.raw, depth+1); err != nil {
			return inKey(part.key, err)
		}
	}
	return nil
}

func (f *structField) blame(raw []byte, depth int) error {
	if !f.quoted {
		return f.plan.blame(raw, depth)
	}
	alone := reflect.New(reflect.StructOf([]reflect.StructField{{Name: "X", Type: f.typ, Tag: `json:"x,string"`}}))
	text := append(append([]byte(`{"x":`), raw...), '}')
	if json.Unmarshal(text, alone.Interface()) == nil {
		return nil
	}
	inner := f.plan
	for inner.shape == pointer {
		inner = inner.elem
	}
	return fmt.Errorf("stored %s, want %s within a string", stored(raw), inner.wanted(false))
}

// A part is a member of an object or an element of a list, in JSON.
type part struct {
	key string
	raw []byte
}

// partsOf returns the parts of an object or a list of valid JSON.
func partsOf(raw []byte) []part {
	var list []part
	s := scanner{data: raw, most: math.MaxInt}
	isObject, end := s.next() == '{', byte(']')
	if isObject {
		end = '}'
	}
	_ = s.parts(end, nil, func(*plan) error { // an error ends the list
		var p part
		if isObject {
			p.key = s.key()
		}
		s.next()
		first := s.at
		if err := s.value(nil); err != nil {
			return err
		}
		p.raw = raw[first:s.at]
		list = append(list, p)
		return nil
	})
	return list
}

// wrong returns an error that says that raw can't be read into p. It includes err if that is
// from a method of the type.
func (p *plan) wrong(raw []byte, err error) error {
	text := fmt.Sprintf("stored %s, want %s", stored(raw), p.wanted(isInteger(raw)))
	if wrong := (*json.UnmarshalTypeError)(nil); p.shape != own || errors.As(err, &wrong) {
		return errors.New(text)
	}
	return fmt.Errorf("%s: %w", text, err)
}

func isInteger(raw []byte) bool {
	return len(raw) > 0 && (raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9') && !bytes.ContainsAny(raw, ".eE")
}

// longText is how many bytes of a string or a number an error shows.
const longText = 40

// stored describes raw for an error.
func stored(raw []byte) string {
	switch c := raw[0]; {
	case c == '{':
		return "object"
	case c == '[':
		return "list"
	case c == 't', c == 'f', c == 'n':
		return string(raw)
	case c == '"':
		var text string
		if json.Unmarshal(raw, &text) == nil && len(text) <= longText {
			return fmt.Sprintf("string %q", text)
		}
		return fmt.Sprintf("string %.*q...", longText, text)
	case isInteger(raw):
		return fmt.Sprintf("integer %.*s", longText, raw)
	}
	return fmt.Sprintf("number %.*s", longText, raw)
}

// wanted describes the values that p accepts. For integers it adds the bounds if bounds is true.
func (p *plan) wanted(bounds bool) string {
	switch p.shape {
	case boolean:
		return "boolean"
	case integer:
		if !bounds {
			return "integer"
		}
		last := int64(math.MaxInt64) >> (64 - p.typ.Bits())
		return fmt.Sprintf("integer from %d to %d", -last-1, last)
	case unsigned:
		if !bounds {
			return "integer"
		}
		return fmt.Sprintf("integer from 0 to %d", uint64(math.MaxUint64)>>(64-p.typ.Bits()))
	case float, number:
		return "number"
	case text:
		return "string"
	case blob:
		return "string in base64"
	case moment:
		return "time in RFC 3339 format"
	case list:
		return "list"
	case array:
		return fmt.Sprintf("list of %d", p.typ.Len())
	case table, record:
		return "object"
	case pointer:
		return p.elem.wanted(bounds)
	}
	return strings.TrimPrefix(p.typ.String(), "*")
}
