package codec

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// Programs of earlier versions wrote every type in MessagePack. For types that are not plain
// they had rules of their own: they used methods that encode to bytes, and ignored some
// options of tags. This version still reads the data that they stored.

// readOld reads data into v if a program of an earlier version would have written exactly
// these bytes for the resulting value. If it is not ok, v is zero.
func (p *plan) readOld(data []byte, v reflect.Value) (ok bool) {
	if p.plain || !p.old {
		return false
	}
	v.SetZero()
	defer func() {
		if recover() != nil { // a method of the type may panic on data that it did not write
			ok = false
		}
		if !ok {
			v.SetZero()
		}
	}()
	if unmarshal(data, v.Addr().Interface()) != nil {
		return false
	}
	again, err := marshalOld(v.Addr().Interface())
	return err == nil && bytes.Equal(again, data)
}

// oldNames adds the names of t's fields to names, as the MessagePack library sees them, with
// the fields of embedded structs. It reports whether a name occurs twice: the library then
// prints a message to the standard logger.
func oldNames(t reflect.Type, names map[string]bool, depth int) (twice bool) {
	for f := range t.Fields() {
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if f.Anonymous && inner.Kind() == reflect.Struct && depth < 10 {
			twice = oldNames(inner, names, depth+1) || twice
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			name = f.Name
		}
		twice = twice || names[name]
		names[name] = true
	}
	return twice
}

func marshalOld(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := msgpack.NewEncoder(&buf)
	enc.SetCustomStructTag("json")
	enc.UseCompactInts(true)
	enc.SetSortMapKeys(true)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	data := buf.Bytes()
	if t := reflect.TypeOf(v); t != nil && planOf(t).sorts {
		if _, err := sortMaps(data, 0); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// holdsMap reports whether a value of type t may hold a map that the library writes in random
// order. The library sorts only maps of strings to strings or to bools. An interface may hold
// any map. A type that may hold such a map is written with all maps and structs sorted.
func holdsMap(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Map:
		sorted := t.Key() == reflect.TypeFor[string]() &&
			(t.Elem() == reflect.TypeFor[string]() || t.Elem() == reflect.TypeFor[bool]())
		return !sorted
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return holdsMap(t.Elem(), seen)
	case reflect.Struct:
		for f := range t.Fields() {
			if (f.IsExported() || f.Anonymous) && holdsMap(f.Type, seen) {
				return true
			}
		}
	}
	return false
}

// decodeMap decodes a map into an interface as encoding/json would: all keys become strings,
// and integer keys are written in decimal.
func decodeMap(dec *msgpack.Decoder) (any, error) {
	n, err := dec.DecodeMapLen()
	if err != nil {
		return nil, err
	}
	m := make(map[string]any, n)
	for range n {
		k, err := decodeKey(dec)
		if err != nil {
			return nil, err
		}
		if m[k], err = dec.DecodeInterfaceLoose(); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func decodeKey(dec *msgpack.Decoder) (string, error) {
	c, err := dec.PeekCode()
	if err != nil {
		return "", err
	}
	if msgpcode.IsString(c) || msgpcode.IsBin(c) {
		return dec.DecodeString()
	}
	k, err := dec.DecodeInterfaceLoose()
	if err != nil {
		return "", err
	}
	switch k.(type) {
	case int64, uint64:
		return fmt.Sprint(k), nil
	}
	return "", fmt.Errorf("map key of type %T", k)
}
