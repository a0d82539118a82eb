package message

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
)

// Headers are the headers of a message to send, with one value each. All values share one
// array: Header.Set would allocate a slice for each.
type Headers struct {
	nats.Header
	values []string
}

// HeadersIn returns the headers h with room for the values of n more.
func HeadersIn(h nats.Header, n int) *Headers { return &Headers{h, make([]string, 0, n)} }

// newHeaders returns headers with space for n values; there may be more.
func newHeaders(n int) *Headers {
	return &Headers{Header: make(nats.Header, n), values: make([]string, 0, n)}
}

// Set sets a header.
func (h *Headers) Set(name, value string) {
	h.values = append(h.values, value)
	last := len(h.values)
	h.Header[name] = h.values[last-1 : last : last]
}

// A Reader reads headers and remembers the first error.
type Reader struct {
	Header nats.Header
	err    error
}

func (r *Reader) Integer(name string) int64 {
	text := r.Header.Get(name)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil && text[0] == '+' {
		err = strconv.ErrSyntax
	}
	if err != nil {
		r.fail(name, text, err)
	}
	return n
}

func (r *Reader) millis(name string) time.Duration {
	n := r.Integer(name)
	d, fits := codec.Millis(n)
	if !fits {
		r.fail(name, strconv.FormatInt(n, 10), errors.New("more than 292 years"))
		return 0
	}
	return d
}

func (r *Reader) float(name string) float64 {
	text := r.Header.Get(name)
	if text == "" {
		return 0
	}
	f, err := strconv.ParseFloat(text, 64)
	if err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) && !json.Valid([]byte(text)) { // ParseFloat accepts more: 0x1p4, .5
		err = strconv.ErrSyntax
	}
	if err != nil {
		r.fail(name, text, err)
	}
	return f
}

// metadata returns the metadata; nil if it is invalid. If a key occurs several times, the last
// value counts, as with options.
func (r *Reader) metadata() engine.Metadata {
	var m engine.Metadata
	for name, values := range r.Header {
		key, ok := strings.CutPrefix(name, codec.HeaderMetadata)
		if !ok || len(values) == 0 {
			continue
		}
		if m == nil {
			m = engine.Metadata{}
		}
		m[key] = values[len(values)-1]
	}
	if err := m.Validate(); err != nil {
		r.err = cmp.Or(r.err, err)
		return nil // nobody must find the execution by invalid metadata
	}
	return m
}

func (r *Reader) flag(name string) bool {
	text := r.Header.Get(name)
	if text != "" && text != "0" && text != "1" {
		r.fail(name, text, errors.New("neither 0 nor 1"))
	}
	return text == "1"
}

// created returns when an execution was enqueued: at or, if at is missing or implausible, the
// time when the server stored the message. A client's clock may be ahead of the server's, but
// not by a day: an execution that must start later has a delay. A time more than a century
// ahead, or before the epoch, is in another unit or is no time at all.
func (r *Reader) created(at, stored time.Time) time.Time {
	stored = stored.UTC().Truncate(time.Millisecond)
	if at.IsZero() || at.Equal(Instant(0)) {
		return stored
	}
	if at.After(stored.AddDate(100, 0, 0)) || at.Before(Instant(0)) {
		r.fail(codec.HeaderCreated, strconv.FormatInt(at.UnixMilli(), 10), errors.New("more than a century ahead, or before the epoch (want milliseconds since the epoch)"))
		return stored
	}
	if at.After(stored.AddDate(0, 0, 1)) {
		return stored
	}
	return at
}

func (r *Reader) fail(name, text string, err error) {
	if r.err == nil {
		r.err = fmt.Errorf("header %s: %q: %w", name, text, err)
	}
}
