package codec

import (
	"bytes"
	"errors"
	"reflect"
	"strings"

	"github.com/vmihailenco/msgpack/v5"
)

// UnmarshalKeeping is [Unmarshal] into the struct that v points to, which also
// returns the fields that the struct does not have, as a map; nil if there are
// none. Together with [Map.Fields] it lets a program read and write again what a
// later version of it has written. It costs more only where there are any.
func UnmarshalKeeping(data []byte, v any) (rest []byte, err error) {
	if unmarshal(data, v, strict) == nil {
		return nil, nil
	}
	reflect.ValueOf(v).Elem().SetZero() // of what was decoded until then
	if err := Unmarshal(data, v); err != nil {
		return nil, err
	}
	return otherFields(data, reflect.TypeOf(v).Elem())
}

var errNoMap = errors.New("no map")

// fieldsOf returns the number of a map's entries, and their bytes.
func fieldsOf(data []byte) (n int, fields []byte, err error) {
	h, err := headOf(data)
	if err == nil && !h.isMap {
		err = errNoMap
	}
	if err != nil {
		return 0, nil, err
	}
	return int(h.values / 2), data[h.size:], nil
}

func mapOf(n int, fields ...[]byte) ([]byte, error) {
	var buf bytes.Buffer
	if err := msgpack.NewEncoder(&buf).EncodeMapLen(n); err != nil {
		return nil, err
	}
	for _, f := range fields {
		buf.Write(f)
	}
	return buf.Bytes(), nil
}

// otherFields returns the entries of the map data, which has been checked, whose
// keys name no field of the struct t.
func otherFields(data []byte, t reflect.Type) ([]byte, error) {
	n, fields, err := fieldsOf(data)
	if err != nil {
		return nil, nil // an array, or null: what has no names has no others
	}
	known := namesOf(t)
	found := 0
	var rest []byte
	for range n {
		value, err := skip(fields, 0)
		if err != nil {
			return nil, err
		}
		end, err := skip(fields, value)
		if err != nil {
			return nil, err
		}
		if h, err := headOf(fields); err == nil && !(h.isStr && known[string(fields[h.size:value])]) {
			rest = append(rest, fields[:end]...)
			found++
		}
		fields = fields[end:]
	}
	if found == 0 {
		return nil, nil
	}
	return mapOf(found, rest)
}

// namesOf returns what the fields of a struct are called.
func namesOf(t reflect.Type) map[string]bool {
	names := make(map[string]bool, t.NumField())
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			name = f.Name
		}
		names[name] = true
	}
	return names
}

// skip returns where the value at data[at:] ends.
func skip(data []byte, at int) (end int, err error) {
	for left := uint64(1); left > 0; left-- {
		h, err := headOf(data[at:])
		if err != nil {
			return 0, err
		}
		at += h.size
		if rest := uint64(len(data) - at); h.bytes > rest || h.values > rest {
			return 0, errShort
		}
		at += int(h.bytes)
		left += h.values
	}
	return at, nil
}
