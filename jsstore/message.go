package jsstore

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
)

// readyMessage returns the ready message that holds an execution until an
// executor records more of it.
func (s *Store) readyMessage(d engine.Due) *nats.Msg {
	x := d.Execution
	m := &nats.Msg{Subject: s.layout.readySubject(x), Data: x.Input.Data, Header: nats.Header{}}
	h := m.Header
	if x.Input.Type != "" {
		h.Set(codec.HeaderContentType, string(x.Input.Type))
	}
	h.Set(codec.HeaderCreated, strconv.FormatInt(x.CreatedAt.UnixMilli(), 10))
	setMillis(h, codec.HeaderDelay, x.Policy.Delay)
	h.Set(codec.HeaderTimeout, strconv.FormatInt(x.Policy.Timeout.Milliseconds(), 10))
	if r := x.Policy.Retry; r.MaxRetries > 0 {
		h.Set(codec.HeaderRetries, strconv.Itoa(r.MaxRetries))
		setMillis(h, codec.HeaderBaseDelay, r.BaseDelay)
		setMillis(h, codec.HeaderMaxDelay, r.MaxDelay)
		setFloat(h, codec.HeaderMultiplier, r.Multiplier)
		setFloat(h, codec.HeaderJitter, r.Jitter)
	}
	if x.Policy.OnChildFailure != "" {
		h.Set(codec.HeaderOnChildFailure, string(x.Policy.OnChildFailure))
	}
	switch x.Policy.Retention {
	case 0:
	case engine.Forever:
		h.Set(codec.HeaderRetention, "0")
	default:
		setMillis(h, codec.HeaderRetention, x.Policy.Retention)
	}
	if x.Parent != "" {
		h.Set(codec.HeaderParent, x.Parent)
		h.Set(codec.HeaderIndex, strconv.Itoa(x.Index))
	}
	if x.InputFrom != "" {
		h.Set(codec.HeaderInputFrom, x.InputFrom)
	}
	if x.RetryOf != "" {
		h.Set(codec.HeaderRetryOf, x.RetryOf)
	}
	for key, value := range x.Metadata {
		h.Set(codec.HeaderMetadata+key, value)
	}
	setFlag(h, codec.HeaderFinalize, x.IsFinalize)
	setFlag(h, codec.HeaderValidated, x.Validated)
	setFlag(h, codec.HeaderSleeping, x.Sleeping)
	setFlag(h, codec.HeaderExclusive, d.Exclusive)
	return m
}

func setMillis(h nats.Header, name string, d time.Duration) {
	if d != 0 {
		h.Set(name, strconv.FormatInt(d.Milliseconds(), 10))
	}
}

func setFloat(h nats.Header, name string, f float64) {
	if f != 0 {
		h.Set(name, strconv.FormatFloat(f, 'g', -1, 64))
	}
}

func setFlag(h nats.Header, name string, on bool) {
	if on {
		h.Set(name, "1")
	}
}

