package codec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// decodeJSON returns maps, slices and scalars as MessagePack would give them: a
// number that is written as an integer is an int64, or a uint64, where it fits.
// As a float it could not be decoded into an int, and a large one would lose
// digits.
func decodeJSON(data []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errTrailing
	}
	return convert(v)
}

// toJSON decodes MessagePack for JSON. Byte strings stay []byte, which JSON has
// as base64; times are UTC, so that every machine writes the same.
func toJSON(data []byte) (any, error) {
	var v any
	if err := unmarshal(data, &v, exact); err != nil {
		return nil, err
	}
	return convert(v)
}

// convert replaces, in place, what one encoding says otherwise than the other.
func convert(v any) (_ any, err error) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			if v[k], err = convert(e); err != nil {
				return nil, err
			}
		}
	case []any:
		for i, e := range v {
			if v[i], err = convert(e); err != nil {
				return nil, err
			}
		}
	case time.Time:
		return v.UTC(), nil
	case json.Number:
		if i, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return i, nil
		}
		if u, err := strconv.ParseUint(v.String(), 10, 64); err == nil {
			return u, nil
		}
		return v.Float64()
	}
	return v, nil
}

// A mode is how values are decoded into an interface.
type mode struct {
	loose  bool
	strict bool // a field that a struct does not have is an error
	maps   func(*msgpack.Decoder) (any, error)
}

var (
	// loose has one type for all integers of a sign, and strings for bytes.
	loose  = mode{true, false, mapDecoder((*msgpack.Decoder).DecodeInterfaceLoose)}
	strict = mode{true, true, loose.maps}
	exact  = mode{false, false, mapDecoder((*msgpack.Decoder).DecodeInterface)}
)

// mapDecoder decodes maps as encoding/json would have them: with keys that are
// strings, integers in decimal.
func mapDecoder(value func(*msgpack.Decoder) (any, error)) func(*msgpack.Decoder) (any, error) {
	return func(dec *msgpack.Decoder) (any, error) {
		n, err := dec.DecodeMapLen()
		if err != nil {
			return nil, err
		}
		m := make(map[string]any, n)
		for range n {
			k, err := decodeKey(dec)
			if err != nil {
				return nil, err
			}
			if m[k], err = value(dec); err != nil {
				return nil, err
			}
		}
		return m, nil
	}
}

func decodeKey(dec *msgpack.Decoder) (string, error) {
	c, err := dec.PeekCode()
	if err != nil {
		return "", err
	}
	if msgpcode.IsString(c) || msgpcode.IsBin(c) {
		return dec.DecodeString()
	}
	k, err := dec.DecodeInterfaceLoose()
	if err != nil {
		return "", err
	}
	switch k.(type) {
	case int64, uint64:
		return fmt.Sprint(k), nil
	}
	return "", fmt.Errorf("map key of type %T", k)
}
