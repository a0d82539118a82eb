package engine

import (
	"errors"
	"fmt"
	"time"

	"github.com/durable-execution/durable/codec"
)

// fields writes or reads the fields of a stored type. Each stored type lists its fields
// once, in a method that calls fields in the order in which they are written. So the
// writer and the readers can't differ, and a new field is one line.
//
// There are two readers. The reader in order takes the fields in the order of the list, as
// this program writes them, without reflection. The loose reader takes them in any order and
// as any encoder writes them, and keeps unknown fields. A method must not change its type
// while writing: other goroutines may share the value.
type fields struct {
	writes bool
	w      codec.Map // the writer

	r    codec.MapReader // the reader in order
	next []byte          // the name of the next field
	more bool            // whether there is a next field

	loose *codec.FieldMap // the loose reader; nil in the other two
	value []byte          // the value of its current field
	err   error           // its first error
}

func writing(buffer []byte, size int) fields {
	if cap(buffer) < size {
		buffer = make([]byte, 0, size)
	}
	return fields{writes: true, w: *codec.NewMapIn(buffer)}
}

func readingInOrder(data []byte) fields {
	f := fields{r: codec.NewMapReader(data)}
	f.next, f.more = f.r.Next()
	return f
}

func readingLoosely(data []byte) (fields, error) {
	m, err := codec.SplitMap(data)
	if err == nil && m == nil {
		err = errors.New("null")
	}
	return fields{loose: m}, err
}

// done reports whether the reader in order has read everything.
func (f *fields) done() bool { return !f.more && f.r.OK() }

// at reports whether a reader is at the named field. The caller then reads the value, with
// taken, decode or a level of its own.
func (f *fields) at(name string) bool {
	if f.loose != nil {
		value, ok := f.loose.Take(name)
		f.value = value
		return ok && !isNull(value)
	}
	return f.more && string(f.next) == name
}

// isNull reports whether a value is null, which means that the field is absent.
func isNull(value []byte) bool { return value[0] == 0xc0 }

// taken moves on to the next field.
func (f *fields) taken() { f.next, f.more = f.r.Next() }

// decode reads the current value of the loose reader into *v. It decodes into a variable of
// its own, so that a stored type whose field v points to need not be on the heap.
func decode[T any](f *fields, name string, v *T) {
	var x T
	if err := codec.UnmarshalRecord(f.value, &x); err != nil && f.err == nil {
		f.err = fmt.Errorf("field %s: %w", name, err)
	}
	*v = x
}

// string leaves the field out if it is empty.
func (f *fields) string(name string, s *string) {
	if f.writes {
		f.w.String(name, *s)
		return
	}
	f.read(name, s)
}

// anyString writes the field even if it is empty.
func (f *fields) anyString(name string, s *string) {
	if f.writes {
		f.w.AnyString(name, *s)
		return
	}
	f.read(name, s)
}

func (f *fields) read(name string, s *string) {
	switch {
	case !f.at(name):
	case f.loose != nil:
		decode(f, name, s)
	default:
		*s = f.r.String()
		f.taken()
	}
}

func (f *fields) status(s *Status) {
	const name = "status"
	switch {
	case f.writes:
		f.w.AnyString(name, string(*s))
	case !f.at(name):
	case f.loose != nil:
		decode(f, name, s)
	default:
		*s = statusOf(f.r.Text())
		f.taken()
	}
}

func (f *fields) contentType(name string, t *codec.Type) {
	switch {
	case f.writes:
		f.w.String(name, string(*t))
	case !f.at(name):
	case f.loose != nil:
		decode(f, name, t)
	default:
		*t = typeOf(f.r.Text())
		f.taken()
	}
}

// int64 leaves the field out if it is 0.
func (f *fields) int64(name string, i *int64) {
	switch {
	case f.writes:
		f.w.Int(name, *i)
	case !f.at(name):
	case f.loose != nil:
		decode(f, name, i)
	default:
		*i = f.r.Int()
		f.taken()
	}
}

func (f *fields) int(name string, i *int) {
	n := int64(*i)
	f.int64(name, &n)
	if !f.writes {
		*i = int(n)
	}
}

// anyInt writes the field even if it is 0.
func (f *fields) anyInt(name string, i *int) {
	if f.writes {
		f.w.AnyInt(name, int64(*i))
		return
	}
	f.int(name, i)
}

func (f *fields) float(name string, x *float64) {
	switch {
	case f.writes:
		f.w.Float(name, *x)
	case !f.at(name):
	case f.loose != nil:
		decode(f, name, x)
	default:
		*x = f.r.Float()
		f.taken()
	}
}

func (f *fields) bool(name string, on *bool) {
	switch {
	case f.writes:
		f.w.Bool(name, *on)
	case !f.at(name):
	case f.loose != nil:
		decode(f, name, on)
	default:
		*on = f.r.Bool()
		f.taken()
	}
}

// binary leaves the field out if it is empty. The reader in order does not copy the bytes.
func (f *fields) binary(name string, data *[]byte) {
	switch {
	case f.writes:
		f.w.Binary(name, *data)
	case !f.at(name):
	case f.loose != nil:
		decode(f, name, data)
	default:
		*data = f.r.Binary()
		f.taken()
	}
}

func (f *fields) metadata(m *Metadata) {
	const name = "metadata"
	switch {
	case f.writes:
		f.w.Strings(name, *m)
	case !f.at(name):
	case f.loose != nil:
		decode(f, name, m)
	default:
		*m = f.r.Strings()
		f.taken()
	}
}

// moment is a time in milliseconds since the epoch. It leaves the zero time out.
func (f *fields) moment(name string, t *time.Time) {
	var ms int64
	if f.writes {
		ms = millis(*t)
	}
	f.int64(name, &ms)
	if !f.writes {
		*t = instant(ms)
	}
}

// span is a duration in milliseconds.
func (f *fields) span(name string, d *time.Duration) {
	ms := d.Milliseconds()
	f.int64(name, &ms)
	if !f.writes {
		*d = duration(ms)
	}
}

// retention is a duration in milliseconds. 0 on the wire means for ever; an unset retention
// is left out.
func (f *fields) retention(name string, d *time.Duration) {
	if f.writes {
		switch *d {
		case 0:
		case Forever:
			f.w.AnyInt(name, 0)
		default:
			f.w.AnyInt(name, d.Milliseconds())
		}
		return
	}
	if f.at(name) {
		f.span(name, d)
		if *d == 0 {
			*d = Forever
		}
	}
}

// payload is the data of a payload, followed by its type unless that is MessagePack.
func (f *fields) payload(name, typeName string, p *codec.Payload) {
	var data []byte
	var t codec.Type
	if f.writes {
		data, t = p.Data, wireType(*p)
	}
	f.binary(name, &data)
	f.contentType(typeName, &t)
	if !f.writes {
		*p = payload(data, t)
	}
}

// word is string for named string types.
func word[T ~string](f *fields, name string, s *T) {
	text := string(*s)
	f.string(name, &text)
	if !f.writes {
		*s = T(text)
	}
}

func orFirst(first, err error) error {
	if first != nil {
		return first
	}
	return err
}

// statusOf and typeOf return a constant for a known text, which saves an allocation.
func statusOf(text []byte) Status {
	for _, s := range statuses {
		if string(text) == string(s) {
			return s
		}
	}
	return Status(text)
}

func typeOf(text []byte) codec.Type {
	switch {
	case string(text) == string(codec.JSON):
		return codec.JSON
	case string(text) == string(codec.MsgPack):
		return codec.MsgPack
	}
	return codec.Type(text)
}
