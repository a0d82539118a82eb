package codec

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// numberOf returns the value that an interface receives for a number in JSON: an int64 for an
// integer, a uint64 if it is too large for that, and a float64 for any other number.
func numberOf(n string) (any, error) {
	if n != "-0" {
		if i, err := strconv.ParseInt(n, 10, 64); err == nil {
			return i, nil
		}
		if u, err := strconv.ParseUint(n, 10, 64); err == nil {
			return u, nil
		}
	}
	f, err := strconv.ParseFloat(n, 64)
	if err != nil {
		return nil, fmt.Errorf("stored number %.40s, which does not fit a 64-bit float", n)
	}
	return f, nil
}

// decodeJSON returns the value that an interface receives for data.
func decodeJSON(data []byte) (any, error) {
	v, err := parseJSON(data)
	if err != nil {
		return nil, err
	}
	return convert(v, numberOf)
}

// parseJSON returns the value that data encodes, with json.Number for numbers. It refuses data
// with more than one meaning: see scan.
func parseJSON(data []byte) (v any, err error) {
	if err := unmarshalDigits(data, &v); err != nil {
		return nil, err
	}
	return v, scan(data, nil, maxNesting)
}

// unmarshalDigits is json.Unmarshal, but an interface receives a number as a json.Number.
func unmarshalDigits(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(v); err != nil {
		return cutShort(err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return errTrailing
	}
	return nil
}

// cutShort replaces io.EOF and io.ErrUnexpectedEOF by a readable error.
func cutShort(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("unexpected end of JSON input")
	}
	return err
}

// convert replaces each json.Number in v by the result of number, in place.
func convert(v any, number func(string) (any, error)) (_ any, err error) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			if v[k], err = convert(e, number); err != nil {
				return nil, inKey(k, err)
			}
		}
	case []any:
		for i, e := range v {
			if v[i], err = convert(e, number); err != nil {
				return nil, inElement(i, err)
			}
		}
	case json.Number:
		return number(v.String())
	}
	return v, nil
}

// free reads the value that an interface receives: see [Payload.Decode].
func (r *reading) free() (any, bool) {
	if r.isNull() {
		return nil, true
	}
	if len(r.data) == 0 {
		return nil, false
	}
	switch c := r.data[0]; {
	case isInt(c):
		i, big, ok := r.integer()
		if big != 0 {
			return big, ok
		}
		return i, ok
	case c == 0xc2, c == 0xc3:
		r.data = r.data[1:]
		return c == 0xc3, true
	}
	c, h, ok := r.head()
	switch {
	case !ok:
		return nil, false
	case h.isMap:
		return r.freeMap(int(h.values / 2))
	case isList(c):
		return r.freeList(int(h.values))
	}
	data := r.take(h.bytes)
	switch {
	case h.isStr:
		return string(data), utf8.Valid(data)
	case h.isExt:
		t := timeOf(data)
		return t.Format(time.RFC3339Nano), hasYear(t)
	case c == 0xca, c == 0xcb:
		// JSON text for a number with a fraction decodes to this same float64. Only a whole
		// number must go through its text, which decodes to an integer.
		if f := fraction(c, data); f != 0 {
			return f, true
		}
		text, ok := appendFloat(nil, c, data)
		if !ok {
			return nil, false
		}
		n, err := numberOf(string(text))
		return n, err == nil
	}
	return base64.StdEncoding.EncodeToString(data), true
}

// fraction returns the float64 in data if it has a fraction, and otherwise 0.
func fraction(c byte, data []byte) float64 {
	if c != 0xcb {
		return 0
	}
	f := math.Float64frombits(binary.BigEndian.Uint64(data))
	if math.IsNaN(f) || f == math.Trunc(f) {
		return 0
	}
	return f
}

func (r *reading) freeMap(n int) (any, bool) {
	m := make(map[string]any, n)
	for range n {
		key, ok := r.freeKey()
		if !ok {
			return nil, false
		}
		if m[key], ok = r.free(); !ok {
			return nil, false
		}
	}
	return m, len(m) == n
}

// freeKey reads a key. It returns an integer key in decimal, as in JSON.
func (r *reading) freeKey() (string, bool) {
	if i, big, ok := r.integer(); ok && big != 0 {
		return strconv.FormatUint(big, 10), true
	} else if ok {
		return strconv.FormatInt(i, 10), true
	}
	s, ok := r.text()
	return string(s), ok
}

func (r *reading) freeList(n int) (any, bool) {
	list := make([]any, n)
	for i := range list {
		var ok bool
		if list[i], ok = r.free(); !ok {
			return nil, false
		}
	}
	return list, true
}
