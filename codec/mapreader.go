package codec

import (
	"encoding/binary"
	"math"
)

// A MapReader reads the MessagePack encoding of a map field by field, as a [Map] writes it,
// without reflection and without copying: for types that are read very often. It understands
// only what a Map writes. At anything else (a null, a value of another type, missing bytes) it
// stops, and [MapReader.OK] is false. The caller then uses [UnmarshalRecord], which reads the
// data or says what is wrong.
type MapReader struct {
	data []byte // the remaining bytes
	n    int    // the remaining fields of the map
	ok   bool
}

// NewMapReader returns a reader of an encoded map.
func NewMapReader(data []byte) MapReader {
	r := MapReader{data: data, ok: true}
	r.n = r.head(0x80, 0xde)
	return r
}

// NewListReader returns a reader of an encoded list of maps, and the number of maps. Read each
// map between [MapReader.Open] and [MapReader.Close].
func NewListReader(data []byte) (r MapReader, n int) {
	r = MapReader{data: data, ok: true}
	n = r.Len()
	return r, n
}

// Next returns the name of the next field, whose value the caller must read next, or false at
// the end of the map. The name shares the bytes of data.
func (r *MapReader) Next() (name []byte, ok bool) {
	if !r.ok || r.n == 0 {
		return nil, false
	}
	r.n--
	name = r.Text()
	return name, r.ok
}

// OK reports whether the reader has read the whole map, and nothing follows it.
func (r *MapReader) OK() bool { return r.ok && r.n == 0 && len(r.data) == 0 }

// Stop ends the reading, because the caller does not know a field.
func (r *MapReader) Stop() { r.ok = false }

// take returns the next n bytes.
func (r *MapReader) take(n uint64) []byte {
	if !r.ok || n > uint64(len(r.data)) {
		r.ok = false
		return nil
	}
	data := r.data[:n:n]
	r.data = r.data[n:]
	return data
}

func (r *MapReader) code() byte {
	if c := r.take(1); r.ok {
		return c[0]
	}
	return 0xc1 // no value begins with it
}

func (r *MapReader) uint(bytes uint64) uint64 {
	data := r.take(bytes)
	if !r.ok {
		return 0
	}
	switch bytes {
	case 1:
		return uint64(data[0])
	case 2:
		return uint64(binary.BigEndian.Uint16(data))
	case 4:
		return uint64(binary.BigEndian.Uint32(data))
	}
	return binary.BigEndian.Uint64(data)
}

// head reads the head of a map or a list, as appendHead writes it.
func (r *MapReader) head(short, long byte) int {
	switch c := r.code(); c {
	case long:
		return int(r.uint(2))
	case long + 1:
		return int(r.uint(4))
	default:
		r.ok = r.ok && c&0xf0 == short
		return int(c & 0x0f)
	}
}

// Text reads a string. The bytes are shared with the data.
func (r *MapReader) Text() []byte {
	switch c := r.code(); {
	case c >= 0xa0 && c < 0xc0:
		return r.take(uint64(c & 0x1f))
	case c >= 0xd9 && c <= 0xdb:
		return r.take(r.uint(1 << (c - 0xd9)))
	}
	r.ok = false
	return nil
}

// String reads a string.
func (r *MapReader) String() string { return string(r.Text()) }

// Int reads an integer.
func (r *MapReader) Int() int64 {
	switch c := r.code(); {
	case c < 0x80, c >= 0xe0:
		return int64(int8(c))
	case c >= 0xcc && c <= 0xcf:
		u := r.uint(1 << (c - 0xcc))
		r.ok = r.ok && u <= math.MaxInt64
		return int64(u)
	case c == 0xd0:
		return int64(int8(r.uint(1)))
	case c == 0xd1:
		return int64(int16(r.uint(2)))
	case c == 0xd2:
		return int64(int32(r.uint(4)))
	case c == 0xd3:
		return int64(r.uint(8))
	}
	r.ok = false
	return 0
}

// Float reads a floating-point number.
func (r *MapReader) Float() float64 {
	r.ok = r.code() == 0xcb && r.ok
	return math.Float64frombits(r.uint(8))
}

// Bool reads true or false.
func (r *MapReader) Bool() bool {
	c := r.code()
	r.ok = r.ok && (c == 0xc2 || c == 0xc3)
	return c == 0xc3
}

// Binary reads bytes, which are shared with the data.
func (r *MapReader) Binary() []byte {
	c := r.code()
	if c < 0xc4 || c > 0xc6 {
		r.ok = false
		return nil
	}
	return r.take(r.uint(1 << (c - 0xc4)))
}

// Strings reads a map of strings.
func (r *MapReader) Strings() map[string]string {
	n := r.head(0x80, 0xde)
	if !r.ok || n > len(r.data)/2 { // an entry takes at least two bytes
		r.ok = false
		return nil
	}
	m := make(map[string]string, n)
	for range n {
		key := r.String()
		m[key] = r.String()
	}
	return m
}

// Open begins a map as the value of a field. Read its fields, then pass the result of Open to
// [MapReader.Close].
func (r *MapReader) Open() (outer int) {
	outer = r.n
	r.n = r.head(0x80, 0xde)
	return outer
}

// Close ends the innermost map.
func (r *MapReader) Close(outer int) {
	r.ok = r.ok && r.n == 0
	r.n = outer
}

// Len begins a list and returns the number of its elements. An element takes at least one byte,
// so a caller that allocates all of them uses memory proportional to the data.
func (r *MapReader) Len() int {
	n := r.head(0x90, 0xdc)
	if r.ok = r.ok && n <= len(r.data); !r.ok {
		return 0
	}
	return n
}
