package engine

import (
	"fmt"
	"sync"
)

// dueMark is the first byte of a ready message that a program with the task's definition
// wrote. No MessagePack and no JSON value begins with it. A message of another client has only
// the input as its body, and headers for the rest, which costs more.
const dueMark = 0xc1

// scratch is a pool of buffers for messages whose length is not known yet. It keeps no buffer
// longer than maxScratch.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

const maxScratch = 16 << 10

// EncodeDue returns the ready message of x: it holds the whole execution until an executor
// writes a record. The message's subject must name the id, the task and the queue.
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

// IsDue reports whether [EncodeDue] wrote the message.
func IsDue(data []byte) bool { return len(data) > 0 && data[0] == dueMark }

// DecodeDue is the reverse of [EncodeDue]: it sets the fields of x that the message
// contains. The input shares the bytes of data, which must not change afterwards. The error
// is ErrDamaged if data is not such a message, and ErrNewer, with the readable fields set, if a
// later version wrote it.
func DecodeDue(data []byte, x *Execution) error {
	if !IsDue(data) {
		return fmt.Errorf("decode message: %w", ErrDamaged)
	}
	read := *x
	f := readingInOrder(data[1:])
	version := read.due(&f)
	if !f.done() {
		// Drop unknown fields: in a record they could mean something that a message must not say.
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
