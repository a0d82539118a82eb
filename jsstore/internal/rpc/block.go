package rpc

import (
	"errors"

	"github.com/nats-io/nats.go"
)

// The server accepts any bytes as the header block of a message, and appends its own headers to
// them when it answers a direct get. If nats.go (1.55) can't parse the block, it returns the
// message without any header; if the block has a blank line in the middle, it returns only the
// headers before that line. So a publisher could hide the server's headers, and could even
// write its own in their place. An answer's headers are trusted only if the block was read to
// its end.

// ErrBlock says that a message is invalid because its header block can't be parsed.
var ErrBlock = errors.New("the header block can't be parsed: it must be NATS/1.0 and lines of name: value, and no value may have a line break")

// blockSize returns the length of a message's header block as it arrived.
func blockSize(m *nats.Msg) int { return m.Size() - len(m.Subject) - len(m.Reply) - len(m.Data) }

// IsBroken reports whether a message arrived with a header block that can't be parsed.
func IsBroken(m *nats.Msg) bool { return m.Header == nil && blockSize(m) > 0 }

// maxFields is how many headers a block may have for isWhole to be reliable. isWhole counts at
// most two bytes too many for each header: one without a space after the colon that ends
// without a carriage return. The server's own headers take more than 140 bytes and the status
// line 23, so this few headers can't make up for losing them.
const maxFields = 48

// isWhole reports whether nats.go has read the header block of an answer to its end. It
// compares the size of the headers with the size of the block. It may return false for a block
// that was read to its end but is written in an unusual way.
func isWhole(m *nats.Msg) bool {
	fields := 0
	for _, values := range m.Header {
		fields += len(values)
	}
	if fields == 0 || fields > maxFields {
		return false
	}
	have, as := blockSize(m), SizeOnWire(m)-len(m.Data)
	if have == as {
		return true
	}
	// A status is part of the first line: "NATS/1.0 404 Not Found".
	if m.Header.Get("Status") != "" {
		as -= len("Status: \r\n") - len(" ")
	}
	if m.Header.Get("Description") != "" {
		as -= len("Description: \r\n") - len(" ")
	}
	return have == as
}
