package codec

import (
	"encoding/json"
	"fmt"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"time"
)

// The types of the zoo encode themselves by methods, or have tags and fields that
// encoding/json treats in a special way.

type money struct{ cents int64 }

func (m money) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, `"%d ct"`, m.cents), nil }
func (m *money) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	_, err := fmt.Sscanf(string(data), `"%d ct"`, &m.cents)
	return err
}

// byPointer has methods with pointer receivers: only a pointer to it encodes itself.
type byPointer struct{ n int }

func (b *byPointer) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "<%d>", b.n), nil }
func (b *byPointer) UnmarshalText(text []byte) error {
	_, err := fmt.Sscanf(string(text), "<%d>", &b.n)
	return err
}

// mute encodes itself, but can't be decoded.
type mute struct{ n int }

func (m mute) MarshalJSON() ([]byte, error) { return json.Marshal("n=" + fmt.Sprint(m.n)) }

// inBytes has methods that the MessagePack library uses and encoding/json ignores.
type inBytes struct{ A, B int }

func (b inBytes) MarshalBinary() ([]byte, error) { return []byte{byte(b.A), byte(b.B)}, nil }
func (b *inBytes) UnmarshalBinary(data []byte) error {
	b.A, b.B = int(data[0]), int(data[1])
	return nil
}

type word string

func (w word) MarshalText() ([]byte, error) { return []byte("w" + w), nil }
func (w *word) UnmarshalText(text []byte) error {
	*w = word(strings.TrimPrefix(string(text), "w"))
	return nil
}

type base struct {
	ID   int    `json:"id"`
	Name string `json:"name"`
}

type Named struct{ Title string }

type embeds struct {
	base
	Name  string `json:"name"`
	Extra int
}

type embedsNamed struct {
	base `json:"base"`
	ID   int `json:"id"`
}

type embedsPointer struct {
	*Named
	N int
}

type tagged struct {
	Quoted  int    `json:"quoted,string"`
	Pointer *int   `json:"pointer,string"`
	Flag    bool   `json:",string"`
	Text    string `json:"text,string,omitempty"`
	//lint:ignore SA5008 the test needs a field with this name
	Dash  int       `json:"-,"`
	Gone  int       `json:"-"`
	Other int       `json:"other" msgpack:"another"`
	Zero  *base     `json:"zero,omitzero"`
	When  time.Time `json:"when,omitzero"`
	Empty []string  `json:"empty,omitempty"`
	Odd   int       `json:"a b/c"`
	Array [3]byte
}

type bytesOfAKind []uint8

type namedMap map[word]int

type cased struct {
	Lower int `json:"value"`
	Upper int `json:"VALUE"`
}

type node struct {
	Value int    `json:"value"`
	Next  *node  `json:"next,omitempty"`
	Below []node `json:"below"`
	Named map[string]*node
}

type plainOne struct {
	Name   string            `json:"name"`
	Count  int8              `json:"count"`
	Ratio  float32           `json:"ratio"`
	When   time.Time         `json:"when"`
	Data   []byte            `json:"data"`
	Labels map[string]string `json:"labels,omitempty"`
	ByNr   map[uint16][]int
	Any    any
	More   map[string]any
	List   []any
}

// zoo has the types that typeGen draws in addition to the types that it composes.
var zoo = []reflect.Type{
	reflect.TypeFor[money](), reflect.TypeFor[*money](), reflect.TypeFor[byPointer](), reflect.TypeFor[*byPointer](), reflect.TypeFor[mute](),
	reflect.TypeFor[inBytes](), reflect.TypeFor[word](), reflect.TypeFor[embeds](), reflect.TypeFor[embedsNamed](), reflect.TypeFor[embedsPointer](),
	reflect.TypeFor[tagged](), reflect.TypeFor[bytesOfAKind](), reflect.TypeFor[namedMap](), reflect.TypeFor[cased](), reflect.TypeFor[node](),
	reflect.TypeFor[plainOne](), reflect.TypeFor[big.Int](), reflect.TypeFor[*big.Int](), reflect.TypeFor[netip.Addr](), reflect.TypeFor[url.URL](),
	reflect.TypeFor[json.Number](), reflect.TypeFor[json.RawMessage](), reflect.TypeFor[time.Time](), reflect.TypeFor[time.Duration](),
	reflect.TypeFor[any](), reflect.TypeFor[error](), reflect.TypeFor[Payload](), reflect.TypeFor[chan int](), reflect.TypeFor[map[bool]int](),
}