// parse reads a ready or due message. What can't be understood of it is in the
// delivery's Invalid.
func (s *Store) parse(m *stored) engine.Delivery {
	var d engine.Delivery
	subject := m.Subject
	if target := m.Header.Get(headerScheduleTarget); target != "" {
		subject = target // a timer that has not fired
	}
	d.Execution, d.Invalid = s.layout.execution(subject)
	if d.Invalid != nil {
		return d
	}
	x := &d.Execution
	h := reader{header: m.Header}
	x.Input = codec.Payload{Type: codec.Type(m.Header.Get(codec.HeaderContentType)), Data: m.Data}
	if x.Input.Type == "" && len(x.Input.Data) > 0 {
		x.Input.Type = codec.JSON
	}
	x.CreatedAt = m.Time.UTC().Truncate(time.Millisecond)
	if ms := h.integer(codec.HeaderCreated); ms != 0 {
		x.CreatedAt = instant(ms)
	}
	x.Policy = engine.Policy{
		Delay: h.millis(codec.HeaderDelay), Timeout: h.millis(codec.HeaderTimeout),
		OnChildFailure: engine.ChildPolicy(m.Header.Get(codec.HeaderOnChildFailure)),
		Retry: engine.Retry{
			MaxRetries: int(h.integer(codec.HeaderRetries)),
			BaseDelay:  h.millis(codec.HeaderBaseDelay), MaxDelay: h.millis(codec.HeaderMaxDelay),
			Multiplier: h.float(codec.HeaderMultiplier), Jitter: h.float(codec.HeaderJitter),
		},
	}
	if m.Header.Get(codec.HeaderRetention) != "" {
		if x.Policy.Retention = h.millis(codec.HeaderRetention); x.Policy.Retention == 0 {
			x.Policy.Retention = engine.Forever
		}
	}
	x.Parent, x.Index = m.Header.Get(codec.HeaderParent), int(h.integer(codec.HeaderIndex))
	x.IsFinalize = h.flag(codec.HeaderFinalize)
	x.InputFrom = m.Header.Get(codec.HeaderInputFrom)
	x.RetryOf = m.Header.Get(codec.HeaderRetryOf)
	x.Validated = h.flag(codec.HeaderValidated)
	x.Sleeping = h.flag(codec.HeaderSleeping)
	x.Metadata = h.metadata()
	x.Status, x.ChangedAt = engine.Ready, x.CreatedAt
	x.StartAt = x.CreatedAt.Add(x.Policy.Delay)
	d.Hint = h.flag(codec.HeaderHint)
	d.Fresh = !h.flag(codec.HeaderExclusive) && !d.Hint
	version := engine.CheckVersion(int(h.integer(codec.HeaderVersion)))
	if m.Header.Get(codec.HeaderTimeout) == "" && !d.Hint {
		d.Unsettled, d.Given = true, given(m.Header, *x)
	}
	// What a later version has written may look wrong to this one.
	if d.Invalid = version; d.Invalid == nil {
		d.Invalid = h.err
	}
	if d.Invalid == nil {
		d.Invalid = x.Policy.Validate()
	}
	return d
}

// given returns what a message asks for that does not settle all of its policy.
func given(h nats.Header, x engine.Execution) []engine.Option {
	p := x.Policy
	var list []engine.Option
	if h.Get(codec.HeaderRetries) != "" {
		list = append(list, p.Retry)
	}
	if h.Get(codec.HeaderDelay) != "" {
		list = append(list, engine.Delay(p.Delay))
	}
	if p.OnChildFailure != "" {
		list = append(list, p.OnChildFailure)
	}
	if p.Retention != 0 {
		list = append(list, engine.Retention(p.Retention))
	}
	if len(x.Metadata) > 0 {
		list = append(list, x.Metadata)
	}
	return list
}

func instant(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// A reader reads headers and keeps the first error.
type reader struct {
	header nats.Header
	err    error
}

func (r *reader) integer(name string) int64 {
	text := r.header.Get(name)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		r.fail(name, text, err)
	}
	return n
}

// maxMillis keeps a number of milliseconds within time.Duration.
const maxMillis = int64(1<<63-1) / int64(time.Millisecond)

func (r *reader) millis(name string) time.Duration {
	n := r.integer(name)
	if n > maxMillis || n < -maxMillis {
		r.fail(name, strconv.FormatInt(n, 10), errors.New("more than 292 years"))
		return 0
	}
	return time.Duration(n) * time.Millisecond
}

func (r *reader) float(name string) float64 {
	text := r.header.Get(name)
	if text == "" {
		return 0
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		r.fail(name, text, err)
	}
	return f
}

// metadata reads the pairs. Of a key that is there more than once the last value
// counts, as with options.
func (r *reader) metadata() engine.Metadata {
	var m engine.Metadata
	for name, values := range r.header {
		key, ok := strings.CutPrefix(name, codec.HeaderMetadata)
		if !ok || len(values) == 0 {
			continue
		}
		if m == nil {
			m = engine.Metadata{}
		}
		m[key] = values[len(values)-1]
	}
	if err := m.Validate(); err != nil && r.err == nil {
		r.err = err
	}
	return m
}

func (r *reader) flag(name string) bool { return r.header.Get(name) == "1" }

func (r *reader) fail(name, text string, err error) {
	if r.err == nil {
		r.err = fmt.Errorf("header %s: %q: %w", name, text, err)
	}
}
