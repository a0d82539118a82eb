package codec

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// Programs of before wrote every type in MessagePack, by rules of their own where it was
// not plain: a method that encodes to bytes counted, and the options of a tag did not all
// count. What they have stored is still to be read.

// readOld reads data into v if it is just what a program of before wrote of the value that
// it is read as. If it is not ok, v is zero.
func (p *plan) readOld(data []byte, v reflect.Value) (ok bool) {
	if p.plain || !p.old {
		return false
	}
	v.SetZero()
	defer func() {
		if recover() != nil { // a method of the type, given what it did not write
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

// oldNames adds to names what the library takes the fields of t for, those of embedded
// structs included, and reports whether it finds one twice: it prints that to the standard
// logger then.
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

// holdsMap reports whether a value of type t may hold a map that the library leaves in
// random order: it sorts maps of strings to strings and to bools, and no others. An
// interface may hold anything. Where there may be one, everything is sorted, structs too.
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

// decodeMap decodes a map into an interface as encoding/json would have it: with keys that
// are strings, integers in decimal.
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
