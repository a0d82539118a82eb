package engine

import (
	"context"
	"fmt"
	"time"
)

// A Poll says how long to wait between two runs of a polled task, and when to give up.
type Poll struct {
	// Every is how long to wait from the end of a run to the start of the next.
	Every time.Duration
	// Wait, if not nil, replaces Every: it returns the time to wait after the n-th run
	// that was not done, counted from 1.
	Wait func(n int) time.Duration
	// Limit is the most runs that may be not done: if run number Limit is not done, the
	// execution fails. Zero means no limit.
	Limit int
	// Deadline limits the start of the last run, counted from the time at which the first
	// run was due. If the last run is not done, the execution has timed out. Zero means no
	// deadline.
	Deadline time.Duration
}

func (p Poll) validate() error {
	switch {
	case p.Wait == nil && p.Every < time.Millisecond:
		return fmt.Errorf("poll: every %s: less than 1ms", p.Every)
	case p.Limit < 0:
		return fmt.Errorf("poll: limit %d: negative", p.Limit)
	case p.Deadline < 0:
		return fmt.Errorf("poll: deadline %s: negative", p.Deadline)
	}
	return nil
}

// event returns the event that ends a run of x that was not done. Every is the time to
// wait before another run.
func (p Poll) event(x Execution, at time.Time) Event {
	n := x.Polls + 1
	if p.Limit > 0 && n >= p.Limit {
		return Erred{At: at, Final: true, Failure: Failure{Kind: KindPoll, Message: "not done after " + plural(n, "poll", "polls")}}
	}
	wait := p.Every
	if p.Deadline > 0 {
		left := x.CreatedAt.Add(x.Policy.Delay).Add(p.Deadline).Sub(at)
		if left <= 0 {
			return Erred{At: at, Final: true, Failure: Failure{
				Kind: KindTimeout, Message: fmt.Sprintf("not done within %s, after %s", p.Deadline, plural(n, "poll", "polls")),
			}}
		}
		wait = min(wait, left)
	}
	return Polled{At: at, After: wait}
}

// A PollTask is a task whose function runs repeatedly until it is done. All runs belong to
// one execution, whose record does not grow.
type PollTask[In, Out any] struct {
	Task[In, Out]
	poll Poll
}

// DefinePoll declares a polled task, as [Define] does. The timeout limits one run. The
// retries are for a run that fails; a run that is not done has not failed, and the next
// run has all its retries again.
func DefinePoll[In, Out any](id string, p Poll, opts ...Option) PollTask[In, Out] {
	place := caller(2)
	if err := p.validate(); err != nil {
		panic(fmt.Sprintf("define task %q at %s: %s", id, place, err))
	}
	return PollTask[In, Out]{Task: define[In, Out](id, place, opts), poll: p}
}

// InputSchema is [Task.InputSchema].
func (t PollTask[In, Out]) InputSchema(text string) PollTask[In, Out] {
	t.Task = t.Task.InputSchema(text)
	return t
}

// ValidateInput is [Task.ValidateInput].
func (t PollTask[In, Out]) ValidateInput(fn func(In) (In, error)) PollTask[In, Out] {
	t.Task = t.Task.ValidateInput(fn)
	return t
}

// BindPoll binds to t a function that an executor calls repeatedly until it returns done.
// The output is ignored before that.
func BindPoll[In, Out any](t BindablePoll[In, Out], fn func(context.Context, In) (out Out, done bool, err error)) Binding {
	def := t.definition()
	if fn == nil {
		return Binding{Definition: def, Place: caller(2), reason: nilFunction}
	}
	return Binding{Definition: def, Place: caller(2), Run: func(ctx context.Context, input Input) (Return, error) {
		in, err := t.decode(input, FromContext(ctx).Validated)
		if err != nil {
			return Return{}, refuseInput(err)
		}
		out, done, err := fn(ctx, in)
		if err != nil {
			return Return{}, err
		}
		if !done {
			again := t.polled()
			if again.Wait != nil { // called here, so that a panic counts as a panic of the task's code
				again.Every = max(again.Wait(FromContext(ctx).Polls+1), 0)
			}
			return Return{Poll: &again}, nil
		}
		p, err := def.encodeOutput(ctx, input, &out)
		return Return{Output: p}, err
	}}
}
