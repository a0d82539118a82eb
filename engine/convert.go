package engine

import (
	"fmt"

	"github.com/durable-execution/durable/codec"
)

// A Bindable is a task that [Bind], [BindParent], [BindFanOut] and [BindSequence] give code
// to: a [Task], whose code takes the type that callers enqueue, or a [ConvertedTask], whose
// code takes the type that its conversion returns.
type Bindable[In, Out any] interface {
	definition() *Definition
	decode(p Input, validated bool) (In, error)
	code(In) Out
}

// A BindableFrom is a [Bindable] whose callers enqueue a Raw.
type BindableFrom[Raw, In, Out any] interface {
	Bindable[In, Out]
	stored(Raw)
}

// A BindablePoll is a polled task: a [PollTask] or a [ConvertedPollTask].
type BindablePoll[In, Out any] interface {
	definition() *Definition
	decode(p Input, validated bool) (In, error)
	polled() Poll
	pollCode(In) Out
}

func (Task[In, Out]) code(In) (out Out) { return out }
func (Task[In, Out]) stored(In)         {}

// The methods code of a PollTask and of a SleepingTask hide that of the embedded Task, so that
// Bind does not accept them. Nothing calls them.

//lint:ignore U1000 it hides Task.code
func (PollTask[In, Out]) code() {}

//lint:ignore U1000 it hides Task.code
func (SleepingTask[In, Out]) code() {}

func (t PollTask[In, Out]) polled() Poll              { return t.poll }
func (PollTask[In, Out]) pollCode(In) (out Out)       { return out }
func (ConvertedTask[Raw, In, Out]) code(In) (out Out) { return out }
func (ConvertedPollTask[Raw, In, Out]) pollCode(In) (out Out) {
	return out
}

// A ConvertedTask is a task whose callers enqueue a Raw and whose code takes an In. The Raw is
// what is stored, what the schema describes and what clients in other languages send.
type ConvertedTask[Raw, In, Out any] struct {
	Task[Raw, Out]
	convert func(Raw) (In, error)
}

// ConvertInput gives t a conversion of its input and returns the task to bind code to. The
// conversion refuses an input by returning an error, as a validator does: Enqueue and Spawn
// then return ErrInvalidInput, and nothing is stored. It runs after the schema check and the
// validator, in the process that enqueues or spawns, and again in each attempt; so it must
// be quick, must not change its argument, and must give the same result each time. A finalize
// that [BindParent] binds gets the converted input; one with a binding of its own gets the
// Raw, and may convert it itself. All copies of t have the conversion: call ConvertInput where
// the task is defined. It panics if fn is nil.
func ConvertInput[Raw, In, Out any](t Task[Raw, Out], fn func(Raw) (In, error)) ConvertedTask[Raw, In, Out] {
	setConversion(t.def, fn)
	return ConvertedTask[Raw, In, Out]{Task: t, convert: fn}
}

// A ConvertedPollTask is a [ConvertedTask] that is polled.
type ConvertedPollTask[Raw, In, Out any] struct {
	PollTask[Raw, Out]
	convert func(Raw) (In, error)
}

// ConvertPollInput is [ConvertInput] for a polled task: the conversion runs before each run.
func ConvertPollInput[Raw, In, Out any](t PollTask[Raw, Out], fn func(Raw) (In, error)) ConvertedPollTask[Raw, In, Out] {
	setConversion(t.def, fn)
	return ConvertedPollTask[Raw, In, Out]{PollTask: t, convert: fn}
}

func setConversion[Raw, In any](d *Definition, fn func(Raw) (In, error)) {
	if fn == nil {
		panic(fmt.Sprintf("task %q, defined at %s: the conversion is nil", d.ID, d.Place))
	}
	d.convertible = func(raw Raw) error {
		_, err := fn(raw)
		return err
	}
}

// InputSchema is [Task.InputSchema].
func (t ConvertedTask[Raw, In, Out]) InputSchema(text string) ConvertedTask[Raw, In, Out] {
	t.Task = t.Task.InputSchema(text)
	return t
}

// ValidateInput is [Task.ValidateInput]; the validator runs before the conversion.
func (t ConvertedTask[Raw, In, Out]) ValidateInput(fn func(Raw) (Raw, error)) ConvertedTask[Raw, In, Out] {
	t.Task = t.Task.ValidateInput(fn)
	return t
}

// InputSchema is [Task.InputSchema].
func (t ConvertedPollTask[Raw, In, Out]) InputSchema(text string) ConvertedPollTask[Raw, In, Out] {
	t.PollTask = t.PollTask.InputSchema(text)
	return t
}

// ValidateInput is [Task.ValidateInput]; the validator runs before the conversion.
func (t ConvertedPollTask[Raw, In, Out]) ValidateInput(fn func(Raw) (Raw, error)) ConvertedPollTask[Raw, In, Out] {
	t.PollTask = t.PollTask.ValidateInput(fn)
	return t
}

func (t ConvertedTask[Raw, In, Out]) decode(p Input, validated bool) (In, error) {
	return decodeConverted(t.Task, p, validated, t.convert)
}

func (t ConvertedPollTask[Raw, In, Out]) decode(p Input, validated bool) (In, error) {
	return decodeConverted(t.Task, p, validated, t.convert)
}

func decodeConverted[Raw, In, Out any](t Task[Raw, Out], p Input, validated bool, convert func(Raw) (In, error)) (In, error) {
	raw, err := t.decode(p, validated)
	if err != nil {
		return *new(In), err
	}
	in, err := convert(raw)
	if err != nil {
		return in, t.def.invalid(err)
	}
	return in, nil
}

// parentInput returns a function that decodes the stored input of t into an In, for the
// finalize that is bound together with t, and that must get what t's own code got: so it runs
// the validator unless whoever enqueued has done so. It returns nil if t takes its input as it
// is stored.
func parentInput[In, Out any](t Bindable[In, Out]) func(p codec.Payload, validated bool, in any) error {
	if t.definition().convertible == nil {
		return nil
	}
	return func(p codec.Payload, validated bool, in any) error {
		v, err := t.decode(Input{Payload: p}, validated)
		if err == nil {
			*in.(*In) = v
		}
		return err
	}
}
