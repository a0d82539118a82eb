// Package codec is the wire: how Go values become bytes and come back, what the
// headers of a message are called, and what JSON Schema says of a Go type. It is
// a leaf: it knows neither executions nor NATS.
package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/vmihailenco/msgpack/v5"
)

// Type is how a payload is encoded: the value of the Content-Type header.
type Type string

const (
	// MsgPack is the encoding of what Go writes of types on which it and encoding/json
	// agree: see [EncodeAs].
	MsgPack Type = "application/msgpack"
	// JSON is what a message without a Content-Type is taken for, and how everything else
	// is written.
	JSON Type = "application/json"
)

// A Payload is an encoded value with the name of its encoding. The zero Payload
// is null. Inside another value a Payload stands as the value that it encodes,
// whatever the encoding of either: it is transcoded where they differ. What JSON
// can say by text only, bytes and map keys that are integers, comes from JSON
// into MessagePack as that text.
type Payload struct {
	Type Type
	Data []byte
}

// Encode is [EncodeAs] MessagePack.
func Encode(v any) (Payload, error) { return EncodeAs(MsgPack, v) }

// EncodeAs returns v in the encoding t, with the meaning that encoding/json gives it,
// whichever t is. A value of which MessagePack could not say that is written in JSON, if
// t is MsgPack, too; the type of the payload tells. Such are values of types that encode
// themselves, are embedded in others or contain themselves, bytes in arrays, times that are not in
// UTC, and texts that are not UTF-8.
//
// A v that points to a value stands for it: so its fields are encoded by methods that
// take pointers, and its type may be an interface. What could not be read again as a
// value of the type is an error that says where it is: numbers that are not finite, a
// value that contains itself or nests deeper than 9,900 levels, a type that has a method to
// encode and none to decode, an interface with methods that is not nil. An unknown t is
// an error.
func EncodeAs(t Type, v any) (Payload, error) {
	p, err := encodeAs(t, v)
	if err != nil {
		return Payload{}, fmt.Errorf("encode %s: %w", nameOf(v), err)
	}
	return p, nil
}

func nameOf(v any) string {
	if t := reflect.TypeOf(v); t != nil && t.Kind() == reflect.Pointer {
		return t.Elem().String()
	}
	return fmt.Sprintf("%T", v)
}

func encodeAs(t Type, v any) (Payload, error) {
	if t != MsgPack && t != JSON {
		return Payload{}, fmt.Errorf("unknown content type %q", t)
	}
	if p, ok := v.(Payload); ok {
		return p.as(t)
	}
	rv := reflect.ValueOf(v)
	if !rv.IsValid() || rv.Kind() == reflect.Pointer && rv.IsNil() {
		if t == JSON {
			return Payload{Type: JSON, Data: []byte("null")}, nil
		}
		return Payload{Type: MsgPack, Data: bytes.Clone(null)}, nil
	}
	if rv.Kind() == reflect.Pointer {
		rv = rv.Elem()
	}
	p := planOf(rv.Type())
	if t == MsgPack {
		if data, ok := p.write(rv); ok {
			return Payload{Type: MsgPack, Data: data}, nil
		}
	}
	if !rv.CanAddr() {
		place := reflect.New(rv.Type()).Elem()
		place.Set(rv)
		rv = place
	}
	data, err := p.marshalJSON(rv)
	return Payload{Type: JSON, Data: data}, err
}

// as returns p in the encoding t or, if that can't say exactly the same, as it is.
func (p Payload) as(t Type) (Payload, error) {
	switch {
	case p.Type == t:
		return p, nil
	case t == JSON:
		text, err := p.text()
		return Payload{Type: JSON, Data: text}, err
	case p.IsZero():
		return Payload{Type: MsgPack, Data: bytes.Clone(null)}, nil
	}
	if p.Type != JSON && p.Type != "" {
		return Payload{}, p.Type.unknown()
	}
	if data, ok := p.asMsgPack(); ok {
		return Payload{Type: MsgPack, Data: data}, nil
	}
	return Payload{Type: JSON, Data: p.Data}, p.Check()
}

// Check returns what is wrong with p, without layers, as the encoding of one value.
func (p Payload) Check() error {
	switch {
	case p.IsZero():
		return nil
	case p.Type == MsgPack: // what has no JSON can't be shown, nor given to another type
		_, err := toJSON(p.Data)
		return err
	case p.Type == JSON, p.Type == "":
		_, err := parseJSON(p.Data)
		return err
	}
	return p.Type.unknown()
}

// Decode decodes the payload into the value that v points to, with the meaning that
// encoding/json gives it, whichever its encoding is. Null and the zero Payload leave the
// zero value. An error says what is stored, what is wanted, and where in the value.
//
// An interface is given what encoding/json gives it, but for numbers, which keep their
// digits: one whose JSON is written as an integer is an int64 or, past that, a uint64,
// and any other is a float64. Two things that encoding/json takes are refused, since it
// would depend on the reader what they mean: a key that is there twice in an object, and
// one that differs from the name of a field in nothing but upper and lower case.
func (p Payload) Decode(v any) error {
	if q, ok := v.(*Payload); ok {
		*q = p
		return nil
	}
	if len(p.Data) == 0 {
		return nil
	}
	switch p.Type {
	case MsgPack:
		return Unmarshal(p.Data, v)
	case JSON, "":
		return unmarshalJSON(p.Data, v)
	}
	return p.Type.unknown()
}

// unknown is what a payload is refused with that is neither MessagePack nor JSON.
func (t Type) unknown() error {
	if t.Wrapped() {
		return fmt.Errorf("content type %q: it must be taken out of its layers first", t)
	}
	return fmt.Errorf("unknown content type %q", t)
}

