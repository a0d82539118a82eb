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

// A Task is the name of a unit of work, with the types of its input and output
// and the options that its executions start with. It holds no code: a program
// that enqueues needs nothing but the Task, and one that executes binds a
// function to it with [Bind] and its kin.
type Task[In, Out any] struct{ def *Definition }

// A Definition is what is known of a task when its types are not.
type Definition struct {
	// ID is the task's.
	ID string
	// Place is where it was defined: file:line.
	Place string

	in, out  reflect.Type
	options  options
	sleeping bool
	explicit *codec.Schema
	validate any // func(In) (In, error); nil without one
	inferred func() *codec.Schema
}

// Define declares a task. The id, 1 to 255 of A-Z a-z 0-9 _ -, is stored with
// every execution: renaming a task orphans those that are under way. Define
// panics on an invalid id or option, so that the program does not start.
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

// spawn is an execution of d below another, with nobody's input yet.
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

// ID returns the task's id; that of the zero Task is empty.
func (t Task[In, Out]) ID() string {
	if t.def == nil {
		return ""
	}
	return t.def.ID
}

// Schema returns the JSON Schema of the input: the one given with InputSchema
// or else the one inferred from In. It is nil if In can't be described.
func (t Task[In, Out]) Schema() *codec.Schema { return t.def.schema() }

func (d *Definition) schema() *codec.Schema {
	if d.explicit != nil {
		return d.explicit
	}
	return d.inferred()
}

// InputSchema gives the task a JSON Schema that every input must satisfy, checked before
// anything is stored, and returns the task, every copy of which has it. Call it where the
// task is defined, before anything is enqueued. It panics if text is no schema.
func (t Task[In, Out]) InputSchema(text string) Task[In, Out] {
	s, err := codec.ParseSchema(text)
	if err != nil {
		panic(fmt.Sprintf("task %q, defined at %s: input schema: %s", t.def.ID, t.def.Place, err))
	}
	t.def.explicit = s
	return t
}

// ValidateInput gives the task a function that refuses an input, by its error, or
// passes it on, changed or not, and returns the task, every copy of which has it. Call it
// where the task is defined, before anything is enqueued. The function is called where an
// input is enqueued or spawned, after the schema, and by the executor for an input that
// came from elsewhere. A nil fn is a panic.
func (t Task[In, Out]) ValidateInput(fn func(In) (In, error)) Task[In, Out] {
	if fn == nil {
		panic(fmt.Sprintf("task %q, defined at %s: the function that validates inputs is nil", t.def.ID, t.def.Place))
	}
	t.def.validate = fn
	return t
}

// validated returns what the validator makes of in.
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

// Enqueue stores an execution of t and returns a handle to it. When it returns
// nil as error the execution is durable. Errors: ErrInvalidInput, ErrInvalidOption,
// ErrIDConflict, ErrTooLarge, ErrQueueFull, ErrShutdown, codec.ErrKey where the
// client lacks a layer that the task asks for, or can't read the input of an
// execution with the same [ID], or what kept the store from answering; in that last case the execution may or may not be there, and
// only enqueuing again with an [ID] is sure not to make a second.
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

// EnqueueMany is Enqueue for many inputs at once, pipelined: all of them are
// validated before the first is stored. The handles are in the order of the
// inputs. If some were refused by the store, the error joins an *[EnqueueError]
// for each, and their handles are zero.
func (t Task[In, Out]) EnqueueMany(ctx context.Context, c *Client, ins []In, opts ...Option) ([]Handle[Out], error) {
	o, err := t.accepted(c, opts)
	if err == nil && o.id != nil {
		err = fmt.Errorf("%w: one id for many executions", ErrInvalidOption)
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

// dues are used again: those of a thousand executions are most of a megabyte.
var dues = sync.Pool{New: func() any { return new([]Due) }}

// mostDues is how many are kept.
const mostDues = 4096

// manyDues returns n dues, and what is to be called when the store has them.
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

// accepted returns the options of an enqueue, if it is not refused whatever its input is.
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

// due makes due, which is zero, the execution that an enqueue of in stores.
func (t Task[In, Out]) due(due *Due, c *Client, in In, o *options) error {
	input, err := t.encode(c, in, o.encoding)
	if err == nil {
		t.def.due(due, o, input)
	}
	return err
}

// encode validates in and encodes what the validator made of it, for the store
// of c.
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
	return c.seal("input", p, c.layersOf(e))
}

// judge refuses an encoded input that the task's schema refuses, or that can't be decoded
// into its type.
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

// decode decodes an input. One that has not been validated where it was enqueued
// is validated here.
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
		if err := joinInto(&in, *p.Joined); err != nil {
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

// isEncoding reports whether p, which it decodes into in, is what a value of the input's
// type is encoded to, as an output of the same type is. The schema inferred from the type
// accepts that: so the executor is spared to look at it as JSON, which takes ten times as
// long.
func (t Task[In, Out]) isEncoding(p codec.Payload, in *In) bool {
	if t.def.explicit != nil || p.Type != codec.MsgPack || t.def.inferred() == nil || p.Decode(in) != nil {
		return false
	}
	again, err := codec.Encode(in)
	return err == nil && again.Equal(p)
}

// joinInto gives a finalize its input: a Joined part by part, and what else its
// task takes, any for instance, as one value.
func joinInto(in any, parts Joined[codec.Payload, codec.Payload]) error {
	if j, ok := in.(interface {
		join(Joined[codec.Payload, codec.Payload]) error
	}); ok {
		return j.join(parts)
	}
	p, err := codec.Encode(parts)
	if err != nil {
		return err
	}
	return p.Decode(in)
}

// Handle returns a handle to an execution of t that was enqueued elsewhere.
func (t Task[In, Out]) Handle(c *Client, id string) Handle[Out] {
	return Handle[Out]{c: c, id: id, task: t.def.ID}
}

// Conflict returns an error that names both places if d and other are two
// definitions of one id that differ in their types.
func (d *Definition) Conflict(other *Definition) error {
	if d.ID != other.ID || (d.in == other.in && d.out == other.out) {
		return nil
	}
	return fmt.Errorf("task %q is defined twice: at %s from %s to %s, and at %s from %s to %s",
		d.ID, d.Place, d.in, d.out, other.Place, other.in, other.out)
}
