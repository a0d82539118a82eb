package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/durable-execution/durable/codec"
)

// A Step is a task of any kind (a [Task], a [PollTask], a [SleepingTask]) or a [Chain]
// of them.
type Step[In, Out any] interface {
	steps() []*Definition
	types(In) Out
}

func (t Task[In, Out]) steps() []*Definition { return []*Definition{t.def} }
func (Task[In, Out]) types(In) (out Out)     { return out }

// A Chain is a list of tasks, each of which takes the output of the one before.
type Chain[In, Out any] struct{ list []*Definition }

func (c Chain[In, Out]) steps() []*Definition { return c.list }
func (Chain[In, Out]) types(In) (out Out)     { return out }

// Then appends a step to another. [Seq3] to [Seq6] read better for longer chains.
func Then[In, Mid, Out any](first Step[In, Mid], next Step[Mid, Out]) Chain[In, Out] {
	return Chain[In, Out]{slices.Concat(stepsOf(first), stepsOf(next))}
}

// stepsOf returns the steps of s. For a nil s it returns one undefined step, which
// BindSequence refuses.
func stepsOf[In, Out any](s Step[In, Out]) []*Definition {
	if s == nil {
		return []*Definition{nil}
	}
	return s.steps()
}

// Seq2 returns the chain of two steps, for [BindSequence]: the first takes the input, the
// second takes the output of the first.
func Seq2[In, A, Out any](first Step[In, A], second Step[A, Out]) Chain[In, Out] {
	return Then(first, second)
}

// Seq3 is [Seq2] with three steps.
func Seq3[In, A, B, Out any](first Step[In, A], second Step[A, B], third Step[B, Out]) Chain[In, Out] {
	return Then(Seq2(first, second), third)
}

// Seq4 is [Seq2] with four steps.
func Seq4[In, A, B, C, Out any](first Step[In, A], second Step[A, B], third Step[B, C], fourth Step[C, Out]) Chain[In, Out] {
	return Then(Seq3(first, second, third), fourth)
}

// Seq5 is [Seq2] with five steps.
func Seq5[In, A, B, C, D, Out any](first Step[In, A], second Step[A, B], third Step[B, C], fourth Step[C, D], fifth Step[D, Out]) Chain[In, Out] {
	return Then(Seq4(first, second, third, fourth), fifth)
}

// Seq6 is [Seq2] with six steps. A step may itself be a chain, for longer sequences.
func Seq6[In, A, B, C, D, E, Out any](first Step[In, A], second Step[A, B], third Step[B, C], fourth Step[C, D], fifth Step[D, E], sixth Step[E, Out]) Chain[In, Out] {
	return Then(Seq5(first, second, third, fourth, fifth), sixth)
}

// BindSequence makes t run the steps one after the other. Each step takes the output of
// the one before, and the output of the last step is the output of t. Each step needs a
// binding of its own, in this executor or another, and may be a parent or a sequence. If a
// step does not complete, t fails under either [ChildPolicy], and no later step is created.
// BindSequence panics if there are no steps.
func BindSequence[In, Out any](t Bindable[In, Out], s Step[In, Out]) Binding {
	place, def := caller(2), t.definition()
	if def == nil || s == nil {
		return Binding{Definition: def, Place: place, reason: "its steps are nil"}
	}
	list := s.steps()
	if i := slices.Index(list, nil); i >= 0 {
		return Binding{Definition: def, Place: place, reason: fmt.Sprintf("step %d is not defined: it is the zero Task", i+1)}
	}
	if len(list) == 0 {
		panic(fmt.Sprintf("bind sequence %q at %s: it has no steps", def.ID, place))
	}
	return Binding{Definition: def, Place: place, follow: list, Run: func(ctx context.Context, input Input) (Return, error) {
		in, err := t.decode(input, FromContext(ctx).Validated)
		if err != nil {
			return Return{}, refuseInput(err)
		}
		first, err := codec.EncodeAs(input.contentType(), &in)
		if err == nil {
			c := FromContext(ctx).Client
			first, err = c.seal("input", first, append(c.layersOf(def.options.encoding), input.Layers...))
		}
		if err != nil {
			return Return{}, refuseOutput(err)
		}
		steps := make([]Spawn, len(list))
		for i, d := range list {
			// Nobody has validated the input against the step's own validator.
			steps[i] = d.spawn(d.options)
		}
		steps[0].Input = first
		return Return{Steps: steps}, nil
	}}
}
