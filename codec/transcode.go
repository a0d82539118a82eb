package codec

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

var (
	errNotFinite = errors.New("JSON can't express a number that is not finite")
	errKey       = errors.New("a key of a map is not a string or an integer")
)

// hasYear reports whether JSON can say when t is.
func hasYear(t time.Time) bool { return t.Year() >= 0 && t.Year() <= 9999 }

func noYear(t time.Time) error { return fmt.Errorf("the year of the time %s is not from 0 to 9999", t) }

// toJSON converts MessagePack to JSON: byte strings are in base64, times in UTC by RFC 3339, and
// the keys of maps are strings, sorted.
func toJSON(data []byte) ([]byte, error) {
	if _, err := check(data); err != nil {
		return nil, err
	}
	t := transcoder{from: data}
	if err := t.value(); err != nil {
		return nil, err
	}
	return t.text, nil
}

// A transcoder writes checked MessagePack as JSON.
type transcoder struct {
	from []byte // the remaining bytes
	text []byte
}

func (t *transcoder) value() error {
	c := t.from[0]
	if isInt(c) {
		t.text = append(t.text, t.integer()...)
		return nil
	}
	h, err := headOf(t.from)
	if err != nil {
		return err
	}
	data := t.from[h.size : h.size+int(h.bytes)]
	t.from = t.from[h.size+int(h.bytes):]
	switch {
	case h.isMap:
		return t.object(int(h.values / 2))
	case isList(c):
		return t.list(int(h.values))
	case h.isStr:
		t.text = appendText(t.text, data)
	case h.isExt:
		at := timeOf(data)
		if !hasYear(at) {
			return noYear(at)
		}
		t.text = append(at.AppendFormat(append(t.text, '"'), time.RFC3339Nano), '"')
	case c == 0xc0:
		t.text = append(t.text, "null"...)
	case c == 0xc2, c == 0xc3:
		t.text = strconv.AppendBool(t.text, c == 0xc3)
	case c == 0xca, c == 0xcb:
		text, ok := appendFloat(t.text, c, data)
		if !ok {
			return errNotFinite
		}
		t.text = text
	default:
		t.text = append(base64.StdEncoding.AppendEncode(append(t.text, '"'), data), '"')
	}
	return nil
}

func (t *transcoder) integer() string {
	r := reading{data: t.from}
	s, _ := r.freeKey()
	t.from = r.data
	return s
}

func (t *transcoder) list(n int) error {
	t.text = append(t.text, '[')
	for i := range n {
		if i > 0 {
			t.text = append(t.text, ',')
		}
		if err := t.value(); err != nil {
			return inElement(i, err)
		}
	}
	t.text = append(t.text, ']')
	return nil
}

// object writes a map in the order of its keys.
func (t *transcoder) object(n int) error {
	t.text = append(t.text, '{')
	entries := make([]span, n)
	var keys []byte
	for i := range entries {
		e := &entries[i]
		key, err := t.key()
		if err != nil {
			return err
		}
		e.key, keys = len(keys), append(keys, key...)
		e.keyEnd = len(keys)
		e.first = len(t.text)
		t.text = append(appendText(t.text, keys[e.key:]), ':')
		if err := t.value(); err != nil {
			return inKey(key, err)
		}
		t.text = append(t.text, ',')
		e.end = len(t.text)
	}
	arrange(t.text, entries, keys)
	for i := 1; i < n; i++ {
		key := keys[entries[i].key:entries[i].keyEnd]
		if before := entries[i-1]; bytes.Equal(keys[before.key:before.keyEnd], key) {
			return twice(string(key))
		}
	}
	if n > 0 {
		t.text = t.text[:len(t.text)-1]
	}
	t.text = append(t.text, '}')
	return nil
}

func (t *transcoder) key() (string, error) {
	c := t.from[0]
	if isInt(c) {
		return t.integer(), nil
	}
	h, err := headOf(t.from)
	if err != nil {
		return "", err
	}
	if !h.isStr && (c < 0xc4 || c > 0xc6) {
		return "", errKey
	}
	key := t.from[h.size : h.size+int(h.bytes)]
	t.from = t.from[h.size+int(h.bytes):]
	return validText(string(key)), nil
}

// validText replaces each byte of s that is not UTF-8, as encoding/json does.
func validText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}

// appendText appends s as a string of JSON.
func appendText(text, s []byte) []byte {
	for _, c := range s {
		if c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			b, _ := json.Marshal(string(s)) // which does not fail
			return append(text, b...)
		}
	}
	return append(append(append(text, '"'), s...), '"')
}
