package engine

import (
	"fmt"
	"time"

	"github.com/durable-execution/durable/codec"
)

// An Option changes how executions of a task run. Options can be given where a task is
// defined, enqueued or spawned; the last one of a kind wins, except that [Metadata]
// accumulates. The options are [Retry], [Timeout], [Delay], [Queue], [ChildPolicy],
// [Encoding], [Retention], [Metadata] and, only when enqueueing, [ID].
type Option interface {
	set(*options)
}

// Timeout limits the duration of one attempt: see [Policy]. [NoTimeout] removes the limit.
type Timeout time.Duration

// NoTimeout lets an attempt run for ever. A crash is still noticed, by the lease.
const NoTimeout Timeout = 0

// Delay is the time to wait before the first attempt. The timeout does not include it.
type Delay time.Duration

// Queue names the queue whose executors may run the task: 1 to 64 characters of
// A-Z a-z 0-9 _ -. The default is [DefaultQueue].
type Queue string

// ID sets the id of an execution when it is enqueued: 1 to 128 characters of
// A-Z a-z 0-9 _ -. It is an idempotency key: enqueueing the same id again refers to the
// same execution and runs nothing twice.
type ID string

// Encoding says how inputs and outputs are stored. The process's codec decides the fields that
// are not set: see [WithCodec]. An Encoding names layers but holds no keys, so a definition
// may contain it.
type Encoding struct {
	// Type is codec.MsgPack or codec.JSON. If it is empty, an input is encoded as the
	// codec says, and an output is encoded as the input was. For an output, only the Type
	// of the definition counts. A value that MessagePack can't represent is stored as JSON
	// even with codec.MsgPack: see [codec.EncodeAs].
	Type codec.Type
	// Layers names the layers to apply, gzip for instance. An input is refused if the
	// codec lacks one of them. Nil means the layers that the codec applies by default; an
	// empty list means none.
	Layers []string
}

type options struct {
	policy   Policy
	queue    string
	encoding Encoding
	metadata Metadata // never changed in place: several definitions may share it
	id       *ID
	valid    bool // set by [options.with] once it has validated the rest
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

// withoutID is with, but refuses an [ID].
func (o options) withoutID(opts []Option) (options, error) {
	o, err := o.with(opts)
	if err == nil && o.id != nil {
		return o, fmt.Errorf("%w: id %q: an ID can only be given to Enqueue", ErrInvalidOption, *o.id)
	}
	return o, err
}
