package codec

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"
)

// mostDepth is how deep a written value may nest. It is less than maxNesting, because the value
// may become a part of a larger one: a parent collects the outputs of its children.
const mostDepth = maxNesting - 100

var errDeep = fmt.Errorf("it nests deeper than %d levels, or contains itself", mostDepth)

// marshalJSON returns v, a value of p's type, in JSON. It refuses a value that could not be
// read again.
func (p *plan) marshalJSON(v reflect.Value) ([]byte, error) {
	if !p.plain || p.hasFree {
		// encoding/json finds only some of these errors, and without their positions. It
		// descends into a value of any depth, which can exhaust the goroutine's stack.
		if err := p.refuse(v, 0); err != nil {
			return nil, err
		}
	}
	data, err := json.Marshal(v.Addr().Interface())
	if err != nil {
		if found := p.refuse(v, 0); found != nil {
			return nil, found
		}
		return nil, errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	if p.hasOwn || p.hasTable || p.hasFree || p.hasPayload {
		if err := scan(data, nil, mostDepth); err != nil {
			return nil, err
		}
	}
	if !p.hasOwn && !p.hasFree { // an interface may hold a value that encodes itself
		return data, nil
	}
	if err := unmarshalJSON(data, reflect.New(p.typ).Interface()); err != nil {
		return nil, fmt.Errorf("can't decode its encoding: %w", err)
	}
	return data, nil
}

// refuse returns an error, with the position, if a part of v can't be encoded or would be lost.
func (p *plan) refuse(v reflect.Value, depth int) error {
	if depth++; depth > 2*mostDepth { // a pointer and its target count as two here, as one in JSON
		return errDeep
	}
	switch p.shape {
	case bad:
		return fmt.Errorf("%s: JSON can't express this type", p.typ)
	case own:
		if p.onlyBy && !v.CanAddr() {
			return fmt.Errorf("%s: its method to encode has a pointer receiver: use *%s", p.typ, p.typ)
		}
	case float:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("%v: %w", f, errNotFinite)
		}
	case moment:
		if t := v.Interface().(time.Time); !hasYear(t) {
			return noYear(t)
		}
	case payload:
		if _, err := v.Interface().(Payload).text(); err != nil {
			return err
		}
	case free, closed:
		if !v.IsNil() {
			return planOf(v.Elem().Type()).refuse(v.Elem(), depth)
		}
	case pointer:
		if !v.IsNil() {
			return p.elem.refuse(v.Elem(), depth)
		}
	case list, array:
		return p.refuseElement(v, depth)
	case table:
		return p.refuseMember(v, depth)
	case record:
		return p.refuseField(v, depth)
	}
	return nil
}

func (p *plan) refuseElement(v reflect.Value, depth int) error {
	if p.elem.isScalar() {
		return nil
	}
	for i := range v.Len() {
		if err := p.elem.refuse(v.Index(i), depth); err != nil {
			return inElement(i, err)
		}
	}
	return nil
}

// isScalar reports whether refuse accepts every value of the plan.
func (p *plan) isScalar() bool {
	return p.shape == boolean || p.shape == integer || p.shape == unsigned || p.shape == text || p.shape == blob
}

func (p *plan) refuseMember(v reflect.Value, depth int) error {
	switch kind := p.typ.Key().Kind(); {
	case p.typ.Key().Implements(forJSON[2]), kind == reflect.String, kind >= reflect.Int && kind <= reflect.Uintptr:
	default:
		return fmt.Errorf("%s: its keys are not strings or integers", p.typ)
	}
	for each := v.MapRange(); each.Next(); {
		if err := p.elem.refuse(each.Value(), depth); err != nil {
			return inKey(fmt.Sprint(each.Key()), err)
		}
	}
	return nil
}

func (p *plan) refuseField(v reflect.Value, depth int) error {
	for i := range p.fields {
		f := &p.fields[i]
		part, ok := f.of(v)
		if !ok || f.left(part) {
			continue
		}
		if err := f.plan.refuse(part, depth); err != nil {
			return inKey(f.name, err)
		}
	}
	return nil
}
