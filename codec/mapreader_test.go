package codec_test

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/durable-execution/durable/codec"
)

func (w *inside) read(r *codec.MapReader) {
	outer := r.Open()
	for name, ok := r.Next(); ok; name, ok = r.Next() {
		switch string(name) {
		case "a":
			w.A = r.Int()
		case "s":
			w.S = r.String()
		default:
			r.Stop()
		}
	}
	r.Close(outer)
}

func (w *written) read(data []byte) bool {
	r := codec.NewMapReader(data)
	for name, ok := r.Next(); ok; name, ok = r.Next() {
		switch string(name) {
		case "s":
			w.S = r.String()
		case "i":
			w.I = r.Int()
		case "f":
			w.F = r.Float()
		case "b":
			w.B = r.Bool()
		case "d":
			w.D = r.Binary()
		case "list":
			if w.List != nil { // a second list: Unmarshal would append to the first
				r.Stop()
			}
			for range r.Len() {
				var v inside
				v.read(&r)
				w.List = append(w.List, v)
			}
		case "one":
			if w.One != nil {
				r.Stop()
			}
			w.One = &inside{}
			w.One.read(&r)
		case "anyI":
			w.AnyI = r.Int()
		case "anyS":
			w.AnyS = r.String()
		case "last":
			w.Last = r.String()
		case "m":
			if w.M != nil {
				r.Stop()
			}
			w.M = r.Strings()
		case "final":
			w.Final = r.Int()
		case "n1", "n2", "n3", "n4", "n5", "n6":
			*[]*int64{&w.N1, &w.N2, &w.N3, &w.N4, &w.N5, &w.N6}[name[1]-'1'] = r.Int()
		default:
			r.Stop()
		}
	}
	return r.OK()
}

// readBack fails the test unless the reader gives the same value that the Map wrote, and
// refuses the data if bytes are missing or follow.
func (w *written) readBack(t *testing.T) {
	t.Helper()
	data := w.write()
	var got written
	if !got.read(data) || !reflect.DeepEqual(&got, w) {
		t.Errorf("%.200x read as %.200v, want %.200v", data, got, w)
	}
	if new(written).read(append(bytes.Clone(data), 0)) {
		t.Errorf("%.200x with an additional byte was accepted", data)
	}
	for n := range min(len(data), 300) {
		if new(written).read(data[:n]) {
			t.Errorf("%.200x was accepted, though bytes are missing", data[:n])
		}
	}
}

func TestMapReaderRefusesOtherEncodings(t *testing.T) {
	for what, text := range map[string]string{
		"nothing": "", "null": "\xc0", "a list": "\x90", "null in a field": "\x81\xa1s\xc0", "a name that is a number": "\x81\x01\x01",
		"a number for a string": "\x81\xa1s\x01", "a string for a number": "\x81\xa1i\xa11", "past int64": "\x81\xa1i\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
		"an unknown field": "\x81\xa1x\x01", "a longer list than the data": "\x81\xa4list\xdd\xff\xff\xff\xff", "a longer map than the data": "\x81\xa1m\xdf\xff\xff\xff\xff",
		"a longer string than the data": "\x81\xa1s\xdb\xff\xff\xff\xff", "a list of numbers": "\x81\xa4list\x91\x01", "neither true nor false": "\x81\xa1b\x01",
		"0xc1": "\xc1", "a map that lacks a field": "\x82\xa1i\x01",
	} {
		if new(written).read([]byte(text)) {
			t.Errorf("%s was accepted", what)
		}
	}
}

// FuzzMapReader compares a value that a MapReader accepts with the result of Unmarshal.
func FuzzMapReader(f *testing.F) {
	full := written{
		S: "s", I: -300, F: 1, B: true, D: []byte{1}, List: []inside{{A: 1}, {S: "z"}}, One: &inside{S: "x"}, AnyI: 1 << 40, AnyS: "s", Last: "l",
		M: map[string]string{"k": "v"}, N1: 1, N6: 2,
	}
	f.Add(full.write())
	f.Add((&written{}).write())
	f.Fuzz(func(t *testing.T, data []byte) {
		var got, want written
		if !got.read(data) {
			return
		}
		if err := codec.UnmarshalRecord(data, &want); err != nil {
			t.Fatalf("the reader accepted %x, but UnmarshalRecord returned %v", data, err)
		}
		for _, w := range []*written{&got, &want} { // an empty list and nil count as equal
			if len(w.D) == 0 {
				w.D = nil
			}
			if len(w.List) == 0 {
				w.List = nil
			}
			if len(w.M) == 0 {
				w.M = nil
			}
		}
		if a, b := got.write(), want.write(); !bytes.Equal(a, b) {
			t.Fatalf("%x read as %+v, want %+v", data, got, want)
		}
	})
}
