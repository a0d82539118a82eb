package engine

import (
	"fmt"
	"sync"
)

// dueMark begins the message of an execution that is due, as a program writes it that
// has the task's definition. No MessagePack and no JSON begins so: what anybody else
// enqueues is an input, and headers say the rest, which cost everybody more.
const dueMark = 0xc1

// scratch is what messages are written in until their length is known; a longer one
// than maxScratch is not kept.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

const maxScratch = 16 << 10

// EncodeDue returns the message that x waits in, ready, until somebody records more of
// it. Its subject is to say the id, the task and the queue.
func EncodeDue(x *Execution) []byte {
	buffer := scratch.Get().(*[]byte)
	f := writing(*buffer, sizeOfFields+len(x.Input.Data))
	x.due(&f)
	body := f.w.Bytes()
	data := make([]byte, 1+len(body))
	data[0] = dueMark
	copy(data[1:], body)
	if cap(body) <= maxScratch {
		*buffer = body
		scratch.Put(buffer)
	}
	return data
}

// IsDue reports whether a message is one that [EncodeDue] has written.
func IsDue(data []byte) bool { return len(data) > 0 && data[0] == dueMark }

// DecodeDue is the reverse of [EncodeDue]: it sets what a message says of x. The input
// lies in data, which must not change any more. The error is ErrDamaged for what is no
// such message, and ErrNewer, with what is understood of it, for one that a later version
// has written.
func DecodeDue(data []byte, x *Execution) error {
	if !IsDue(data) {
		return fmt.Errorf("decode message: %w", ErrDamaged)
	}
	read := *x
	f := readingInOrder(data[1:])
	version := read.due(&f)
	if !f.done() {
		// What is unknown is not kept: in a record it could say what no message may.
		read = *x
		f, err := readingLoosely(data[1:])
		if err == nil {
			version = read.due(&f)
			err = f.err
		}
		if err != nil {
			return fmt.Errorf("decode message: %w: %w", ErrDamaged, err)
		}
	}
	*x = read
	if err := CheckVersion(version); err != nil {
		return fmt.Errorf("decode message: %w", err)
	}
	return nil
}
