// Package message reads and writes the messages of a namespace: due executions, timers, records
// and deletion markers, as codec/WIRE.md describes them. It talks to no server.
package message

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/layout"
	"github.com/durable-execution/durable/jsstore/internal/rpc"
)

// ReadyMessage returns the ready message that holds an execution until an executor records
// more. It sets headers only if they are needed.
func ReadyMessage(l layout.Layout, d *engine.Due) *nats.Msg {
	x := &d.Execution
	m := &nats.Msg{Subject: l.ReadySubject(x)}
	if d.Unsettled {
		m.Data, m.Header = x.Input.Data, given(d)
		return m
	}
	m.Data = engine.EncodeDue(x)
	if d.Exclusive {
		Exclusive(m)
	}
	return m
}

// given returns headers for the options that the caller has set; the definition decides the
// rest.
func given(d *engine.Due) nats.Header {
	x := &d.Execution
	h := newHeaders(8)
	if x.Input.Type != "" {
		h.Set(codec.HeaderContentType, string(x.Input.Type))
	}
	h.Set(codec.HeaderCreated, strconv.FormatInt(x.CreatedAt.UnixMilli(), 10))
	setGiven(h, d.Given)
	if x.RetryOf != "" {
		h.Set(codec.HeaderRetryOf, x.RetryOf)
	}
	for key, value := range x.Metadata {
		h.Set(codec.HeaderMetadata+key, value)
	}
	setFlag(h, codec.HeaderValidated, x.Validated)
	setFlag(h, codec.HeaderSleeping, x.Sleeping)
	setFlag(h, codec.HeaderExclusive, d.Exclusive)
	if !d.Exclusive {
		h.Set(codec.HeaderExclusive, "0")
	}
	return h.Header
}

// setGiven sets the headers for the given options. The definition decides the rest. A given
// zero counts like any other value.
func setGiven(h *Headers, list []engine.Option) {
	for _, o := range list {
		switch o := o.(type) {
		case engine.Timeout:
			setNumber(h, codec.HeaderTimeout, time.Duration(o).Milliseconds())
		case engine.Delay:
			setNumber(h, codec.HeaderDelay, time.Duration(o).Milliseconds())
		case engine.Retry:
			setRetry(h, o)
		case engine.ChildPolicy:
			h.Set(codec.HeaderOnChildFailure, string(o))
		case engine.Retention:
			setRetention(h, time.Duration(o))
		}
	}
}

func setRetry(h *Headers, r engine.Retry) {
	h.Set(codec.HeaderRetries, strconv.Itoa(r.MaxRetries))
	setMillis(h, codec.HeaderBaseDelay, r.BaseDelay)
	setMillis(h, codec.HeaderMaxDelay, r.MaxDelay)
	setFloat(h, codec.HeaderMultiplier, r.Multiplier)
	setFloat(h, codec.HeaderJitter, r.Jitter)
}

func setRetention(h *Headers, d time.Duration) {
	if d == engine.Forever {
		d = 0
	}
	setNumber(h, codec.HeaderRetention, d.Milliseconds())
}

func setNumber(h *Headers, name string, n int64) { h.Set(name, strconv.FormatInt(n, 10)) }

func setMillis(h *Headers, name string, d time.Duration) {
	if d != 0 {
		setNumber(h, name, d.Milliseconds())
	}
}

func setFloat(h *Headers, name string, f float64) {
	if f != 0 {
		h.Set(name, strconv.FormatFloat(f, 'g', -1, 64))
	}
}

func setFlag(h *Headers, name string, on bool) {
	if on {
		h.Set(name, "1")
	}
}

