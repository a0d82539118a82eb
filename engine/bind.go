package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/durable-execution/durable/codec"
)

// A Binding joins a task to the code that executes it. It is where types end:
// executors and stores see ids and bytes.
type Binding struct {
	*Definition
	// Place is where it was bound: file:line.
	Place string
	// Run runs one attempt, in the context of which FromContext finds a Run.
	Run func(ctx context.Context, input Input) (Return, error)
	// Finalize is the binding of the finalize that came with the parent; nil if
	// there is none or if it is bound by itself.
	Finalize *Binding

	follow []*Definition // the finalize, or the steps: what each execution leads to
	asleep bool          // it is bound as a task that sleeps
	reason string        // why it can't be run; empty if it can
}

// Settle gives an execution that came without a settled policy that of the
// definition, changed by the options that it was given. It sleeps if either says so.
func (b Binding) Settle(x Execution, given []Option) (Execution, error) {
	o, err := b.options.withoutID(given)
	if err != nil {
		return x, err
	}
	x.Policy, x.Metadata, x.Sleeping = o.policy, o.metadata, x.Sleeping || b.sleeping
	x.StartAt = x.CreatedAt.Add(o.policy.Delay)
	return x, nil
}

// A Return is what a run function that returned without error leaves to do.
type Return struct {
	Output   codec.Payload
	Children []Spawn
	Steps    []Spawn
	Finalize *Spawn
	Gathers  bool
	// Poll says that a poll is not done, and when it is to be run again. Nil
	// otherwise.
	Poll *Poll
}

// Event returns the event that the return makes of the attempt of x.
func (r Return) Event(x Execution, at time.Time) Event {
	if r.Poll != nil {
		return r.Poll.event(x, at)
	}
	return Returned{At: at, Output: r.Output, Children: r.Children, Steps: r.Steps, Finalize: r.Finalize, Gathers: r.Gathers}
}

// Bind binds fn to t.
func Bind[In, Out any](t Task[In, Out], fn func(context.Context, In) (Out, error)) Binding {
	if fn == nil {
		return Binding{Definition: t.def, Place: caller(2), reason: nilFunction}
	}
	return Binding{Definition: t.def, Place: caller(2), Run: func(ctx context.Context, input Input) (Return, error) {
		in, err := t.decode(input, FromContext(ctx).Validated)
		if err != nil {
			return Return{}, refuseInput(err)
		}
		out, err := fn(ctx, in)
		if err != nil {
			return Return{}, err
		}
		p, err := t.def.encodeOutput(ctx, input, &out)
		return Return{Output: p}, err
	}}
}

// BindParent binds to t a function that may spawn children, and the finalize
// that is run once they have ended, whose output is that of t. The options are
// those of the finalize; its task id is that of t with -finalize behind it. It
// panics on an invalid option, as Define does.
func BindParent[In, Mid, Out any](
	t Task[In, Out],
	run func(context.Context, In, *Children) (Mid, error),
	finalize func(context.Context, Joined[In, Mid]) (Out, error),
	opts ...Option,
) Binding {
	place := caller(2)
	if t.def == nil {
		return Binding{Place: place}
	}
	ft := define[Joined[In, Mid], Out](t.def.ID+"-finalize", place, append([]Option{Queue(t.def.options.queue), t.def.options.encoding}, opts...))
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

// BindParentTask is BindParent with a finalize that is a task of its own and
// bound by itself: with BindParentTask or BindParent again, it has children and
// a finalize of its own, to any depth; it may poll, or sleep until somebody wakes it.
func BindParentTask[In, Mid, Out any](
	t Task[In, Out],
	run func(context.Context, In, *Children) (Mid, error),
	finalize TaskOf[Joined[In, Mid], Out],
) Binding {
	place := caller(2)
	if finalize == nil || finalize.definition() == nil {
		return Binding{Definition: t.def, Place: place, reason: "its finalize is not defined: it is nil or the zero Task"}
	}
	return parent(t, run, finalize.definition(), place)
}

// BindFanOut binds to t a function that may spawn children, without a finalize:
// the output of t is what the function returns together with how the children
// ended.
func BindFanOut[In, Mid any](t Task[In, Gathered[Mid]], run func(context.Context, In, *Children) (Mid, error)) Binding {
	return parent(t, run, nil, caller(2))
}

func parent[In, Mid, Out any](t Task[In, Out], run func(context.Context, In, *Children) (Mid, error), finalize *Definition, place string) Binding {
	var follow []*Definition
	if finalize != nil {
		follow = append(follow, finalize)
	}
	if run == nil {
		return Binding{Definition: t.def, Place: place, follow: follow, reason: nilFunction}
	}
	return Binding{Definition: t.def, Place: place, follow: follow, Run: func(ctx context.Context, input Input) (Return, error) {
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
		p, err := t.def.encodeOutput(ctx, input, &mid)
		if err != nil {
			return Return{}, err
		}
		r := Return{Output: p, Children: children.spawns, Gathers: finalize == nil}
		if finalize != nil {
			f := finalize.spawn(finalize.options)
			f.Validated = true // what it is given comes from here
			r.Finalize = &f
		}
		return r, nil
	}}
}

// encodeOutput encodes what out points to, an output, as the task's [Encoding] says or else as its input
// was, so that who enqueued in JSON is answered in JSON, in the layers that the task's
// outputs are in and in those that the input came in: what came encrypted leaves
// encrypted. What can't be encoded, or is past the limit, will not be better in
// another attempt.
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
