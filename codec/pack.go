package codec

import (
	"encoding/binary"
	"encoding/json"
	"math"
)

// asMsgPack returns p's value, which is JSON, in MessagePack. It is not ok if MessagePack can't
// express exactly the same value, or if p is not valid JSON.
func (p Payload) asMsgPack() (data []byte, ok bool) {
	v, err := parseJSON(p.Data)
	if err != nil {
		return nil, false
	}
	return appendMsgPack(nil, v)
}

func appendMsgPack(data []byte, v any) (_ []byte, ok bool) {
	switch v := v.(type) {
	case nil:
		return append(data, 0xc0), true
	case bool:
		if v {
			return append(data, 0xc3), true
		}
		return append(data, 0xc2), true
	case string:
		return appendString(data, v), true
	case json.Number:
		return appendNumber(data, v.String())
	case []any:
		data = appendHead(data, len(v), 0x90, 0xdc)
		for _, e := range v {
			if data, ok = appendMsgPack(data, e); !ok {
				return nil, false
			}
		}
		return data, true
	}
	m := v.(map[string]any)
	data = appendHead(data, len(m), 0x80, 0xde)
	for _, key := range sortedKeys(make([]string, 0, len(m)), m) {
		if data, ok = appendMsgPack(appendString(data, key), m[key]); !ok {
			return nil, false
		}
	}
	return data, true
}

// appendNumber appends a number of JSON in MessagePack. It is not ok if the number, converted
// back to JSON, would have another value or other digits.
func appendNumber(data []byte, n string) ([]byte, bool) {
	v, err := numberOf(n)
	if err != nil {
		return nil, false
	}
	switch v := v.(type) {
	case int64:
		return appendInt(data, v), true
	case uint64:
		return appendUint(data, v), true
	}
	data = binary.BigEndian.AppendUint64(append(data, 0xcb), math.Float64bits(v.(float64)))
	again, ok := appendFloat(nil, 0xcb, data[len(data)-8:])
	return data, ok && string(again) == n
}

// appendFloat appends a MessagePack number, with the code c and the bytes data, as encoding/json
// writes it. It is not ok if the number is not finite.
func appendFloat(text []byte, c byte, data []byte) ([]byte, bool) {
	var b []byte
	var err error
	if c == 0xca {
		b, err = json.Marshal(math.Float32frombits(binary.BigEndian.Uint32(data)))
	} else {
		b, err = json.Marshal(math.Float64frombits(binary.BigEndian.Uint64(data)))
	}
	return append(text, b...), err == nil
}
