package codec

import (
	"bytes"
	"encoding/binary"
	"math"
	"reflect"
	"sync"
	"time"
	"unicode/utf8"
)

// A writer writes values of plain types in MessagePack. Its methods return false at a value
// that encoding/json would change or refuse: a string that is not UTF-8, a time that is not in
// UTC, a number that is not finite. The caller then writes JSON.
type writer struct {
	data  []byte
	depth int // how deep the current value is nested
	sorts bool
}

var writers = sync.Pool{New: func() any { return new(writer) }}

// keptBuffer is the capacity of the largest buffer that goes back into the pool.
const keptBuffer = 64 << 10

// write returns v, a value of p's type, in MessagePack. It is not ok if only JSON can express
// the value.
func (p *plan) write(v reflect.Value) (data []byte, ok bool) {
	if !p.plain {
		return nil, false
	}
	w := writers.Get().(*writer)
	w.data, w.depth, w.sorts = w.data[:0], 0, p.sorts
	if ok = w.value(p, v); ok {
		data = bytes.Clone(w.data)
	}
	if cap(w.data) <= keptBuffer {
		writers.Put(w)
	}
	return data, ok
}

func (w *writer) code(c byte) bool {
	w.data = append(w.data, c)
	return true
}

func (w *writer) null() bool { return w.code(0xc0) }

func (w *writer) value(p *plan, v reflect.Value) bool {
	switch p.shape {
	case boolean:
		if v.Bool() {
			return w.code(0xc3)
		}
		return w.code(0xc2)
	case integer:
		w.data = appendInt(w.data, v.Int())
	case unsigned:
		w.data = appendUint(w.data, v.Uint())
	case float:
		return w.float(p, v.Float())
	case text:
		return w.text(v.String())
	case blob:
		if v.IsNil() {
			return w.null()
		}
		w.data = appendBinary(w.data, v.Bytes())
	case moment:
		return w.time(v.Interface().(time.Time))
	case payload:
		return w.payload(v.Interface().(Payload))
	default:
		return w.parts(p, v)
	}
	return true
}

// parts writes a value that contains others. It limits the depth, because values in interfaces
// can nest deeper than a reader accepts.
func (w *writer) parts(p *plan, v reflect.Value) (ok bool) {
	if p.shape != array && p.shape != record && v.IsNil() {
		return w.null()
	}
	if w.depth++; w.depth > mostDepth {
		return false
	}
	switch p.shape {
	case free:
		in := planOf(v.Elem().Type())
		ok = in.plain && w.value(in, v.Elem())
	case pointer:
		ok = w.value(p.elem, v.Elem())
	case list, array:
		ok = w.list(p, v)
	case table:
		ok = w.table(p, v)
	case record:
		ok = w.record(p, v)
	}
	w.depth--
	return ok
}

func appendUint(data []byte, u uint64) []byte {
	if u <= math.MaxInt64 {
		return appendInt(data, int64(u))
	}
	return binary.BigEndian.AppendUint64(append(data, 0xcf), u)
}

func (w *writer) float(p *plan, f float64) bool {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return false
	}
	if p.typ.Kind() == reflect.Float32 {
		w.data = binary.BigEndian.AppendUint32(append(w.data, 0xca), math.Float32bits(float32(f)))
	} else {
		w.data = binary.BigEndian.AppendUint64(append(w.data, 0xcb), math.Float64bits(f))
	}
	return true
}

func (w *writer) text(s string) bool {
	w.data = appendString(w.data, s)
	return utf8.ValidString(s)
}

// time writes a time in UTC. It returns false for any other, whose offset a timestamp can't
// express.
func (w *writer) time(t time.Time) bool {
	seconds, nanos := t.Unix(), uint64(t.Nanosecond())
	if _, offset := t.Zone(); offset != 0 || !hasYear(t) {
		return false
	}
	switch {
	case seconds>>34 != 0:
		w.data = binary.BigEndian.AppendUint32(append(w.data, 0xc7, 12, timestamp), uint32(nanos))
		w.data = binary.BigEndian.AppendUint64(w.data, uint64(seconds))
	case nanos == 0 && seconds <= math.MaxUint32:
		w.data = binary.BigEndian.AppendUint32(append(w.data, 0xd6, timestamp), uint32(seconds))
	default:
		w.data = binary.BigEndian.AppendUint64(append(w.data, 0xd7, timestamp), nanos<<34|uint64(seconds))
	}
	return true
}

// payload writes a payload's value.
func (w *writer) payload(p Payload) bool {
	if p.IsZero() {
		return w.null()
	}
	data := p.Data
	if p.Type == MsgPack {
		if _, err := check(data); err != nil {
			return false // the reader would take more than one value for the next fields
		}
	} else {
		var ok bool
		if data, ok = p.asMsgPack(); !ok {
			return false
		}
	}
	w.data = append(w.data, data...)
	return true
}

func (w *writer) list(p *plan, v reflect.Value) bool {
	n := v.Len()
	w.data = appendHead(w.data, n, 0x90, 0xdc)
	for i := range n {
		if !w.value(p.elem, v.Index(i)) {
			return false
		}
	}
	return true
}

// left reports whether the field is left out of the encoded struct, because of its tag.
func (f *structField) left(v reflect.Value) bool {
	if f.omitZero && (f.plan.shape == moment && v.Interface().(time.Time).IsZero() || v.IsZero()) {
		return true
	}
	return f.omitEmpty && isEmpty(v)
}

func (w *writer) record(p *plan, v reflect.Value) bool {
	n := len(p.fields)
	for i := range p.fields {
		if f := &p.fields[i]; (f.omitEmpty || f.omitZero) && f.left(v.Field(f.index[0])) {
			n--
		}
	}
	w.data = appendHead(w.data, n, 0x80, 0xde)
	for i := range p.fields {
		if w.sorts {
			i = p.sorted[i]
		}
		f := &p.fields[i]
		part := v.Field(f.index[0])
		if (f.omitEmpty || f.omitZero) && f.left(part) {
			continue
		}
		w.data = appendString(w.data, f.name)
		if !w.value(f.plan, part) {
			return false
		}
	}
	return true
}

// table writes a map sorted by its keys, so that equal maps give equal bytes. It compares
// strings by their bytes, and other keys by their encodings.
func (w *writer) table(p *plan, v reflect.Value) bool {
	w.data = appendHead(w.data, v.Len(), 0x80, 0xde)
	if m, ok := v.Interface().(map[string]string); ok {
		return w.strings(m)
	}
	spans := make([]span, 0, v.Len())
	key, value := reflect.New(p.typ.Key()).Elem(), reflect.New(p.typ.Elem()).Elem()
	for each := v.MapRange(); each.Next(); {
		key.SetIterKey(each)
		value.SetIterValue(each)
		at := span{first: len(w.data)}
		if !w.value(p.key, key) {
			return false
		}
		at.key, at.keyEnd = at.first, len(w.data)
		if p.key.shape == text {
			at.key = at.keyEnd - key.Len()
		}
		if !w.value(p.elem, value) {
			return false
		}
		at.end = len(w.data)
		spans = append(spans, at)
	}
	arrange(w.data, spans, w.data)
	return true
}

func (w *writer) strings(m map[string]string) bool {
	var few [16]string
	for _, key := range sortedKeys(few[:0], m) {
		if !w.text(key) || !w.text(m[key]) {
			return false
		}
	}
	return true
}
