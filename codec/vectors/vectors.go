// Package vectors reads the test vectors of the wire, in codec/testdata/v1: the meaning of
// each message and record, and its exact bytes. Every package that writes a part of the wire
// has tests that use these vectors. Programs in other languages may use them too.
package vectors

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"testing"
)

// A Vector is one message or record.
type Vector struct {
	Name  string `json:"name"`
	About string `json:"about,omitempty"`
	// Subject and Headers belong to the message. For a payload in a record, the header
	// Content-Type has the payload's type.
	Subject string            `json:"subject,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
	// Meaning is the value that a reader decodes, as JSON; byte strings are in base64.
	Meaning json.RawMessage `json:"meaning"`
	// Bytes are the body.
	Bytes Hex `json:"bytes"`
	// ReadOnly says that a writer may write other bytes with the same meaning.
	ReadOnly bool `json:"readOnly,omitempty"`
}

// Hex is a byte string in hexadecimal.
type Hex []byte

// MarshalText implements encoding.TextMarshaler.
func (h Hex) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%x", []byte(h)), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hex) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// Check fails the test unless the file has exactly the vectors in made, byte by byte, and the
// checksum sum. The checksum is in the source of the test, so a change of a vector is also a
// change of the test. Check returns the vectors of the file by name.
//
// With go test PACKAGE -run Vectors -update, Check adds the vectors that the file lacks. It
// never changes a vector that the file has: programs have already written such data.
func Check(t *testing.T, file, sum string, made []Vector) map[string]Vector {
	t.Helper()
	path := filepath.Join(dir(), file)
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var list []Vector
	if len(text) > 0 {
		if err := json.Unmarshal(text, &list); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	known := map[string]Vector{}
	for _, v := range list {
		if _, twice := known[v.Name]; twice {
			t.Errorf("%s: %s occurs twice", file, v.Name)
		}
		known[v.Name] = v
	}
	for _, v := range made {
		old, ok := known[v.Name]
		if !ok && updating() {
			list, known[v.Name] = append(list, v), v
			continue
		}
		if !ok {
			t.Errorf("%s: %s is missing (go test PACKAGE -run Vectors -update adds it)", file, v.Name)
			continue
		}
		compare(t, file, old, v)
	}
	if len(known) > len(made) {
		t.Errorf("%s has %d vectors, but the test made %d", file, len(known), len(made))
	}
	if updating() {
		text = encode(t, list)
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprintf("%x", sha256.Sum256(text)); got != sum {
		t.Errorf("%s has the checksum %s, the test expects %s", file, got, sum)
	}
	return known
}

// compare fails the test if made differs from old, the vector in the file.
func compare(t *testing.T, file string, old, made Vector) {
	t.Helper()
	if old.Subject != made.Subject {
		t.Errorf("%s: %s: subject %s, made %s", file, old.Name, old.Subject, made.Subject)
	}
	if !maps.Equal(old.Headers, made.Headers) {
		t.Errorf("%s: %s: headers %v, made %v", file, old.Name, old.Headers, made.Headers)
	}
	if !old.ReadOnly && !bytes.Equal(old.Bytes, made.Bytes) {
		t.Errorf("%s: %s: bytes %x\nmade %x", file, old.Name, []byte(old.Bytes), []byte(made.Bytes))
	}
	if !sameJSON(old.Meaning, made.Meaning) {
		t.Errorf("%s: %s: meaning %s\nmade %s", file, old.Name, old.Meaning, made.Meaning)
	}
}

func sameJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

// Meaning returns v as JSON, for a Vector.
func Meaning(t *testing.T, v any) json.RawMessage {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func encode(t *testing.T, list []Vector) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(list); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// updating reports whether go test was called with -update, a flag that the test defines.
func updating() bool {
	f := flag.Lookup("update")
	return f != nil && f.Value.String() == "true"
}

func dir() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "testdata", "v1")
}
