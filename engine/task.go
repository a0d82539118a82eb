package engine

import (
	"context"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"sync"

	"github.com/durable-execution/durable/codec"
)

// A Task names a unit of work. It carries the types of the input and output, and
// the default options of its executions. It holds no code: a program that only enqueues
// needs only the Task; a program that executes binds a function to it with [Bind],
// [BindParent] or one of the other Bind functions.
type Task[In, Out any] struct{ def *Definition }

// A Definition is a task without its static types, as executors and clients keep it.
type Definition struct {
	// ID is the task id.
	ID string
	// Place is where the task was defined: file:line.
	Place string

	in, out  reflect.Type
	options  options
	sleeping bool
	explicit *codec.Schema
	validate any // func(In) (In, error); nil without one
	// convertible is a func(In) error that says whether ConvertInput's conversion takes an input; nil without one.
	convertible any
	// parentInput decodes the parent's input for a finalize whose parent converts it; nil: as it is stored.
	parentInput func(p codec.Payload, validated bool, in any) error
	inferred    func() *codec.Schema
}

// Define declares a task. The id has 1 to 255 characters of A-Z a-z 0-9 _ - and is
// stored with every execution, so renaming a task orphans its unfinished executions.
// Define panics on an invalid id or option: the program must not start with it.
func Define[In, Out any](id string, opts ...Option) Task[In, Out] {
	return define[In, Out](id, caller(2), opts)
}

func define[In, Out any](id, place string, opts []Option) Task[In, Out] {
	o, err := options{
		policy: Policy{Timeout: DefaultTimeout},
		queue:  DefaultQueue,
	}.withoutID(opts)
	if err == nil {
		err = ValidateTask(id)
	}
	if err != nil {
		panic(fmt.Sprintf("define task %q at %s: %s", id, place, err))
	}
	in := reflect.TypeFor[In]()
	return Task[In, Out]{def: &Definition{
		ID: id, Place: place, in: in, out: reflect.TypeFor[Out](), options: o,
		inferred: sync.OnceValue(func() *codec.Schema { return codec.SchemaOf(in) }),
	}}
}

// spawn returns an execution of d to be created below a parent; the caller adds the input.
func (d *Definition) spawn(o options) Spawn {
	return Spawn{Task: d.ID, Queue: o.queue, Policy: o.policy, Metadata: o.metadata, Sleeping: d.sleeping}
}

func caller(skip int) string {
	_, file, line, ok := runtime.Caller(skip)
	if !ok {
		return "an unknown place"
	}
	return fmt.Sprintf("%s:%d", file, line)
}

// ID returns the task's id. The zero Task has an empty id.
func (t Task[In, Out]) ID() string {
	if t.def == nil {
		return ""
	}
	return t.def.ID
}

// Schema returns the JSON Schema of the input: the schema given to InputSchema
// or else the schema inferred from In. It is nil if In can't be described.
func (t Task[In, Out]) Schema() *codec.Schema { return t.def.schema() }

func (d *Definition) schema() *codec.Schema {
	if d.explicit != nil {
		return d.explicit
	}
	return d.inferred()
}

// InputSchema gives the task a JSON Schema and returns the task. Every input is checked
// against the schema before anything is stored. All copies of the task have it: call
// InputSchema where the task is defined, before anything is enqueued. It panics if text is
// not a valid schema.
func (t Task[In, Out]) InputSchema(text string) Task[In, Out] {
	s, err := codec.ParseSchema(text)
	if err != nil {
		panic(fmt.Sprintf("task %q, defined at %s: input schema: %s", t.def.ID, t.def.Place, err))
	}
	t.def.explicit = s
	return t
}

// ValidateInput gives the task a validator and returns the task. The validator refuses an
// input by returning an error, or returns the input, possibly changed. It runs after the
// schema check, in the process that enqueues or spawns; if that process has no
// validator (a client in another language, for instance), the executor runs it. All copies
// of the task have it: call ValidateInput where the task is defined, before anything is
// enqueued. It panics if fn is nil.
func (t Task[In, Out]) ValidateInput(fn func(In) (In, error)) Task[In, Out] {
	if fn == nil {
		panic(fmt.Sprintf("task %q, defined at %s: the validator is nil", t.def.ID, t.def.Place))
	}
	t.def.validate = fn
	return t
}

