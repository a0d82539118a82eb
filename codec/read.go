package codec

import (
	"encoding/binary"
	"math"
	"reflect"
	"time"
	"unicode/utf8"
)

// A reading reads MessagePack into values of plain types. It accepts the encodings that a
// writer writes, and other encodings of the same values. At anything else (a string instead of
// a number, an integer that does not fit, several unknown keys, a key that occurs twice) its
// methods return false. The caller then converts the data to JSON, and encoding/json reads it or
// says what is wrong. If the plan contains an interface or a payload, the data has been checked.
type reading struct {
	data    []byte // the remaining bytes
	whole   []byte
	checked bool
}

// read reads data into v, which must be zero. If it is not ok, v is zero again.
func (p *plan) read(data []byte, v reflect.Value) (ok bool) {
	if !p.plain || !v.IsZero() {
		return false
	}
	r := reading{data: data, whole: data}
	if (p.hasFree || p.hasPayload) && !r.check() {
		return false
	}
	if r.value(p, v) && len(r.data) == 0 {
		return true
	}
	v.SetZero()
	return false
}

func (r *reading) check() bool {
	if !r.checked {
		_, err := check(r.whole)
		r.checked = err == nil
	}
	return r.checked
}

// take returns the next n bytes, or nil.
func (r *reading) take(n uint64) []byte {
	if n > uint64(len(r.data)) {
		return nil
	}
	data := r.data[:n:n]
	r.data = r.data[n:]
	return data
}

// head reads the head of the next value, and returns the code too. It is not ok if the data
// can't hold the value.
func (r *reading) head() (c byte, h head, ok bool) {
	h, err := headOf(r.data)
	if err != nil || !h.fits(len(r.data)-h.size) {
		return 0, h, false
	}
	c = r.data[0]
	r.data = r.data[h.size:]
	return c, h, true
}

// isNull reports whether the next value is null, and if so skips it.
func (r *reading) isNull() bool {
	if len(r.data) == 0 || r.data[0] != 0xc0 {
		return false
	}
	r.data = r.data[1:]
	return true
}

func (r *reading) value(p *plan, v reflect.Value) bool {
	switch p.shape {
	case boolean:
		c := r.take(1)
		if c == nil || c[0] != 0xc2 && c[0] != 0xc3 {
			return false
		}
		v.SetBool(c[0] == 0xc3)
	case integer:
		i, big, ok := r.integer()
		if !ok || big != 0 || v.OverflowInt(i) {
			return false
		}
		v.SetInt(i)
	case unsigned:
		i, big, ok := r.integer()
		if big == 0 {
			big = uint64(i)
			ok = ok && i >= 0
		}
		if !ok || v.OverflowUint(big) {
			return false
		}
		v.SetUint(big)
	case float:
		f, ok := r.float(p.typ.Kind() == reflect.Float32)
		if !ok {
			return false
		}
		v.SetFloat(f)
	case text:
		s, ok := r.text()
		if !ok {
			return false
		}
		v.SetString(string(s))
	case blob:
		return r.isNull() || r.binary(v)
	case moment:
		t, ok := r.time()
		if !ok {
			return false
		}
		*v.Addr().Interface().(*time.Time) = t
	default:
		return r.parts(p, v)
	}
	return true
}

func (r *reading) parts(p *plan, v reflect.Value) bool {
	switch p.shape {
	case payload:
		return r.payload(v.Addr().Interface().(*Payload))
	case free:
		a, ok := r.free()
		if ok && a != nil {
			v.Set(reflect.ValueOf(a))
		}
		return ok
	case record:
		return r.record(p, v)
	case array:
		c, h, ok := r.head()
		return ok && isList(c) && h.values == uint64(v.Len()) && r.elements(p, v)
	}
	if r.isNull() {
		return true
	}
	switch p.shape {
	case pointer:
		v.Set(reflect.New(p.typ.Elem()))
		return r.value(p.elem, v.Elem())
	case list:
		c, h, ok := r.head()
		if !ok || !isList(c) {
			return false
		}
		v.Set(reflect.MakeSlice(p.typ, int(h.values), int(h.values)))
		return r.elements(p, v)
	}
	return r.table(p, v)
}

func isList(c byte) bool { return c&0xf0 == 0x90 || c == 0xdc || c == 0xdd }

func isInt(c byte) bool { return c < 0x80 || c >= 0xe0 || c >= 0xcc && c <= 0xd3 }

func (r *reading) elements(p *plan, v reflect.Value) bool {
	for i := range v.Len() {
		if !r.value(p.elem, v.Index(i)) {
			return false
		}
	}
	return true
}

// integer reads an integer. If an int64 can't hold it, big is the integer; otherwise big is 0.
func (r *reading) integer() (i int64, big uint64, ok bool) {
	if len(r.data) == 0 {
		return 0, 0, false
	}
	c := r.data[0]
	if c < 0x80 || c >= 0xe0 {
		r.data = r.data[1:]
		return int64(int8(c)), 0, true
	}
	if c < 0xcc || c > 0xd3 {
		return 0, 0, false
	}
	size := 1 << (c & 3) // cc to cf, and d0 to d3
	if len(r.data) <= size {
		return 0, 0, false
	}
	data := r.data[1:]
	r.data = data[size:]
	var u uint64
	switch size {
	case 1:
		u, i = uint64(data[0]), int64(int8(data[0]))
	case 2:
		n := binary.BigEndian.Uint16(data)
		u, i = uint64(n), int64(int16(n))
	case 4:
		n := binary.BigEndian.Uint32(data)
		u, i = uint64(n), int64(int32(n))
	default:
		u = binary.BigEndian.Uint64(data)
		i = int64(u)
	}
	switch {
	case c >= 0xd0:
		return i, 0, true
	case u > math.MaxInt64:
		return 0, u, true
	}
	return int64(u), 0, true
}

