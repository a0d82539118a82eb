package codec

import (
	"encoding/binary"
	"math"
)

// A Map writes the MessagePack encoding of a map field by field, without reflection: for types
// that are written very often. The result is that of [Marshal] for a struct whose fields are
// all omitempty: it leaves zero values out, except in the Any methods.
type Map struct {
	data []byte // the outermost map, after room for its head
	n    int
	list bool // whether the outermost value is a list
}

// room is the length of the longest head of a map that a Map can write: 65,535 fields.
const room = 3

// NewMap returns an empty Map with a buffer of the given capacity, which grows as needed.
func NewMap(capacity int) *Map {
	return NewMapIn(make([]byte, 0, room+capacity))
}

// NewMapIn returns an empty Map that writes into a buffer, from its beginning, or into a new
// one if the buffer is too small.
func NewMapIn(buffer []byte) *Map {
	var head [room]byte
	return &Map{data: append(buffer[:0], head[:]...)}
}

// NewList returns a writer of a list of n maps. Write each map between [Map.Element] and
// [Map.Close].
func NewList(capacity, n int) *Map {
	return &Map{data: appendHead(make([]byte, 0, capacity), n, 0x90, 0xdc), list: true}
}

// Bytes ends the map and returns its encoding.
func (m *Map) Bytes() []byte {
	if m.list {
		return m.data
	}
	if m.n < 16 {
		m.data[0] = 0x80 | byte(m.n)
		return append(m.data[:1], m.data[room:]...)
	}
	m.data[0] = 0xde
	binary.BigEndian.PutUint16(m.data[1:], uint16(m.n))
	return m.data
}

func (m *Map) name(name string) {
	m.n++
	m.data = appendString(m.data, name)
}

// String writes a string, unless it is empty.
func (m *Map) String(name, s string) {
	if s == "" {
		return
	}
	m.name(name)
	m.data = appendString(m.data, s)
}

// AnyString writes a string.
func (m *Map) AnyString(name, s string) {
	m.name(name)
	m.data = appendString(m.data, s)
}

// Int writes an integer, unless it is 0.
func (m *Map) Int(name string, i int64) {
	if i == 0 {
		return
	}
	m.AnyInt(name, i)
}

// AnyInt writes an integer.
func (m *Map) AnyInt(name string, i int64) {
	m.name(name)
	m.data = appendInt(m.data, i)
}

// Float writes a number, unless it is 0.
func (m *Map) Float(name string, f float64) {
	if f == 0 {
		return
	}
	m.name(name)
	m.data = binary.BigEndian.AppendUint64(append(m.data, 0xcb), math.Float64bits(f))
}

// Bool writes true. It leaves false out.
func (m *Map) Bool(name string, on bool) {
	if !on {
		return
	}
	m.name(name)
	m.data = append(m.data, 0xc3)
}

// Binary writes bytes. It leaves an empty slice out.
func (m *Map) Binary(name string, data []byte) {
	if len(data) == 0 {
		return
	}
	m.name(name)
	m.data = appendBinary(m.data, data)
}

// Strings writes a map of strings in the order of its keys, unless it is empty.
func (m *Map) Strings(name string, s map[string]string) {
	n := len(s)
	if n == 0 {
		return
	}
	m.name(name)
	m.data = appendHead(m.data, n, 0x80, 0xde)
	var few [16]string
	for _, key := range sortedKeys(few[:0], s) {
		m.data = appendString(appendString(m.data, key), s[key])
	}
}

// An Outer is the state of the map around the one that is being written.
type Outer struct{ field, head, n int }

// Open begins a map of up to 15 fields as the value of a field. Write the fields, then pass the
// result of Open to [Map.Close].
func (m *Map) Open(name string) Outer {
	field := len(m.data)
	m.name(name)
	o := m.Element()
	o.field = field
	return o
}

// CloseAny is [Map.Close], but leaves the field out if the map is empty.
func (m *Map) CloseAny(o Outer) {
	if m.n == 0 {
		m.data, m.n = m.data[:o.field], o.n-1
		return
	}
	m.Close(o)
}

// Close ends the innermost map. It panics if the map has more than 15 fields.
func (m *Map) Close(o Outer) {
	if m.n > 15 {
		panic("codec: a map within a map has more than 15 fields")
	}
	m.data[o.head] = 0x80 | byte(m.n)
	m.n = o.n
}

// List begins a list of n maps as the value of a field; it leaves the field out if n is 0.
// Write each map between [Map.Element] and Close.
func (m *Map) List(name string, n int) {
	if n == 0 {
		return
	}
	m.name(name)
	m.data = appendHead(m.data, n, 0x90, 0xdc)
}

// Element begins a map of a list, with up to 15 fields.
func (m *Map) Element() Outer {
	o := Outer{head: len(m.data), n: m.n}
	m.data, m.n = append(m.data, 0), 0
	return o
}

// appendHead writes the head of a map or list with n entries: short is the code for fewer than
// 16, long the code for a 16-bit count, which the code for a 32-bit count follows.
func appendHead(data []byte, n int, short, long byte) []byte {
	switch {
	case n < 16:
		return append(data, short|byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(data, long), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(data, long+1), uint32(n))
}

func appendString(data []byte, s string) []byte {
	if len(s) < 32 {
		return append(append(data, 0xa0|byte(len(s))), s...)
	}
	return append(appendLength(data, len(s), 0xd9), s...)
}

func appendBinary(data, b []byte) []byte {
	return append(appendLength(data, len(b), 0xc4), b...)
}

// appendLength writes the code of a string or of bytes, and the length n in 1, 2 or 4 bytes:
// code is the code for an 8-bit length, which the codes for 16 and 32 bits follow.
func appendLength(data []byte, n int, code byte) []byte {
	switch {
	case n <= math.MaxUint8:
		return append(data, code, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(data, code+1), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(data, code+2), uint32(n))
}

// appendInt writes an integer in as few bytes as possible.
func appendInt(data []byte, i int64) []byte {
	switch {
	case i >= 0 && i < 0x80, i < 0 && i >= -32:
		return append(data, byte(i))
	case i > 0 && i <= math.MaxUint8:
		return append(data, 0xcc, byte(i))
	case i > 0 && i <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(data, 0xcd), uint16(i))
	case i > 0 && i <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(data, 0xce), uint32(i))
	case i > 0:
		return binary.BigEndian.AppendUint64(append(data, 0xcf), uint64(i))
	case i >= math.MinInt8:
		return append(data, 0xd0, byte(i))
	case i >= math.MinInt16:
		return binary.BigEndian.AppendUint16(append(data, 0xd1), uint16(i))
	case i >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(data, 0xd2), uint32(i))
	}
	return binary.BigEndian.AppendUint64(append(data, 0xd3), uint64(i))
}

// Fields writes the fields of an encoded map, as [FieldMap.Rest] returns them.
func (m *Map) Fields(rest []byte) error {
	if len(rest) == 0 {
		return nil
	}
	n, fields, err := fieldsOf(rest)
	if err != nil {
		return err
	}
	m.n += n
	m.data = append(m.data, fields...)
	return nil
}
