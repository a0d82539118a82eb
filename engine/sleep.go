package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/durable-execution/durable/codec"
)

// A SleepingTask is a task that runs no code: its executions wait until somebody
// wakes them, with an output or an error. It is how a tree waits for a person, or
// for a system that calls back. It takes no slot while it sleeps.
type SleepingTask[In, Out any] struct{ Task[In, Out] }

// DefineSleeping declares a task that sleeps. Its input is for whoever looks. It
// sleeps without end unless a [Timeout] is given, which makes it end as timed_out.
// It need not be bound: any executor of its queue puts it to sleep.
func DefineSleeping[In, Out any](id string, opts ...Option) SleepingTask[In, Out] {
	t := define[In, Out](id, caller(2), append([]Option{NoTimeout}, opts...))
	t.def.sleeping = true
	return SleepingTask[In, Out]{t}
}

// InputSchema is [Task.InputSchema].
func (t SleepingTask[In, Out]) InputSchema(text string) SleepingTask[In, Out] {
	t.Task = t.Task.InputSchema(text)
	return t
}

// ValidateInput is [Task.ValidateInput].
func (t SleepingTask[In, Out]) ValidateInput(fn func(In) (In, error)) SleepingTask[In, Out] {
	t.Task = t.Task.ValidateInput(fn)
	return t
}

// BindSleeping binds t where its executions are enqueued by others than Go
// programs that have its definition: they do not say that they sleep.
func BindSleeping[In, Out any](t SleepingTask[In, Out]) Binding {
	return Binding{Definition: t.def, Place: caller(2), asleep: true, Run: func(context.Context, Input) (Return, error) {
		return Return{}, Permanent(fmt.Errorf("task %q sleeps, and this execution was enqueued as one that runs", t.def.ID))
	}}
}

// Wake completes a sleeping execution with an output. When it returns nil the
// record says so, and the rest follows whoever crashes. Errors: ErrNotFound;
// ErrNotSleeping and ErrIDConflict if the execution is another task's; ErrFinished,
// with how it ended, if it was woken, cancelled or timed out before; ErrInvalidOutput if
// out can't be encoded; ErrTooLarge.
func (t SleepingTask[In, Out]) Wake(ctx context.Context, c *Client, id string, out Out) error {
	p, err := codec.EncodeAs(c.typeOf(t.def.options.encoding), &out)
	if err != nil {
		return fmt.Errorf("wake %s: %w of task %q: %w", id, ErrInvalidOutput, t.def.ID, err)
	}
	return c.wake(ctx, Closure{Parent: id, Task: t.def.ID, Status: Completed, Output: p}, t.def.options.encoding)
}

// WakeError fails a sleeping execution; no retry follows. The errors are those of
// [SleepingTask.Wake], and ErrInvalidOption if cause is nil.
func (t SleepingTask[In, Out]) WakeError(ctx context.Context, c *Client, id string, cause error) error {
	if cause == nil {
		return fmt.Errorf("wake %s: %w: the error is nil", id, ErrInvalidOption)
	}
	return c.wake(ctx, Closure{Parent: id, Task: t.def.ID, Status: Failed, Message: cause.Error()}, Encoding{})
}

// Wake is [SleepingTask.Wake] for a caller without the task's definition. The output is not
// in layers. ErrInvalidOutput refuses one that is no value of its encoding or, where the
// client has met the definition - that of an executor has met those of its tasks - none of
// the task's output.
func (c *Client) Wake(ctx context.Context, id string, out codec.Payload) error {
	return c.wake(ctx, Closure{Parent: id, Status: Completed, Output: out}, Encoding{})
}

// WakeError is [SleepingTask.WakeError] for a caller without the task's definition.
func (c *Client) WakeError(ctx context.Context, id, message string) error {
	return c.wake(ctx, Closure{Parent: id, Status: Failed, Message: message}, Encoding{})
}

func (c *Client) wake(ctx context.Context, w Closure, e Encoding) error {
	if err := c.tryToWake(ctx, w, e); err != nil {
		return fmt.Errorf("wake %s: %w", w.Parent, err)
	}
	return nil
}

func (c *Client) tryToWake(ctx context.Context, w Closure, e Encoding) error {
	if err := ValidateID(w.Parent); err != nil {
		return err
	}
	r, err := c.store.Get(ctx, w.Parent)
	switch {
	case err != nil:
		return err
	case w.Task != "" && r.Task != w.Task:
		return fmt.Errorf("%w: it is an execution of task %q, not %q", ErrIDConflict, r.Task, w.Task)
	case !r.Sleeping:
		return fmt.Errorf("%w: task %q runs code", ErrNotSleeping, r.Task)
	case r.Status.Finished():
		return fmt.Errorf("%w: it is %s", ErrFinished, r.Status)
	}
	w.IsWake = true
	if w.Status == Completed && w.Task == "" { // else it was encoded from a value of the task's
		if err := c.judgeWake(r.Task, w.Output); err != nil {
			return err
		}
	}
	if w.Status == Completed { // what came encrypted leaves encrypted
		if w.Task != "" && e.Type == "" { // as with the outputs of code
			if w.Output, err = codec.EncodeAs(plainType(r.Input), w.Output); err != nil {
				return err
			}
		}
		if w.Output, err = c.seal("output", w.Output, append(c.layersOf(e), r.Input.Type.Layers()...)); err != nil {
			return err
		}
	}
	// The message comes first, as with a cancellation: an executor goes on from it.
	if err := c.store.Carry(ctx, TellParent{Closure: w}); err != nil {
		return err
	}
	ev := w.Woken(time.Now().UTC())
	return c.end(ctx, r, ev, func(x Execution) bool {
		switch {
		case x.Status != w.Status:
			return false
		case x.Status == Failed:
			return x.Failure.Message == ev.Failure.Message
		}
		out, err := c.store.Load(ctx, x.ID, x.Output)
		return err == nil && out.Equal(w.Output)
	})
}

// judgeWake refuses an output, without layers, that an execution of the task can't be woken
// with.
func (c *Client) judgeWake(task string, output codec.Payload) error {
	if err := output.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidOutput, err)
	}
	if d, known := c.definitions.Load(task); known {
		return d.(*Definition).judgeOutput(output)
	}
	return nil
}

// JudgeWake is for executors, who learn of a wake that anybody may have sent: it returns
// ErrInvalidOutput for one that x can't be woken with, as far as the client can tell. What
// it has no key for, others may judge.
func (c *Client) JudgeWake(ctx context.Context, x Execution, w Closure) error {
	if w.Status != Completed {
		return nil
	}
	r := reader{store: c.store, unwrap: c.codec.Open}
	output, err := r.open(ctx, "output", x.ID, w.Output)
	switch {
	case errors.Is(err, codec.ErrKey):
		return nil
	case errors.Is(err, ErrDamaged):
		return fmt.Errorf("%w: %w", ErrInvalidOutput, err)
	case err != nil:
		return err
	}
	return c.judgeWake(x.Task, output)
}

// plainType returns the encoding of p below its layers.
func plainType(p codec.Payload) codec.Type {
	t := p.Type
	for t.Wrapped() {
		t, _ = t.Unwrap()
	}
	if t != codec.JSON {
		return codec.MsgPack
	}
	return t
}

// Woken returns the event that a closure makes of the execution that it wakes.
func (c Closure) Woken(at time.Time) Woken {
	if c.Status == Completed {
		return Woken{At: at, Output: c.Output}
	}
	return Woken{At: at, Failure: &Failure{Kind: KindError, Message: cut(c.Message, maxMessage)}}
}