// validated returns the result of the validator for in, or in itself without a validator.
func (t Task[In, Out]) validated(in In) (In, error) {
	if t.def.validate == nil {
		return in, nil
	}
	in, err := t.def.validate.(func(In) (In, error))(in)
	if err != nil {
		return in, t.def.invalid(err)
	}
	return in, nil
}

// Enqueue stores an execution of t and returns a handle to it. Once Enqueue returns
// a nil error, the execution is durable and will run.
//
// Errors: ErrInvalidInput, ErrInvalidOption, ErrIDConflict, ErrTooLarge, ErrQueueFull,
// ErrShutdown, or codec.ErrKey if the client lacks a layer that the task asks for or
// can't read the input of an execution with the same [ID]. Any other error comes from
// the store: the execution may or may not have been stored, and only an [ID] makes it
// safe to enqueue again without creating a second execution.
func (t Task[In, Out]) Enqueue(ctx context.Context, c *Client, in In, opts ...Option) (Handle[Out], error) {
	due, done := manyDues(1)
	defer done()
	o, err := t.accepted(c, opts)
	if err == nil {
		err = t.due(&due[0], c, in, &o)
	}
	if err == nil {
		err = c.enqueueOne(ctx, due)
	}
	if err != nil {
		return Handle[Out]{}, fmt.Errorf("enqueue task %q: %w", t.ID(), err)
	}
	return t.Handle(c, due[0].ID), nil
}

// EnqueueMany enqueues many inputs at once, pipelined. It validates all of them
// before it stores the first. The handles are in the order of the inputs. If the store
// refuses some of them, the error joins an *[EnqueueError] for each, and their
// handles are zero.
func (t Task[In, Out]) EnqueueMany(ctx context.Context, c *Client, ins []In, opts ...Option) ([]Handle[Out], error) {
	o, err := t.accepted(c, opts)
	if err == nil && o.id != nil {
		err = fmt.Errorf("%w: ID can't be used with EnqueueMany: %d inputs would share one id", ErrInvalidOption, len(ins))
	}
	if err != nil {
		return nil, fmt.Errorf("enqueue task %q: %w", t.ID(), err)
	}
	dues, done := manyDues(len(ins))
	defer done()
	for i, in := range ins {
		if err := t.due(&dues[i], c, in, &o); err != nil {
			return nil, fmt.Errorf("enqueue task %q, input %d: %w", t.def.ID, i, err)
		}
	}
	err = c.store.Enqueue(ctx, dues...)
	handles := make([]Handle[Out], len(ins))
	for i, no := range refused(err, len(dues)) {
		if !no {
			handles[i] = t.Handle(c, dues[i].ID)
		}
	}
	if err != nil {
		return handles, fmt.Errorf("enqueue task %q: %w", t.ID(), err)
	}
	return handles, nil
}

// dues is a pool of slices: a thousand dues take most of a megabyte.
var dues = sync.Pool{New: func() any { return new([]Due) }}

// mostDues is the length of the longest slice that the pool keeps.
const mostDues = 4096

// manyDues returns n dues, and a function to call once the store no longer needs them.
func manyDues(n int) (list []Due, done func()) {
	if n > mostDues {
		return make([]Due, n), func() {}
	}
	kept := dues.Get().(*[]Due)
	*kept = slices.Grow((*kept)[:0], n)
	list = (*kept)[:n]
	return list, func() {
		clear(list)
		dues.Put(kept)
	}
}

// accepted returns the options of an enqueue, or an error if no input could be enqueued.
func (t Task[In, Out]) accepted(c *Client, opts []Option) (options, error) {
	switch {
	case t.def == nil:
		return options{}, fmt.Errorf("%w: the task is not defined: it is the zero Task", ErrInvalidOption)
	case c == nil:
		return options{}, fmt.Errorf("%w: the client is nil", ErrInvalidOption)
	}
	o, err := t.def.options.with(opts)
	if err == nil {
		err = c.accepts(t.def)
	}
	return o, err
}

// due fills due, which must be zero, with the execution to enqueue for in.
func (t Task[In, Out]) due(due *Due, c *Client, in In, o *options) error {
	input, err := t.encode(c, in, o.encoding)
	if err == nil {
		t.def.due(due, o, input)
	}
	return err
}

