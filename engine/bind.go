package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/durable-execution/durable/codec"
)

// A Binding joins a task to the code that executes it. Beyond a Binding there are no
// static types: executors and stores handle ids and bytes.
type Binding struct {
	*Definition
	// Place is where the task was bound: file:line.
	Place string
	// Run runs one attempt. FromContext returns the attempt's Run from its context.
	Run func(ctx context.Context, input Input) (Return, error)
	// Finalize is the binding of the finalize that was bound together with its parent.
	// It is nil if there is no finalize, or if the finalize has a binding of its own.
	Finalize *Binding

	follow []*Definition // the finalize or the steps that an execution leads to
	asleep bool          // it is bound as a sleeping task
	reason string        // why the binding is invalid; empty if it is valid
}

// Settle completes an execution that a client without the task's definition enqueued:
// it sets the definition's policy and metadata, changed by the options that the client
// gave. The execution sleeps if the message or the definition says so.
func (b Binding) Settle(x Execution, given []Option) (Execution, error) {
	o, err := b.options.withoutID(given)
	if err != nil {
		return x, err
	}
	x.Policy, x.Metadata, x.Sleeping = o.policy, o.metadata, x.Sleeping || b.sleeping
	x.StartAt = x.CreatedAt.Add(o.policy.Delay)
	return x, nil
}

// A Return is the result of a run function that returned no error.
type Return struct {
	Output   codec.Payload
	Children []Spawn
	Steps    []Spawn
	Finalize *Spawn
	Gathers  bool
	// Poll is set if a poll is not done yet; it says when to run the poll again.
	Poll *Poll
}

// Event returns the event by which the attempt of x ends.
func (r Return) Event(x Execution, at time.Time) Event {
	if r.Poll != nil {
		return r.Poll.event(x, at)
	}
	return Returned{At: at, Output: r.Output, Children: r.Children, Steps: r.Steps, Finalize: r.Finalize, Gathers: r.Gathers}
}

// Bind binds fn to t: an executor calls fn for each attempt of an execution of t.
func Bind[In, Out any](t Bindable[In, Out], fn func(context.Context, In) (Out, error)) Binding {
	def := t.definition()
	if fn == nil {
		return Binding{Definition: def, Place: caller(2), reason: nilFunction}
	}
	return Binding{Definition: def, Place: caller(2), Run: func(ctx context.Context, input Input) (Return, error) {
		in, err := t.decode(input, FromContext(ctx).Validated)
		if err != nil {
			return Return{}, refuseInput(err)
		}
		out, err := fn(ctx, in)
		if err != nil {
			return Return{}, err
		}
		p, err := def.encodeOutput(ctx, input, &out)
		return Return{Output: p}, err
	}}
}

// BindParent binds to t a function that may spawn children, and a finalize. The
// executor calls the finalize once all children have finished; its output becomes the
// output of t. The options are the finalize's. The finalize's task id is t's id followed
// by -finalize. BindParent panics on an invalid option, as Define does.
func BindParent[In, Mid, Out any](
	t Bindable[In, Out],
	run func(context.Context, In, *Children) (Mid, error),
	finalize func(context.Context, Joined[In, Mid]) (Out, error),
	opts ...Option,
) Binding {
	place := caller(2)
	def := t.definition()
	if def == nil {
		return Binding{Place: place}
	}
	ft := define[Joined[In, Mid], Out](def.ID+"-finalize", place, append([]Option{Queue(def.options.queue), def.options.encoding}, opts...))
	ft.def.parentInput = parentInput(t)
	b := parent(t, run, ft.def, place)
	fin := Bind(ft, finalize)
	fin.Place = place
	b.Finalize = &fin
	return b
}

// A TaskOf is a task of any kind: a [Task], a [PollTask] or a [SleepingTask].
type TaskOf[In, Out any] interface {
	Step[In, Out]
	definition() *Definition
}

func (t Task[In, Out]) definition() *Definition { return t.def }

// BindParentTask is BindParent with a finalize that is a task with a binding of its
// own. That finalize may itself be a parent (bound with BindParent or BindParentTask, to
// any depth), a poll, or a sleeping task.
func BindParentTask[In, Mid, Out, Raw any](
	t BindableFrom[Raw, In, Out],
	run func(context.Context, In, *Children) (Mid, error),
	finalize TaskOf[Joined[Raw, Mid], Out],
) Binding {
	place := caller(2)
	if finalize == nil || finalize.definition() == nil {
		return Binding{Definition: t.definition(), Place: place, reason: "its finalize is not defined: it is nil or the zero Task (create it with Define)"}
	}
	return parent[In, Mid, Out](t, run, finalize.definition(), place)
}

// BindFanOut binds to t a function that may spawn children, without a finalize. The
// output of t combines the function's return value with the outcome of each child.
func BindFanOut[In, Mid any](t Bindable[In, Gathered[Mid]], run func(context.Context, In, *Children) (Mid, error)) Binding {
	return parent(t, run, nil, caller(2))
}

func parent[In, Mid, Out any](t Bindable[In, Out], run func(context.Context, In, *Children) (Mid, error), finalize *Definition, place string) Binding {
	def := t.definition()
	var follow []*Definition
	if finalize != nil {
		follow = append(follow, finalize)
	}
	if run == nil {
		return Binding{Definition: def, Place: place, follow: follow, reason: nilFunction}
	}
	return Binding{Definition: def, Place: place, follow: follow, Run: func(ctx context.Context, input Input) (Return, error) {
		in, err := t.decode(input, FromContext(ctx).Validated)
		if err != nil {
			return Return{}, refuseInput(err)
		}
		children := Children{client: FromContext(ctx).Client, layers: input.Layers}
		mid, err := run(ctx, in, &children)
		if err != nil {
			return Return{}, err
		}
		if children.err != nil {
			return Return{}, refuseSpawns(children.err)
		}
		p, err := def.encodeOutput(ctx, input, &mid)
		if err != nil {
			return Return{}, err
		}
		r := Return{Output: p, Children: children.spawns, Gathers: finalize == nil}
		if finalize != nil {
			f := finalize.spawn(finalize.options)
			f.Validated = true // the engine itself builds its input
			r.Finalize = &f
		}
		return r, nil
	}}
}

// encodeOutput encodes the output that out points to. The encoding is the task's
// [Encoding], or else the input's, so that a caller who enqueued JSON gets JSON back.
// The output gets the task's layers and also the input's: the result of an encrypted
// input is encrypted. A failure is final: another attempt would give the same output.
func (d *Definition) encodeOutput(ctx context.Context, input Input, out any) (codec.Payload, error) {
	c := FromContext(ctx).Client
	t := d.options.encoding.Type
	if t == "" {
		t = input.contentType()
	}
	p, err := codec.EncodeAs(t, out)
	if err == nil {
		p, err = c.seal("output", p, append(c.layersOf(d.options.encoding), input.Layers...))
	}
	if err != nil {
		return codec.Payload{}, refuseOutput(fmt.Errorf("output: %w", err))
	}
	return p, nil
}
