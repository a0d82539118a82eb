package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// maxNesting is how deep arrays and maps may nest, the same as in encoding/json. The decoder
// takes about 500 bytes of stack a level: 5 MB at this depth. A few megabytes of 0x91 ask for
// millions of levels; that would exhaust the stack and end the process, which recover can't
// prevent.
const maxNesting = 10_000

var (
	// errShort says that bytes are missing at the end of a value.
	errShort = errors.New("the data ends within a value")
	// errTrailing says that bytes follow the value.
	errTrailing = errors.New("more bytes follow the value")
	errNesting  = fmt.Errorf("arrays and maps nest more than %d levels deep", maxNesting)
	errStamp    = errors.New("a timestamp where a map should be")
)

// timestamp is the extension type of times, the only extension on this wire.
const timestamp = 0xff

// A head is the beginning of a MessagePack value: its code and its length.
type head struct {
	size   int    // bytes of the head itself
	bytes  uint64 // bytes of the value after its head
	values uint64 // values that it contains; a map's keys count too
	isMap  bool
	isStr  bool
	isExt  bool
}

// headOf reads the head at the beginning of data.
func headOf(data []byte) (head, error) {
	if len(data) == 0 {
		return head{}, errShort
	}
	switch c := data[0]; {
	case c < 0x80, c >= 0xe0: // small integers
		return head{size: 1}, nil
	case c < 0x90:
		return head{size: 1, values: 2 * uint64(c&0x0f), isMap: true}, nil
	case c < 0xa0:
		return head{size: 1, values: uint64(c & 0x0f)}, nil
	case c < 0xc0:
		return head{size: 1, bytes: uint64(c & 0x1f), isStr: true}, nil
	case c == 0xc0, c == 0xc2, c == 0xc3: // nil, false, true
		return head{size: 1}, nil
	case c == 0xc1:
		return head{}, errors.New("0xc1 can't begin a value")
	case c >= 0xca && c <= 0xcb: // float32, float64
		return head{size: 1, bytes: 4 << (c - 0xca)}, nil
	case c >= 0xcc && c <= 0xcf: // uint8 to uint64
		return head{size: 1, bytes: 1 << (c - 0xcc)}, nil
	case c >= 0xd0 && c <= 0xd3: // int8 to int64
		return head{size: 1, bytes: 1 << (c - 0xd0)}, nil
	case c >= 0xd4 && c <= 0xd8: // extensions of 1 to 16 bytes
		return extension(data, head{size: 2, bytes: 1 << (c - 0xd4), isExt: true})
	}
	return longHeadOf(data)
}

// fits reports whether the value's contents can be in the n bytes after its head. A value in
// it takes at least one byte.
func (h head) fits(n int) bool { return h.bytes <= uint64(n) && h.values <= uint64(n) }

// headAt reads the head of the value at data[at:], whose contents begin at data[body:].
func headAt(data []byte, at int) (h head, body int, err error) {
	if h, err = headOf(data[at:]); err != nil {
		return h, 0, err
	}
	body = at + h.size
	if !h.fits(len(data) - body) {
		return h, 0, errShort
	}
	return h, body, nil
}

// longHeadOf reads a head whose length is in separate bytes.
func longHeadOf(data []byte) (head, error) {
	var width int
	switch data[0] {
	case 0xc4, 0xc7, 0xd9: // bytes, extension, string
		width = 1
	case 0xc5, 0xc8, 0xda, 0xdc, 0xde: // and array, map
		width = 2
	default:
		width = 4
	}
	if len(data) < 1+width {
		return head{}, errShort
	}
	var wide [4]byte
	copy(wide[4-width:], data[1:])
	n := uint64(binary.BigEndian.Uint32(wide[:]))
	h := head{size: 1 + width}
	switch c := data[0]; {
	case c >= 0xde:
		h.values, h.isMap = 2*n, true
	case c >= 0xdc:
		h.values = n
	case c >= 0xd9:
		h.bytes, h.isStr = n, true
	case c >= 0xc7:
		h.size, h.bytes, h.isExt = h.size+1, n, true
		return extension(data, h)
	default:
		h.bytes = n
	}
	return h, nil
}

func extension(data []byte, h head) (head, error) {
	switch {
	case len(data) < h.size:
		return head{}, errShort
	case data[h.size-1] != timestamp:
		return head{}, fmt.Errorf("extension type %d", int8(data[h.size-1]))
	case h.bytes != 4 && h.bytes != 8 && h.bytes != 12:
		return head{}, fmt.Errorf("timestamp of %d bytes", h.bytes)
	}
	return h, nil
}

// check returns an error unless data encodes exactly one value. The decoder relies on it: the
// decoder allocates as many elements as a length says before it reads them, so five bytes
// could ask for all memory, and it recurses as deep as the data nests. After check, every
// element is known to exist, and allocations are proportional to the length of data.
//
// It also returns where the contents of timestamps begin: see reader.
func check(data []byte) (stamps []int, err error) {
	var few [32]uint64
	open := few[:0]   // values still to come in each open array or map
	left := uint64(1) // values still to come in the innermost
	at := 0
	for {
		for left == 0 {
			if len(open) == 0 && at < len(data) {
				return nil, errTrailing
			}
			if len(open) == 0 {
				return stamps, nil
			}
			left, open = open[len(open)-1], open[:len(open)-1]
		}
		left--
		// Most heads are those of small integers and short strings. Reading them
		// here makes check almost twice as fast.
		if at < len(data) {
			c := data[at]
			n := int(c - 0xa0)
			if c < 0x80 || c >= 0xe0 {
				at++
				continue
			}
			if n < 32 && n < len(data)-at {
				at += 1 + n
				continue
			}
		}
		h, err := headOf(data[at:])
		if err != nil {
			return nil, fmt.Errorf("byte %d: %w", at, err)
		}
		at += h.size
		if !h.fits(len(data) - at) {
			return nil, errShort
		}
		if h.isExt {
			stamps = append(stamps, at)
		}
		at += int(h.bytes)
		if h.values == 0 {
			continue
		}
		if len(open) == maxNesting {
			return nil, errNesting
		}
		open = append(open, left)
		left = h.values
	}
}

// A reader passes checked bytes to the decoder. If the decoder expects a map and finds an
// extension, it reads the extension's contents as the head of a map, which check has not
// verified, and trusts the length there. The decoder reads such a head byte by byte, but a
// timestamp as a whole. So the reader refuses to read a single byte of a timestamp.
type reader struct {
	bytes.Reader
	stamps []int // not yet passed
}

// ReadByte implements io.ByteReader.
func (r *reader) ReadByte() (byte, error) {
	if len(r.stamps) > 0 {
		at := int(r.Size()) - r.Len()
		for len(r.stamps) > 0 && r.stamps[0] < at {
			r.stamps = r.stamps[1:]
		}
		if len(r.stamps) > 0 && r.stamps[0] == at {
			return 0, errStamp
		}
	}
	return r.Reader.ReadByte()
}