// encode validates in, then encodes the validator's result as c's store expects it.
func (t Task[In, Out]) encode(c *Client, in In, e Encoding) (codec.Payload, error) {
	if s := t.def.explicit; s != nil {
		if err := s.Validate(&in); err != nil {
			return codec.Payload{}, t.def.invalid(err)
		}
	}
	in, err := t.validated(in)
	if err != nil {
		return codec.Payload{}, err
	}
	p, err := codec.EncodeAs(c.typeOf(e), &in)
	if err != nil {
		return codec.Payload{}, t.def.invalid(err)
	}
	if fn, ok := t.def.convertible.(func(In) error); ok {
		if err := fn(in); err != nil {
			return codec.Payload{}, t.def.invalid(err)
		}
	}
	return c.seal("input", p, c.layersOf(e))
}

// judge returns an error if the task's schema refuses an encoded input, or if the
// input can't be decoded into the task's type.
func (d *Definition) judge(p codec.Payload) error {
	if err := judge(p, d.schema(), d.in); err != nil {
		return d.invalid(err)
	}
	return nil
}

// judgeOutput is judge for an output.
func (d *Definition) judgeOutput(p codec.Payload) error {
	if err := judge(p, codec.SchemaOf(d.out), d.out); err != nil {
		return fmt.Errorf("%w of task %q: %w", ErrInvalidOutput, d.ID, err)
	}
	return nil
}

func judge(p codec.Payload, s *codec.Schema, t reflect.Type) error {
	if s != nil {
		if err := s.ValidatePayload(p); err != nil {
			return err
		}
	}
	return p.Decode(reflect.New(t).Interface())
}

func (d *Definition) invalid(err error) error {
	return fmt.Errorf("%w of task %q: %w", ErrInvalidInput, d.ID, err)
}

// decode decodes an input. It also validates the input unless the process that
// enqueued it has done so.
func (t Task[In, Out]) decode(p Input, validated bool) (In, error) {
	in, err := t.read(p, validated)
	if err != nil || validated || p.Joined != nil {
		return in, err
	}
	return t.validated(in)
}

// read is decode without the validator.
func (t Task[In, Out]) read(p Input, validated bool) (In, error) {
	var in In
	if p.Joined != nil {
		var parentInput func(codec.Payload, any) error
		if fn := t.def.parentInput; fn != nil {
			parentInput = func(from codec.Payload, in any) error { return fn(from, p.parentValidated, in) }
		}
		if err := joinInto(&in, *p.Joined, parentInput); err != nil {
			return in, t.def.invalid(err)
		}
		return in, nil
	}
	decoded := !validated && t.isEncoding(p.Payload, &in)
	if !validated && !decoded {
		if err := t.def.judge(p.Payload); err != nil {
			return in, err
		}
	}
	if !decoded {
		in = *new(In)
		if err := p.Decode(&in); err != nil {
			return in, t.def.invalid(err)
		}
	}
	return in, nil
}

// isEncoding decodes p into in and reports whether encoding in gives p again, as it does
// if a task with this output type wrote p. The schema inferred from the type accepts
// every such value, so the executor can skip the check as JSON, which is ten times slower.
func (t Task[In, Out]) isEncoding(p codec.Payload, in *In) bool {
	if t.def.explicit != nil || p.Type != codec.MsgPack || t.def.inferred() == nil || p.Decode(in) != nil {
		return false
	}
	again, err := codec.Encode(in)
	return err == nil && again.Equal(p)
}

// joinInto decodes the input of a finalize into in: part by part if in is a Joined,
// otherwise (any, for instance) as one value.
func joinInto(in any, parts Joined[codec.Payload, codec.Payload], parentInput func(codec.Payload, any) error) error {
	if j, ok := in.(interface {
		join(Joined[codec.Payload, codec.Payload], func(codec.Payload, any) error) error
	}); ok {
		return j.join(parts, parentInput)
	}
	p, err := codec.Encode(parts)
	if err != nil {
		return err
	}
	return p.Decode(in)
}

// Handle returns a handle to an execution of t that some other code has enqueued.
func (t Task[In, Out]) Handle(c *Client, id string) Handle[Out] {
	return Handle[Out]{c: c, id: id, task: t.def.ID}
}

// Conflict returns an error that names both places if d and other define the same
// task id with different types.
func (d *Definition) Conflict(other *Definition) error {
	if d.ID != other.ID || (d.in == other.in && d.out == other.out) {
		return nil
	}
	return fmt.Errorf("task %q is defined twice with different types: at %s from %s to %s, and at %s from %s to %s",
		d.ID, d.Place, d.in, d.out, other.Place, other.in, other.out)
}
