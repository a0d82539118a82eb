package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// maxNesting is how deep arrays and maps may lie in each other, as deep as
// encoding/json goes. The decoder takes some 500 bytes of stack a level: 5 MB at
// this depth, and the end of the process, which no recover stops, at the few
// million levels that a few megabytes of 0x91 ask for.
const maxNesting = 10_000

var (
	// errShort is what a value with bytes missing is refused with.
	errShort = errors.New("ends within a value")
	// errTrailing is what a value with something behind it is refused with.
	errTrailing = errors.New("more bytes than one value")
	errNesting  = fmt.Errorf("more than %d arrays and maps within each other", maxNesting)
	errStamp    = errors.New("a timestamp where a map should be")
)

// timestamp is the extension type of times, the only one there is on this wire.
const timestamp = 0xff

// A head is the beginning of a MessagePack value: its code and its length.
type head struct {
	size   int    // of the head itself
	bytes  uint64 // that belong to the value after its head
	values uint64 // that the value is made of; a map's keys and values
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
		return head{}, errors.New("0xc1 begins no value")
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

// longHeadOf reads a head that has its length in bytes of its own.
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

// check returns what is wrong with data as the encoding of one value. The
// decoder relies on it: it makes room for as many elements as a length says
// before it looks for them, so that five bytes could ask for all memory, and it
// descends as deep as the data goes. With check each element is known to be
// there, and room is proportional to the length of data.
//
// It also returns where the contents of timestamps begin: see reader.
func check(data []byte) (stamps []int, err error) {
	var few [32]uint64
	open := few[:0]   // how many values are still to come in each open array or map
	left := uint64(1) // the same for the innermost
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
		// A value takes a byte at least.
		if rest := uint64(len(data) - at); h.bytes > rest || h.values > rest {
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

// A reader hands checked bytes to the decoder. Where the decoder wants a map and
// finds an extension, it takes what is inside for the head of a map, which check
// knows nothing of, and believes the length there. Such heads are read as a
// byte, timestamps as a whole: so a byte is not to be had there.
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