// ParseDue reads a ready or due message. The delivery's Invalid says what could not be understood.
func ParseDue(l layout.Layout, m *rpc.Stored) *engine.Delivery {
	d := new(engine.Delivery)
	subject := m.Subject
	if strings.HasPrefix(subject, l.LaterSubject("")) {
		subject = m.Header.Get(HeaderScheduleTarget) // a timer that has not fired
	}
	x, h := &d.Execution, Reader{Header: m.Header}
	*x, d.Invalid = l.Execution(subject)
	if !utf8.ValidString(x.Task) {
		x.Task = string([]rune(x.Task)) // as JSON, and so a get from the leader, and maybe a record have it
	}
	x.CreatedAt = Instant(m.Time.UnixMilli())
	x.Status, x.StartAt, x.ChangedAt = engine.Ready, x.CreatedAt, x.CreatedAt
	if d.Invalid != nil {
		return d
	}
	if m.Broken {
		d.Invalid = rpc.ErrBlock // and d is not fresh: the id may have been used before
		return d
	}
	version := engine.CheckVersion(int(h.Integer(codec.HeaderVersion)))
	d.Hint = h.flag(codec.HeaderHint)
	exclusive := false
	switch {
	case d.Hint:
		x.Sleeping = h.flag(codec.HeaderSleeping)
	case engine.IsDue(m.Data) && m.Header.Get(codec.HeaderContentType) == "":
		if err := h.due(x, m); errors.Is(err, engine.ErrNewer) {
			version = err
		}
	default:
		h.execution(d, m)
		// A client without the engine may not know whether the id was used before.
		exclusive = d.Unsettled
	}
	if m.Header.Get(codec.HeaderExclusive) != "" {
		exclusive = h.flag(codec.HeaderExclusive)
	}
	d.Fresh = !exclusive && !d.Hint
	x.ChangedAt, x.StartAt = x.CreatedAt, x.CreatedAt.Add(x.Policy.Delay)
	// Something that a later version has written may only look wrong to this version.
	if d.Invalid = version; d.Invalid != nil {
		return d
	}
	if d.Invalid = h.err; d.Invalid == nil {
		d.Invalid = x.Policy.Validate()
	}
	if err := inputType(x); err != nil && !d.Hint {
		d.Invalid, x.Input = err, codec.Payload{}
	}
	if err := kinship(x); err != nil && !d.Hint {
		if x.ID != engine.RootOf(x.ID) {
			x.ID = "" // its record would block the execution whose id this one claims
		}
		// The execution is not a child of this parent, so the parent must not be told of its
		// end.
		x.Parent, x.Index, x.Only, x.IsFinalize, x.InputFrom, x.RetryOf = "", 0, false, false, "", ""
		d.Invalid = err
	}
	return d
}

// due reads what a program has written that has the task's definition.
func (r *Reader) due(x *engine.Execution, m *rpc.Stored) error {
	err := engine.DecodeDue(m.Data, x)
	r.err = cmp.Or(r.err, err)
	x.CreatedAt = r.created(x.CreatedAt, m.Time)
	if err := x.Metadata.Validate(); err != nil {
		r.err, x.Metadata = cmp.Or(r.err, err), nil // nobody must find the execution by invalid metadata
	}
	return err
}

// execution reads an input and its headers. Clients that don't have the task's definition
// enqueue in this form.
func (r *Reader) execution(d *engine.Delivery, m *rpc.Stored) {
	x, h := &d.Execution, r.Header
	x.CreatedAt = r.created(Instant(r.Integer(codec.HeaderCreated)), m.Time)
	x.Input = codec.Payload{Type: codec.Type(h.Get(codec.HeaderContentType)), Data: m.Data}
	if x.Input.Type == "" && len(x.Input.Data) > 0 {
		x.Input.Type = codec.JSON
	}
	x.Policy = engine.Policy{
		Delay: r.millis(codec.HeaderDelay), Timeout: r.millis(codec.HeaderTimeout),
		OnChildFailure: engine.ChildPolicy(h.Get(codec.HeaderOnChildFailure)),
		Retry: engine.Retry{
			MaxRetries: int(r.Integer(codec.HeaderRetries)),
			BaseDelay:  r.millis(codec.HeaderBaseDelay), MaxDelay: r.millis(codec.HeaderMaxDelay),
			Multiplier: r.float(codec.HeaderMultiplier), Jitter: r.float(codec.HeaderJitter),
		},
	}
	if h.Get(codec.HeaderRetention) != "" {
		if x.Policy.Retention = r.millis(codec.HeaderRetention); x.Policy.Retention == 0 {
			x.Policy.Retention = engine.Forever
		}
	}
	x.RetryOf = h.Get(codec.HeaderRetryOf)
	x.Validated = r.flag(codec.HeaderValidated)
	x.Sleeping = r.flag(codec.HeaderSleeping)
	x.Metadata = r.metadata()
	x.Input = orNull(x.Input)
	if !r.flag(codec.HeaderSettled) {
		d.Unsettled, d.Given = true, r.given(x)
	}
}