// IsZero reports whether p was never set. An encoded null was.
func (p Payload) IsZero() bool { return len(p.Data) == 0 }

// Equal reports whether p and q are the same bytes in the same encoding.
func (p Payload) Equal(q Payload) bool {
	return p.Type == q.Type && bytes.Equal(p.Data, q.Data)
}

// Same reports whether p and q, without layers, encode the same value, be it in
// different encodings.
func (p Payload) Same(q Payload) bool {
	if p.Type == q.Type || p.IsZero() || q.IsZero() {
		return bytes.Equal(p.Data, q.Data)
	}
	x, err := p.asJSON()
	if err != nil {
		return false
	}
	y, err := q.asJSON()
	return err == nil && bytes.Equal(x, y)
}

// asJSON is what p encodes in JSON of one form: maps sorted, no spaces.
func (p Payload) asJSON() ([]byte, error) {
	data, err := p.text()
	if err != nil {
		return nil, err
	}
	v, err := decodeJSON(data)
	if err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

var null = []byte{0xc0}

// EncodeMsgpack writes the value that p encodes, for types that are written in MessagePack
// by methods of their own.
func (p Payload) EncodeMsgpack(enc *msgpack.Encoder) error {
	q, err := p.as(MsgPack)
	if err == nil && q.Type == MsgPack {
		_, err = check(q.Data) // one that is not exactly one value would shift all that follows it
	}
	if err != nil {
		return err
	}
	if q.Type != MsgPack {
		return errInexact
	}
	return enc.Encode(msgpack.RawMessage(q.Data))
}

var errInexact = errors.New("MessagePack can't say exactly the same as its JSON")

// DecodeMsgpack keeps the next value as it is.
func (p *Payload) DecodeMsgpack(dec *msgpack.Decoder) error {
	raw, err := dec.DecodeRaw()
	if err != nil || bytes.Equal(raw, null) {
		*p = Payload{}
		return err
	}
	*p = Payload{Type: MsgPack, Data: bytes.Clone(raw)}
	return nil
}

// MarshalJSON writes the value that p encodes.
func (p Payload) MarshalJSON() ([]byte, error) { return p.text() }

// text returns the value that p encodes as JSON.
func (p Payload) text() ([]byte, error) {
	switch {
	case p.IsZero():
		return []byte("null"), nil
	case p.Type == MsgPack:
		return toJSON(p.Data)
	case p.Type == JSON, p.Type == "":
		return p.Data, nil
	}
	return nil, p.Type.unknown()
}

// UnmarshalJSON keeps the value as it is.
func (p *Payload) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*p = Payload{}
		return nil
	}
	*p = Payload{Type: JSON, Data: bytes.Clone(data)}
	return nil
}

// Marshal returns the MessagePack encoding of v, with the meaning that encoding/json gives
// it: of types on which the two do not agree it is that of their JSON, and an error where
// MessagePack can't say exactly the same. Integers take the fewest bytes; maps are sorted, so
// that equal values are equal bytes.
func Marshal(v any) ([]byte, error) {
	p, err := encodeAs(MsgPack, v)
	if err == nil && p.Type != MsgPack {
		p, err = p.as(MsgPack)
	}
	if err == nil && p.Type != MsgPack {
		err = errInexact
	}
	return p.Data, err
}

// Unmarshal decodes one MessagePack value into the value that v points to: see
// [Payload.Decode]. Fields that v lacks are passed over; bytes behind the value are an error.
//
// Data may come from anyone: whatever it is, Unmarshal returns, and takes no
// more memory than is proportional to its length. It refuses more than 10,000
// arrays and maps within each other.
func Unmarshal(data []byte, v any) error {
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || rv.IsNil() {
		return errTarget(v)
	}
	rv = rv.Elem()
	p := planOf(rv.Type())
	if p.shape == free || p.shape == payload {
		rv.SetZero() // it is written over, whatever it was
	}
	if p.read(data, rv) {
		return nil
	}
	if _, err := check(data); err != nil {
		return err
	}
	fresh := rv.IsZero()
	if fresh && !p.unsure && p.readOld(data, rv) {
		return nil
	}
	text, err := toJSON(data)
	if err == nil {
		err = unmarshalJSON(text, v)
	}
	if err != nil && fresh && p.unsure && p.readOld(data, rv) {
		return nil
	}
	return err
}

// UnmarshalRecord decodes a record or a message of this module, whose fields are plain: by
// rules of its own, that are those of every version of it. Integers must fit 64 bits and no
// more is asked of them, keys may be there twice, and texts be any bytes.
func UnmarshalRecord(data []byte, v any) error { return unmarshal(data, v) }

func unmarshal(data []byte, v any) (err error) {
	stamps, err := check(data)
	if err != nil {
		return err
	}
	// The decoder leaves it to reflection to find that a value does not fit an
	// interface with methods, or is no key of a map.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	if a, ok := v.(*any); ok {
		*a = nil // else the decoder looks for room in the old value
	}
	r := reader{stamps: stamps}
	r.Reset(data)
	dec := decoders.Get().(*msgpack.Decoder)
	dec.ResetDict(&r, nil)
	dec.SetCustomStructTag("json")
	dec.UseLooseInterfaceDecoding(true)
	dec.SetMapDecoder(decodeMap)
	if err := dec.Decode(v); err != nil {
		return err // and dec, in whatever state it is, not back into the pool
	}
	dec.ResetReader(nil)
	decoders.Put(dec)
	if r.Len() > 0 {
		return errTrailing
	}
	return nil
}

var decoders = sync.Pool{New: func() any { return msgpack.NewDecoder(nil) }}
