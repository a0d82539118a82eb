// Package codec is the wire: how Go values become bytes and come back, what the
// headers of a message are called, and what JSON Schema says of a Go type. It is
// a leaf: it knows neither executions nor NATS.
package codec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"sync"

	"github.com/vmihailenco/msgpack/v5"
)

// Type is how a payload is encoded: the value of the Content-Type header.
type Type string

const (
	// MsgPack is the encoding of everything that Go writes.
	MsgPack Type = "application/msgpack"
	// JSON is what a message without a Content-Type is taken for.
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

// Encode returns v in MessagePack.
func Encode(v any) (Payload, error) { return EncodeAs(MsgPack, v) }

// EncodeAs returns v in the encoding t. An unknown t is an error.
func EncodeAs(t Type, v any) (Payload, error) {
	if p, ok := v.(Payload); ok && p.Type == t {
		return p, nil
	}
	var data []byte
	var err error
	switch t {
	case MsgPack:
		data, err = Marshal(v)
	case JSON:
		data, err = json.Marshal(v)
	default:
		return Payload{}, fmt.Errorf("encode %T: unknown content type %q", v, t)
	}
	if err != nil {
		return Payload{}, fmt.Errorf("encode %T: %w", v, err)
	}
	return Payload{Type: t, Data: data}, nil
}

// Decode decodes the payload into the value that v points to. Null and the zero
// Payload leave the zero value.
func (p Payload) Decode(v any) error {
	if q, ok := v.(*Payload); ok {
		*q = p
		return nil
	}
	if len(p.Data) == 0 {
		return nil
	}
	var err error
	switch p.Type {
	case MsgPack:
		err = Unmarshal(p.Data, v)
	case JSON, "":
		if a, ok := v.(*any); ok {
			*a, err = decodeJSON(p.Data)
			break
		}
		err = json.Unmarshal(p.Data, v)
	default:
		err = p.Type.unknown()
	}
	if err != nil {
		return fmt.Errorf("decode %T: %w", v, err)
	}
	return nil
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
	data, err := json.Marshal(p)
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

// EncodeMsgpack writes the value that p encodes.
func (p Payload) EncodeMsgpack(enc *msgpack.Encoder) error {
	switch {
	case p.IsZero():
		return enc.EncodeNil()
	case p.Type == MsgPack:
		// One that is not exactly one value would shift all that follows it.
		if _, err := check(p.Data); err != nil {
			return err
		}
		return enc.Encode(msgpack.RawMessage(p.Data))
	}
	if p.Type != JSON && p.Type != "" {
		return p.Type.unknown()
	}
	v, err := decodeJSON(p.Data)
	if err != nil {
		return err
	}
	return enc.Encode(v)
}

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
func (p Payload) MarshalJSON() ([]byte, error) {
	switch {
	case p.IsZero():
		return []byte("null"), nil
	case p.Type == JSON, p.Type == "":
		return p.Data, nil
	}
	if p.Type != MsgPack {
		return nil, p.Type.unknown()
	}
	v, err := toJSON(p.Data)
	if err != nil {
		return nil, err
	}
	return json.Marshal(v)
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

// Marshal returns the MessagePack encoding of v. Struct fields are named by
// their json tags, so that a value looks the same in both encodings; integers
// take the fewest bytes; maps are sorted, so that equal values are equal bytes.
func Marshal(v any) ([]byte, error) {
	enc := encoders.Get().(*encoder)
	defer enc.putBack()
	enc.ResetDict(&enc.buf, nil)
	enc.SetCustomStructTag("json")
	enc.UseCompactInts(true)
	enc.SetSortMapKeys(true)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	data := bytes.Clone(enc.buf.Bytes())
	if needsSorting(reflect.TypeOf(v)) {
		if _, err := sortMaps(data, 0); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// Unmarshal decodes one MessagePack value into the value that v points to.
// Fields that v lacks are passed over; bytes behind the value are an error. Into
// an interface, integers come as int64 or uint64, maps as map[string]any.
//
// Data may come from anyone: whatever it is, Unmarshal returns, and takes no
// more memory than is proportional to its length. It refuses more than 10,000
// arrays and maps within each other.
func Unmarshal(data []byte, v any) error { return unmarshal(data, v, loose) }

func unmarshal(data []byte, v any, m mode) (err error) {
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
	dec.UseLooseInterfaceDecoding(m.loose)
	dec.DisallowUnknownFields(m.strict)
	dec.SetMapDecoder(m.maps)
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

// An encoder has a buffer that grows once for many values.
type encoder struct {
	*msgpack.Encoder
	buf bytes.Buffer
}

// keptBuffer is how long a buffer may be to be kept.
const keptBuffer = 64 << 10

func (e *encoder) putBack() {
	if e.buf.Cap() > keptBuffer {
		e.buf = bytes.Buffer{}
	}
	e.buf.Reset()
	encoders.Put(e)
}

var (
	encoders = sync.Pool{New: func() any { return &encoder{Encoder: msgpack.NewEncoder(nil)} }}
	decoders = sync.Pool{New: func() any { return msgpack.NewDecoder(nil) }}
)
