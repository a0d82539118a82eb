// Package codec translates between Go values and bytes. It owns the encodings, their layers
// (compression, encryption), the names of the message headers, and the JSON Schema of Go
// types. It is a leaf: it knows neither executions nor NATS.
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

// Type is the encoding of a payload: the value of the Content-Type header.
type Type string

const (
	// MsgPack is the encoding of Go values whose types mean the same to MessagePack and to
	// encoding/json: see [EncodeAs].
	MsgPack Type = "application/msgpack"
	// JSON is the encoding of all other values, and of a message without a Content-Type.
	JSON Type = "application/json"
)

// A Payload is an encoded value, with the name of its encoding. The zero Payload is null.
// Within another value, a Payload is encoded as the value that it contains; if the encodings
// differ, it is transcoded. Bytes and integer map keys, which JSON can only express as
// text, stay text when they are transcoded from JSON to MessagePack.
type Payload struct {
	Type Type
	Data []byte
}

// Encode is [EncodeAs] with MsgPack.
func Encode(v any) (Payload, error) { return EncodeAs(MsgPack, v) }

// EncodeAs returns v in the encoding t, with the meaning that encoding/json gives it in
// either encoding. If t is MsgPack and MessagePack can't express that meaning, the result is
// JSON; the payload's type says so. This concerns types that encode themselves, are embedded
// in others or contain themselves, arrays of bytes, times that are not in UTC, and strings
// that are not UTF-8.
//
// If v is a pointer, EncodeAs encodes the value that it points to: then methods with pointer
// receivers encode its fields, and its type may be an interface. EncodeAs returns an error,
// with the position, for a value that could not be decoded into its type again: a number that
// is not finite, a value that contains itself or nests deeper than 9,900 levels, a type with a
// method to encode and none to decode, a non-nil interface with methods. An unknown t is an
// error too.
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

// as returns p in the encoding t, or p itself if t can't express exactly the same value.
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

// Check returns an error unless p, which must be without layers, encodes exactly one value.
func (p Payload) Check() error {
	switch {
	case p.IsZero():
		return nil
	case p.Type == MsgPack: // a value without JSON can't be shown, or read into another type
		_, err := toJSON(p.Data)
		return err
	case p.Type == JSON, p.Type == "":
		_, err := parseJSON(p.Data)
		return err
	}
	return p.Type.unknown()
}

// Decode decodes the payload into the value that v points to, with the meaning that
// encoding/json gives it in either encoding. Null and the zero Payload give the zero value.
// An error describes the stored value, the wanted type, and the position in the value.
//
// An interface receives the same types as from encoding/json, except that numbers keep their
// digits: an integer becomes an int64, or a uint64 if it is too large for that, and any other
// number a float64. Unlike encoding/json, Decode refuses a key that occurs twice in an object
// and a key that differs from a field's name only in case, because readers would disagree
// on their meaning.
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

// unknown returns the error for a type that is neither MsgPack nor JSON.
func (t Type) unknown() error {
	if t.Wrapped() {
		return fmt.Errorf("content type %q: open the layers of the payload first", t)
	}
	return fmt.Errorf("unknown content type %q", t)
}

// IsZero reports whether p was never set. An encoded null is not zero.
func (p Payload) IsZero() bool { return len(p.Data) == 0 }

// Equal reports whether p and q are the same bytes in the same encoding.
func (p Payload) Equal(q Payload) bool {
	return p.Type == q.Type && bytes.Equal(p.Data, q.Data)
}

// Same reports whether p and q encode the same value, possibly in different encodings. Both
// must be without layers.
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

// asJSON returns p's value in canonical JSON: sorted maps, no spaces.
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

// EncodeMsgpack writes p's value. Types with MessagePack methods of their own call it.
func (p Payload) EncodeMsgpack(enc *msgpack.Encoder) error {
	q, err := p.as(MsgPack)
	if err == nil && q.Type == MsgPack {
		_, err = check(q.Data) // the reader would take more than one value for the next fields
	}
	if err != nil {
		return err
	}
	if q.Type != MsgPack {
		return errInexact
	}
	return enc.Encode(msgpack.RawMessage(q.Data))
}

var errInexact = errors.New("MessagePack can't express exactly the same value as JSON")

// DecodeMsgpack stores the next value as it is encoded.
func (p *Payload) DecodeMsgpack(dec *msgpack.Decoder) error {
	raw, err := dec.DecodeRaw()
	if err != nil || bytes.Equal(raw, null) {
		*p = Payload{}
		return err
	}
	*p = Payload{Type: MsgPack, Data: bytes.Clone(raw)}
	return nil
}

// MarshalJSON writes p's value.
func (p Payload) MarshalJSON() ([]byte, error) { return p.text() }

// text returns p's value as JSON.
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

// UnmarshalJSON stores the value as it is encoded.
func (p *Payload) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*p = Payload{}
		return nil
	}
	*p = Payload{Type: JSON, Data: bytes.Clone(data)}
	return nil
}

// Marshal returns the MessagePack encoding of v, with the meaning that encoding/json gives
// it. It returns an error if MessagePack can't express exactly that. Integers take as few
// bytes as possible, and maps are sorted, so that equal values give equal bytes.
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
// [Payload.Decode]. It ignores fields that v lacks. Bytes after the value are an error.
//
// The caller need not trust data: Unmarshal returns for any bytes, and uses at most memory
// proportional to their number. It refuses arrays and maps that nest more than 10,000 levels
// deep.
func Unmarshal(data []byte, v any) error {
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || rv.IsNil() {
		return errTarget(v)
	}
	rv = rv.Elem()
	p := planOf(rv.Type())
	if p.shape == free || p.shape == payload {
		rv.SetZero() // the new value replaces the old one, even if the types differ
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

// UnmarshalRecord decodes a record or a message of this module. Their types are simple, and
// the rules are looser than Unmarshal's and the same in every version: integers must fit 64
// bits only, keys may occur twice, and strings may contain any bytes.
func UnmarshalRecord(data []byte, v any) error { return unmarshal(data, v) }

func unmarshal(data []byte, v any) (err error) {
	stamps, err := check(data)
	if err != nil {
		return err
	}
	// The decoder lets reflection panic if a value does not fit an interface with methods, or
	// can't be a key of a map.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	if a, ok := v.(*any); ok {
		*a = nil // otherwise the decoder would decode into the old value
	}
	r := reader{stamps: stamps}
	r.Reset(data)
	dec := decoders.Get().(*msgpack.Decoder)
	dec.ResetDict(&r, nil)
	dec.SetCustomStructTag("json")
	dec.UseLooseInterfaceDecoding(true)
	dec.SetMapDecoder(decodeMap)
	if err := dec.Decode(v); err != nil {
		return err // dec may be in any state: don't put it back into the pool
	}
	dec.ResetReader(nil)
	decoders.Put(dec)
	if r.Len() > 0 {
		return errTrailing
	}
	return nil
}

var decoders = sync.Pool{New: func() any { return msgpack.NewDecoder(nil) }}
