package jsstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// The server accepts any bytes as the header block of a message, and appends its own headers to
// them when it answers a direct get. If nats.go (1.55) can't parse the block, it returns the
// message without any header; if the block has a blank line in the middle, it returns only the
// headers before that line. So a publisher could hide the server's headers, and could even
// write its own in their place. An answer's headers are trusted only if the block was read to
// its end.

// errBlock says that a message is invalid because its header block can't be parsed.
var errBlock = errors.New("the header block can't be parsed: it must be NATS/1.0 and lines of name: value, and no value may have a line break")

// blockSize returns the length of a message's header block as it arrived.
func blockSize(m *nats.Msg) int { return m.Size() - len(m.Subject) - len(m.Reply) - len(m.Data) }

// isBroken reports whether a message arrived with a header block that can't be parsed.
func isBroken(m *nats.Msg) bool { return m.Header == nil && blockSize(m) > 0 }

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
	have, as := blockSize(m), sizeOnWire(m)-len(m.Data)
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

// A directAnswer is one of the answers to a direct get.
type directAnswer struct {
	m      *stored // nil if the answer has no message
	status string  // of an answer without a message: how the get ended
	about  string  // the description of the status
}

// errUnsure is returned for an answer whose headers may not come from the server.
var errUnsure = errors.New("the header block of the answer can't be parsed to its end")

// readDirect reads an answer to a direct get. The server writes its headers last.
func readDirect(m *nats.Msg) (directAnswer, error) {
	if !isWhole(m) {
		return directAnswer{}, errUnsure
	}
	// The first of the server's headers, Nats-Stream, may have become part of the line before
	// it.
	if len(m.Header["Nats-Subject"]) == 0 {
		return directAnswer{status: m.Header.Get("Status"), about: m.Header.Get("Description")}, nil
	}
	last := func(name string) string {
		values := m.Header[name]
		if len(values) == 0 {
			return ""
		}
		return values[len(values)-1]
	}
	seq, err := strconv.ParseUint(last("Nats-Sequence"), 10, 64)
	if err != nil {
		return directAnswer{}, fmt.Errorf("answer to a direct get: sequence: %w", err)
	}
	at, err := time.Parse(time.RFC3339Nano, last("Nats-Time-Stamp"))
	if err != nil {
		return directAnswer{}, fmt.Errorf("answer to a direct get: time: %w", err)
	}
	left, _ := strconv.ParseUint(last("Nats-Num-Pending"), 10, 64)
	return directAnswer{m: &stored{
		Subject: last("Nats-Subject"), Sequence: seq, Header: m.Header, Data: m.Data, Time: at, left: left,
	}}, nil
}

// from returns the first message of a stream at or after a sequence whose subject matches; an
// empty subject matches all. It asks the leader, whose answer has the header block as it was
// stored.
func (s *Store) from(ctx context.Context, stream, subject string, sequence uint64) (*stored, error) {
	if subject == "" {
		subject = ">"
	}
	return s.message(ctx, stream, subject, map[string]any{"next_by_subj": subject, "seq": sequence})
}
