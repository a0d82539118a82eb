package codec_test

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/durable-execution/durable/codec"
)

type written struct {
	S     string            `json:"s,omitempty"`
	I     int64             `json:"i,omitempty"`
	F     float64           `json:"f,omitempty"`
	B     bool              `json:"b,omitempty"`
	D     []byte            `json:"d,omitempty"`
	List  []inside          `json:"list,omitempty"`
	One   *inside           `json:"one,omitempty"`
	AnyI  int64             `json:"anyI"`
	AnyS  string            `json:"anyS"`
	Last  string            `json:"last,omitempty"`
	M     map[string]string `json:"m,omitempty"`
	N1    int64             `json:"n1,omitempty"`
	N2    int64             `json:"n2,omitempty"`
	N3    int64             `json:"n3,omitempty"`
	N4    int64             `json:"n4,omitempty"`
	N5    int64             `json:"n5,omitempty"`
	N6    int64             `json:"n6,omitempty"`
	Final int64             `json:"final,omitempty"`
}

type inside struct {
	A int64  `json:"a,omitempty"`
	S string `json:"s,omitempty"`
}

func (w *inside) write(m *codec.Map) {
	m.Int("a", w.A)
	m.String("s", w.S)
}

func (w *written) write() []byte {
	m := codec.NewMap(0)
	m.String("s", w.S)
	m.Int("i", w.I)
	m.Float("f", w.F)
	m.Bool("b", w.B)
	m.Binary("d", w.D)
	m.List("list", len(w.List))
	for i := range w.List {
		outer := m.Element()
		w.List[i].write(m)
		m.Close(outer)
	}
	if w.One != nil {
		outer := m.Open("one")
		w.One.write(m)
		m.Close(outer)
	}
	m.AnyInt("anyI", w.AnyI)
	m.AnyString("anyS", w.AnyS)
	m.String("last", w.Last)
	m.Strings("m", w.M)
	for i, n := range []int64{w.N1, w.N2, w.N3, w.N4, w.N5, w.N6} {
		m.Int("n"+string(rune('1'+i)), n)
	}
	m.Int("final", w.Final)
	return m.Bytes()
}

func (w *written) check(t *testing.T) {
	t.Helper()
	want, err := codec.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.write(); !bytes.Equal(got, want) {
		t.Errorf("got %.200x, want the bytes of Marshal: %.200x", got, want)
	}
	w.readBack(t)
}

// TestMapIsWrittenAsMarshalWritesAStruct writes a value on each side of every limit at which
// a length or a number needs a longer head.
func TestMapIsWrittenAsMarshalWritesAStruct(t *testing.T) {
	(&written{}).check(t)
	for _, n := range []int{1, 15, 16, 31, 32, 255, 256, 65535, 65536, 70000} {
		(&written{S: strings.Repeat("x", n)}).check(t)
		(&written{AnyS: strings.Repeat("x", n)}).check(t)
		(&written{D: bytes.Repeat([]byte{1}, n)}).check(t)
		(&written{List: make([]inside, n)}).check(t)
		(&written{List: []inside{{}, {A: int64(n), S: strings.Repeat("y", n)}, {}}, One: &inside{S: "z"}, Last: "last"}).check(t)
	}
	for _, i := range []int64{
		1, 127, 128, 255, 256, 65535, 65536, math.MaxUint32, math.MaxUint32 + 1, math.MaxInt64,
		-1, -32, -33, -128, -129, -32768, -32769, math.MinInt32, math.MinInt32 - 1, math.MinInt64,
	} {
		(&written{I: i, AnyI: i}).check(t)
	}
	for _, n := range []int{1, 2, 15, 16, 70000} {
		pairs := map[string]string{}
		for i := range n {
			pairs[strings.Repeat("k", i%40)+string(rune(i))] = "v"
		}
		(&written{M: pairs}).check(t)
	}
	for _, f := range []float64{1, -0.5, math.MaxFloat64, math.SmallestNonzeroFloat64} {
		(&written{F: f, B: true}).check(t)
	}
	full := written{
		S: "s", I: 1, F: 1, B: true, D: []byte{1}, List: []inside{{}}, One: &inside{}, AnyI: 1, AnyS: "s", Last: "l",
		N1: 1, N2: 2, N3: 3, N4: 4, N5: 5,
	}
	full.check(t) // 15 fields
	full.N6 = 6
	full.check(t) // 16
	full.Final = 7
	full.check(t)
}
