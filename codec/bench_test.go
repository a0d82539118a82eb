package codec

import (
	"fmt"
	"reflect"
	"testing"
)

// BenchmarkUnmarshal measures decoding. BenchmarkCheck measures one part of it, the check that
// protects against hostile bytes.
func BenchmarkUnmarshal(b *testing.B) {
	bench(b, func(data []byte, v any) error { return Unmarshal(data, v) })
}

func BenchmarkCheck(b *testing.B) {
	bench(b, func(data []byte, _ any) error { _, err := check(data); return err })
}

func bench(b *testing.B, f func([]byte, any) error) {
	for _, c := range []struct {
		name string
		v    any
		into any
	}{
		{"int", 1, new(int)},
		{"struct", something(), new(everything)},
		{"any", something(), new(any)},
		{"ints-10k", make([]int, 10_000), new([]int)},
		{"structs-1k", make([]everything, 1_000), new([]everything)},
		{"bytes-1MB", make([]byte, 1<<20), new([]byte)},
	} {
		data := encode(b, MsgPack, c.v).Data
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if err := f(data, reflect.New(reflect.TypeOf(c.into).Elem()).Interface()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMarshal(b *testing.B) {
	for name, v := range map[string]any{
		"struct": inner{Name: "a", Sum: 1}, "everything": something(),
		"map-1k": func() any {
			m := map[string]int{}
			for i := range 1_000 {
				m[fmt.Sprint(i)] = i
			}
			return m
		}(),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Marshal(v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