// kinship returns an error if the family that a message claims is wrong. A client that may
// enqueue a task can write any header. So the id decides whose child an execution is: it is in
// the subject, which the server checks. Otherwise the right to enqueue one task would be the
// right to end another task's children and to read their outputs.
func kinship(x *engine.Execution) error {
	root := x.ID == engine.RootOf(x.ID)
	parent := engine.Execution{ID: x.Parent, Finalize: &engine.Spawn{}}
	switch {
	case root && (x.Parent != "" || x.IsFinalize || x.Index != 0 || x.Only):
		return fmt.Errorf("%s is the id of a root, which has no parent", x.ID)
	case x.InputFrom != "" && (root || engine.RootOf(x.InputFrom) != engine.RootOf(x.ID)):
		return fmt.Errorf("%s is not in the tree of %s, whose output is its input", x.ID, x.InputFrom)
	case x.RetryOf != "" && (!root || x.RetryOf == x.ID || engine.ValidateID(x.RetryOf) != nil || x.RetryOf != engine.RootOf(x.RetryOf)):
		return fmt.Errorf("%s: it can't be a retry of %.200q: only a root can be a retry, and only of another root", x.ID, x.RetryOf)
	case root:
		return nil
	case x.IsFinalize && x.ID != parent.FinalizeExecution().ID:
		return fmt.Errorf("%s is not the id of the finalize of %q", x.ID, x.Parent)
	case !x.IsFinalize && (x.Index < 0 || x.ID != parent.Child(x.Index, engine.Spawn{}).ID):
		return fmt.Errorf("%s is not the id of child %d of %q", x.ID, x.Index, x.Parent)
	}
	return nil
}

// inputType returns an error for an input type that no executor will ever be able to read: such
// an execution must not wait for one. The task itself refuses a type that is merely unknown.
func inputType(x *engine.Execution) error {
	t := x.Input.Type
	if !t.Wrapped() && utf8.ValidString(string(t)) {
		return nil
	}
	return t.Validate()
}

// orNull turns an empty body into JSON's null, so that the output is in JSON too.
func orNull(p codec.Payload) codec.Payload {
	if p.IsZero() && (p.Type == "" || p.Type == codec.JSON) {
		return codec.Payload{Type: codec.JSON, Data: []byte("null")}
	}
	return p
}

// given returns the options that a message sets, if it does not settle its policy.
func (r *Reader) given(x *engine.Execution) []engine.Option {
	p := x.Policy
	var list []engine.Option
	h := r.Header
	if h.Get(codec.HeaderRetries) != "" {
		list = append(list, p.Retry)
	} else {
		// Without HeaderRetries these have no effect, so the client must have made a mistake.
		for _, name := range []string{codec.HeaderBaseDelay, codec.HeaderMaxDelay, codec.HeaderMultiplier, codec.HeaderJitter} {
			if text := h.Get(name); text != "" {
				r.fail(name, text, errors.New("given without "+codec.HeaderRetries))
			}
		}
	}
	if h.Get(codec.HeaderTimeout) != "" {
		list = append(list, engine.Timeout(p.Timeout))
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

func Instant(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// IsExecution reports whether a message holds an execution. An unreadable message does, unless
// its id is invalid: an executor will record why it can't be read.
func IsExecution(d *engine.Delivery) bool {
	return !d.Hint && engine.ValidateID(d.Execution.ID) == nil
}

// StrayReason returns the reasons that the message alone shows.
func StrayReason(l layout.Layout, m *rpc.Stored) error {
	_, rest := l.Split(m.Subject)
	queue, _, more := strings.Cut(rest, ".")
	d := ParseDue(l, m)
	if !more || engine.ValidateQueue(queue) != nil || engine.ValidateID(d.Execution.ID) != nil {
		return d.Invalid
	}
	return nil
}

// ErrHint says that a hint is invalid because its execution has no record. It applies to the
// ready stream, where anybody may have written the hint. Only executors write to the timers; a
// hint from there without a record belongs to a tree that has been deleted.
var ErrHint = errors.New("a hint (header Durable-Hint) to an execution that is not recorded")
