package codec

import (
	"bytes"
	"errors"
)

var (
	errNoMap  = errors.New("not a map")
	errNoList = errors.New("not a list")
)

// A FieldMap is a MessagePack map split into its fields, for a reader that takes the fields
// that it knows, in any order, and keeps the others unchanged. With it and [Map.Fields] a
// program can rewrite a record of a later version without losing fields.
type FieldMap struct {
	fields []field
	byName map[string]int // if a name occurs twice, the last one counts
}

type field struct {
	entry []byte // key and value
	value []byte
	name  string
	taken bool
}

// SplitMap splits an encoded map. It returns nil for null, which stands for no map, and an
// error for anything else that is not exactly one map.
func SplitMap(data []byte) (*FieldMap, error) {
	if _, err := check(data); err != nil {
		return nil, err
	}
	if data[0] == null[0] {
		return nil, nil
	}
	n, rest, err := fieldsOf(data)
	if err != nil {
		return nil, err
	}
	m := &FieldMap{byName: make(map[string]int, n), fields: make([]field, 0, n)}
	for range n {
		value, err := skip(rest, 0)
		if err != nil {
			return nil, err
		}
		end, err := skip(rest, value)
		if err != nil {
			return nil, err
		}
		f := field{entry: rest[:end], value: rest[value:end:end]}
		if h, err := headOf(rest); err == nil && h.isStr {
			f.name = string(rest[h.size:value])
			m.byName[f.name] = len(m.fields)
		}
		m.fields = append(m.fields, f)
		rest = rest[end:]
	}
	return m, nil
}

// Take returns the encoded value of a field. If the name occurs twice, the last value counts.
func (m *FieldMap) Take(name string) (value []byte, ok bool) {
	i, ok := m.byName[name]
	if !ok {
		return nil, false
	}
	m.fields[i].taken = true
	return m.fields[i].value, true
}

// Rest returns the fields that were not taken, as an encoded map; nil if there are none.
func (m *FieldMap) Rest() []byte {
	var entries [][]byte
	for _, f := range m.fields {
		if i, named := m.byName[f.name]; named && m.fields[i].taken {
			continue
		}
		entries = append(entries, f.entry)
	}
	if len(entries) == 0 {
		return nil
	}
	return mapOf(entries)
}

// SplitList returns the encoded elements of an encoded list. It returns nil for null.
func SplitList(data []byte) ([][]byte, error) {
	if _, err := check(data); err != nil {
		return nil, err
	}
	if data[0] == null[0] {
		return nil, nil
	}
	h, err := headOf(data)
	if err != nil {
		return nil, err
	}
	if !isList(data[0]) {
		return nil, errNoList
	}
	list := make([][]byte, 0, h.values)
	for at := h.size; at < len(data); {
		end, err := skip(data, at)
		if err != nil {
			return nil, err
		}
		list = append(list, data[at:end:end])
		at = end
	}
	return list, nil
}

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

// mapOf returns a map of encoded entries.
func mapOf(entries [][]byte) []byte {
	return append(appendHead(nil, len(entries), 0x80, 0xde), bytes.Join(entries, nil)...)
}

// skip returns where the value at data[at:] ends.
func skip(data []byte, at int) (end int, err error) {
	for left := uint64(1); left > 0; left-- {
		h, body, err := headAt(data, at)
		if err != nil {
			return 0, err
		}
		at = body + int(h.bytes)
		left += h.values
	}
	return at, nil
}
