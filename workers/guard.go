package workers

import (
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/durable-execution/durable/engine"
)

// An ending returns the event that ends an attempt, given the time at which it ends.
type ending func(at time.Time) engine.Event

// settled is the ending of an attempt that is settled already.
var settled ending = func(time.Time) engine.Event { return nil }

// guard calls fn and settles the attempt by the ending that fn returns. All code of the user
// runs in fn: the code of the task, and every method of its values and errors. If fn panics or
// ends its goroutine, the attempt fails. If fn blocks, the timeout or a cancellation settles the
// attempt. After fn has returned, no code of the user runs.
func (a *attempt) guard(fn func() ending) {
	var end ending
	failure := engine.Failure{Kind: engine.KindPanic, Message: "the code ended its goroutine (runtime.Goexit)"}
	defer func() {
		a.left.open()
		if end == nil {
			end = failed(a.execution, failure)
		}
		a.settle(end)
	}()
	// A method of the value that the code panics with may end the goroutine while it makes the
	// text. So the deferred function above, which must run to its end, does not call it.
	defer func() {
		v := recover()
		if end != nil {
			return
		}
		failure.Stack = string(debug.Stack())
		if v == nil {
			return
		}
		failure.Message = fmt.Sprintf("panic: a value of type %T, whose conversion to text ends the goroutine", v)
		failure.Message = "panic: " + textOf(v)
	}()
	end = fn()
}

// textOf returns v as text, even if a method of v panics.
func textOf(v any) (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("a value of type %T, whose conversion to text panics", v)
		}
	}()
	return fmt.Sprint(v)
}

// failed returns the ending of an attempt that fails with f.
func failed(x *engine.Execution, f engine.Failure) ending {
	return func(at time.Time) engine.Event { return engine.Fail(*x, f, at, rand.Float64()) }
}

// ending returns the ending that follows from the results of the code. It calls methods of err,
// which are code of the user.
func (a *attempt) ending(ret engine.Return, err error) ending {
	if err == nil {
		return func(at time.Time) engine.Event { return ret.Event(*a.execution, at) }
	}
	v := engine.VerdictOf(err)
	return func(at time.Time) engine.Event {
		return v.Event(*a.execution, at, rand.Float64(), a.x.leaving.Load())
	}
}
