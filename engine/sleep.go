package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/durable-execution/durable/codec"
)

// A SleepingTask is a task that runs no code: its executions wait until a program wakes
// them with an output or an error. With it a tree waits for a person, or for a callback
// from another system. A sleeping execution takes no slot.
type SleepingTask[In, Out any] struct{ Task[In, Out] }

// DefineSleeping declares a sleeping task. Its input is information for the person or
// program that decides. It sleeps without limit unless a [Timeout] is given; then it ends as
// timed_out. It needs no binding: any executor of its queue puts it to sleep.
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

// BindSleeping binds t. It is only needed if clients that lack t's definition enqueue
// executions of t: their messages do not say that the task sleeps.
func BindSleeping[In, Out any](t SleepingTask[In, Out]) Binding {
	return Binding{Definition: t.def, Place: caller(2), asleep: true, Run: func(context.Context, Input) (Return, error) {
		return Return{}, Permanent(fmt.Errorf("task %q is a sleeping task, but this execution was enqueued as one that runs code", t.def.ID))
	}}
}

// Wake completes a sleeping execution with an output. Once Wake returns nil, the record
// says completed, and executors do the rest even if this process crashes. Errors:
// ErrNotFound; ErrNotSleeping or ErrIDConflict if the execution belongs to another task;
// ErrFinished, with the status, if the execution was already woken, cancelled or timed out;
// ErrInvalidOutput if out can't be encoded; ErrTooLarge.
func (t SleepingTask[In, Out]) Wake(ctx context.Context, c *Client, id string, out Out) error {
	p, err := codec.EncodeAs(c.typeOf(t.def.options.encoding), &out)
	if err != nil {
		return fmt.Errorf("wake %s: %w of task %q: %w", id, ErrInvalidOutput, t.def.ID, err)
	}
	return c.wake(ctx, Closure{Parent: id, Task: t.def.ID, Status: Completed, Output: p}, t.def.options.encoding)
}

// WakeError fails a sleeping execution, without a retry. The errors are those of
// [SleepingTask.Wake], and ErrInvalidOption if cause is nil.
func (t SleepingTask[In, Out]) WakeError(ctx context.Context, c *Client, id string, cause error) error {
	if cause == nil {
		return fmt.Errorf("wake %s: %w: the error is nil", id, ErrInvalidOption)
	}
	return c.wake(ctx, Closure{Parent: id, Task: t.def.ID, Status: Failed, Message: cause.Error()}, Encoding{})
}

// Wake is [SleepingTask.Wake] for a caller that lacks the task's definition. The output must
// be without layers. ErrInvalidOutput says that it is not a valid value of its encoding or,
// if the client knows the definition (as an executor's client knows the bound tasks), not
// a value of the task's output type.
func (c *Client) Wake(ctx context.Context, id string, out codec.Payload) error {
	return c.wake(ctx, Closure{Parent: id, Status: Completed, Output: out}, Encoding{})
}

// WakeError is [SleepingTask.WakeError] for a caller that lacks the task's definition.
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
	if w.Status == Completed && w.Task == "" { // otherwise the output was encoded from a typed value
		if err := c.judgeWake(r.Task, w.Output); err != nil {
			return err
		}
	}
	if w.Status == Completed { // the output gets the input's layers: it stays encrypted
		if w.Task != "" && e.Type == "" { // encode it as the input, like the outputs of code
			if w.Output, err = codec.EncodeAs(plainType(r.Input), w.Output); err != nil {
				return err
			}
		}
		if w.Output, err = c.seal("output", w.Output, append(c.layersOf(e), r.Input.Type.Layers()...)); err != nil {
			return err
		}
	}
	// Publish the message before writing the record: after a crash in between, an executor
	// continues from the message.
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

// judgeWake returns ErrInvalidOutput if an execution of the task can't be woken with this
// output, which must be without layers.
func (c *Client) judgeWake(task string, output codec.Payload) error {
	if err := output.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidOutput, err)
	}
	if d, known := c.definitions.Load(task); known {
		return d.(*Definition).judgeOutput(output)
	}
	return nil
}

// JudgeWake is for executors, because anybody may have sent a wake: it returns
// ErrInvalidOutput if x can't be woken with w, as far as the client can tell. It returns no
// such error for an output that it has no key for: another executor may have the key.
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

// Woken returns the event by which c wakes an execution.
func (c Closure) Woken(at time.Time) Woken {
	if c.Status == Completed {
		return Woken{At: at, Output: c.Output}
	}
	return Woken{At: at, Failure: &Failure{Kind: KindError, Message: cut(c.Message, maxMessage)}}
}
