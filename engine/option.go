package engine

import (
	"fmt"
	"time"

	"github.com/durable-execution/durable/codec"
)

// An Option changes how executions of a task are tried. The same options work
// where a task is defined, where it is enqueued and where it is spawned, and the
// last one wins: [Retry], [Timeout], [Delay], [Queue], [ChildPolicy], [Encoding],
// [Retention], [Metadata], which adds to the last one, and, where it is enqueued
// only, [ID].
type Option interface {
	set(*options)
}

// Timeout bounds one attempt: see [Policy]. [NoTimeout] switches it off.
type Timeout time.Duration

// NoTimeout lets an attempt run for ever. Its lease still tells a crash.
const NoTimeout Timeout = 0

// Delay is waited before the first attempt. It is not part of the timeout.
type Delay time.Duration

// Queue names the queue whose executors may run the task: 1 to 64 of
// A-Z a-z 0-9 _ -. Without it, it is [DefaultQueue].
type Queue string

// ID makes the caller's own name, 1 to 128 of A-Z a-z 0-9 _ -, that of an
// execution that is enqueued: an idempotency key. The same id again is the same
// execution and runs nothing twice.
type ID string

// Encoding says how the input is written, and the output. What it leaves out is
// the codec's of the process: see [WithCodec]. It names layers and holds no keys,
// so that a definition may carry it.
type Encoding struct {
	// Type is codec.MsgPack or codec.JSON. Empty means the codec's for an input, and
	// for an output that of the input. The output goes by the definition's alone. Of a
	// value that MessagePack has no words for, codec.MsgPack is JSON: see [codec.EncodeAs].
	Type codec.Type
	// Layers names the wrappers that are applied, gzip for instance: the codec has
	// them, or the input is refused. Nil means those that the codec applies; an
	// empty list, none.
	Layers []string
}

type options struct {
	policy   Policy
	queue    string
	encoding Encoding
	metadata Metadata // never changed in place: definitions share it
	id       *ID
	valid    bool // as it is: [options.with] has made it
}

func (r Retry) set(o *options)       { o.policy.Retry = r }
func (t Timeout) set(o *options)     { o.policy.Timeout = time.Duration(t) }
func (d Delay) set(o *options)       { o.policy.Delay = time.Duration(d) }
func (q Queue) set(o *options)       { o.queue = string(q) }
func (p ChildPolicy) set(o *options) { o.policy.OnChildFailure = p }
func (e Encoding) set(o *options)    { o.encoding = e }
func (id ID) set(o *options)         { o.id = &id }

// with returns o changed by opts, or an error that wraps ErrInvalidOption.
func (o options) with(opts []Option) (options, error) {
	if len(opts) == 0 && o.valid {
		return o, nil
	}
	return o.changed(opts)
}

func (o options) changed(opts []Option) (options, error) {
	for _, opt := range opts {
		if opt == nil {
			return o, fmt.Errorf("%w: an option is nil", ErrInvalidOption)
		}
		opt.set(&o)
	}
	err := o.policy.Validate()
	if err == nil {
		err = ValidateQueue(o.queue)
	}
	if err == nil {
		err = o.metadata.Validate()
	}
	if t := o.encoding.Type; err == nil && t != "" && t != codec.MsgPack && t != codec.JSON {
		err = fmt.Errorf("encoding %q: neither %q nor %q", t, codec.MsgPack, codec.JSON)
	}
	if err == nil && o.id != nil {
		err = validateName("execution id", string(*o.id), maxExecutionID)
	}
	if err != nil {
		return o, fmt.Errorf("%w: %w", ErrInvalidOption, err)
	}
	o.valid = true
	return o, nil
}

// withoutID is with where an id can't be given.
func (o options) withoutID(opts []Option) (options, error) {
	o, err := o.with(opts)
	if err == nil && o.id != nil {
		return o, fmt.Errorf("%w: id %q: an id is given where an execution is enqueued, and nowhere else", ErrInvalidOption, *o.id)
	}
	return o, err
}
