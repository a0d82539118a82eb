package codec

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"sync"
)

const (
	nameGzip = "gzip"

	// DefaultMinGzip is the shortest payload, in bytes, that is compressed by default.
	DefaultMinGzip = 1 << 10
	// DefaultMaxUnzipped is the most bytes that a payload may have after decompression.
	DefaultMaxUnzipped = 64 << 20
)

// ErrUnzipped is returned for a compressed payload that exceeds the limit once it is
// decompressed.
var ErrUnzipped = errors.New("payload too large after decompression")

type zipper struct{ least, most int }

// Gzip returns a wrapper that compresses payloads of at least least bytes, if that makes them
// smaller, in the layer gzip. It refuses to open a payload that decompresses to more than
// most bytes: a small payload can expand enormously. Zero means DefaultMinGzip and
// DefaultMaxUnzipped.
func Gzip(least, most int) Wrapper {
	if least <= 0 {
		least = DefaultMinGzip
	}
	if most <= 0 {
		most = DefaultMaxUnzipped
	}
	return zipper{least, most}
}

// zips is a pool of compressors, which take about 800 KB each.
var zips = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

func (zipper) Name() string { return nameGzip }

func (z zipper) Seal(p Payload) (Payload, error) {
	// Don't make a payload that could not be opened again.
	if n := len(p.Data); n < z.least || n > z.most {
		return p, nil
	}
	var out bytes.Buffer
	w := zips.Get().(*gzip.Writer)
	defer zips.Put(w)
	w.Reset(&out)
	if _, err := w.Write(p.Data); err != nil {
		return Payload{}, err
	}
	if err := w.Close(); err != nil {
		return Payload{}, err
	}
	if out.Len() >= len(p.Data) {
		return p, nil
	}
	return Payload{Type: p.Type.Wrap(nameGzip), Data: out.Bytes()}, nil
}

func (z zipper) Open(p Payload) (Payload, error) {
	inner, _ := p.Type.Unwrap()
	in := bytes.NewReader(p.Data)
	r, err := gzip.NewReader(in)
	if err != nil {
		return Payload{}, err
	}
	r.Multistream(false)
	data, err := io.ReadAll(io.LimitReader(r, int64(z.most)+1))
	switch {
	case err != nil:
		return Payload{}, err
	case len(data) > z.most:
		return Payload{}, fmt.Errorf("%w: more than %d bytes", ErrUnzipped, z.most)
	case in.Len() > 0:
		return Payload{}, errTrailing
	}
	return Payload{Type: inner, Data: data}, nil
}