func (r *reading) float(single bool) (float64, bool) {
	if len(r.data) == 0 {
		return 0, false
	}
	switch c := r.data[0]; {
	case c == 0xca && single && len(r.data) >= 5:
		bits := binary.BigEndian.Uint32(r.data[1:])
		r.data = r.data[5:]
		return float64(math.Float32frombits(bits)), true
	case c == 0xcb && !single && len(r.data) >= 9:
		bits := binary.BigEndian.Uint64(r.data[1:])
		r.data = r.data[9:]
		return math.Float64frombits(bits), true
	case single:
		return 0, false
	}
	i, big, ok := r.integer()
	if big != 0 {
		return float64(big), ok
	}
	return float64(i), ok
}

// text reads a string. The result shares the bytes of data.
func (r *reading) text() ([]byte, bool) {
	if len(r.data) > 0 && r.data[0]&0xe0 == 0xa0 {
		n := int(r.data[0] & 0x1f)
		if n >= len(r.data) {
			return nil, false
		}
		s := r.data[1 : 1+n]
		r.data = r.data[1+n:]
		return s, utf8.Valid(s)
	}
	_, h, ok := r.head()
	if !ok || !h.isStr {
		return nil, false
	}
	s := r.take(h.bytes)
	return s, utf8.Valid(s)
}

func (r *reading) binary(v reflect.Value) bool {
	c, h, ok := r.head()
	if !ok || c < 0xc4 || c > 0xc6 {
		return false
	}
	v.SetBytes(append(make([]byte, 0, h.bytes), r.take(h.bytes)...))
	return true
}

// time reads a timestamp.
func (r *reading) time() (time.Time, bool) {
	_, h, ok := r.head()
	if !ok || !h.isExt {
		return time.Time{}, false
	}
	return timeOf(r.take(h.bytes)), true
}

// timeOf returns the time in a timestamp of 4, 8 or 12 bytes.
func timeOf(b []byte) time.Time {
	var seconds, nanos int64
	switch len(b) {
	case 4:
		seconds = int64(binary.BigEndian.Uint32(b))
	case 8:
		both := binary.BigEndian.Uint64(b)
		seconds, nanos = int64(both&(1<<34-1)), int64(both>>34)
	default:
		seconds, nanos = int64(binary.BigEndian.Uint64(b[4:])), int64(binary.BigEndian.Uint32(b))
	}
	return time.Unix(seconds, nanos).UTC()
}

// payload copies the encoding of the next value into p.
func (r *reading) payload(p *Payload) bool {
	if r.isNull() {
		return true
	}
	end, err := skip(r.data, 0)
	if err != nil {
		return false
	}
	p.Type, p.Data = MsgPack, append(make([]byte, 0, end), r.take(uint64(end))...)
	return true
}

func (r *reading) record(p *plan, v reflect.Value) bool {
	_, h, ok := r.head()
	if !ok || !h.isMap {
		return false
	}
	var seen [mostFields / 64]uint64
	next, unknown := 0, 0
	for range h.values / 2 {
		name, ok := r.text()
		if !ok {
			return false
		}
		i := next // usually the fields come in the order of their declaration
		if i >= len(p.fields) || p.fields[i].name != string(name) {
			i, ok = p.names[string(name)]
		}
		if !ok {
			if unknown++; unknown > 1 || !r.pass(p, string(name)) {
				return false
			}
			continue
		}
		if seen[i/64]&(1<<(i%64)) != 0 {
			return false
		}
		seen[i/64] |= 1 << (i % 64)
		if f := &p.fields[i]; !r.value(f.plan, v.Field(f.index[0])) {
			return false
		}
		next = i + 1
	}
	return true
}

// pass skips the value of a key that the struct has no field for. It returns false if the key
// differs from a field only in case.
func (r *reading) pass(p *plan, name string) bool {
	if p.almost(name) != "" || !r.check() {
		return false
	}
	end, err := skip(r.data, 0)
	return err == nil && r.take(uint64(end)) != nil
}

func (r *reading) table(p *plan, v reflect.Value) bool {
	_, h, ok := r.head()
	if !ok || !h.isMap {
		return false
	}
	n := int(h.values / 2)
	if m, ok := v.Addr().Interface().(*map[string]string); ok {
		return r.strings(m, n)
	}
	m := reflect.MakeMapWithSize(p.typ, n)
	v.Set(m)
	key, value := reflect.New(p.typ.Key()).Elem(), reflect.New(p.typ.Elem()).Elem()
	for range n {
		key.SetZero()
		value.SetZero()
		if !r.value(p.key, key) || !r.value(p.elem, value) {
			return false
		}
		m.SetMapIndex(key, value)
	}
	return m.Len() == n // otherwise a key occurs twice
}

func (r *reading) strings(m *map[string]string, n int) bool {
	made := make(map[string]string, n)
	*m = made
	for range n {
		key, ok := r.text()
		if !ok {
			return false
		}
		value, ok := r.text()
		if !ok {
			return false
		}
		made[string(key)] = string(value)
	}
	return len(made) == n
}
