package workers

import (
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/durable-execution/durable/engine"
)

// An ending is the event that ends an attempt, once it is known when.
type ending func(at time.Time) engine.Event

// settled is the ending of an attempt that somebody has settled already.
var settled ending = func(time.Time) engine.Event { return nil }

// guard calls fn and settles the attempt by the ending that it returns. All code of the
// user's runs in it: the task's, and every method of the values and errors that it brings.
// If fn panics or ends its goroutine, the attempt fails; if it blocks, the timeout or a
// cancellation settles the attempt. What is after fn runs no code of the user's.
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
	// The text of what the code panics with is the user's code, too: it may end the
	// goroutine, so the defer above, which runs in any case, must not make it.
	defer func() {
		v := recover()
		if end != nil {
			return
		}
		failure.Stack = string(debug.Stack())
		if v == nil {
			return
		}
		failure.Message = fmt.Sprintf("panic: a value of type %T, whose text ends the goroutine", v)
		failure.Message = "panic: " + textOf(v)
	}()
	end = fn()
}

// textOf returns v as text, whatever v's methods do short of ending the goroutine.
func textOf(v any) (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("a value of type %T, whose text panics", v)
		}
	}()
	return fmt.Sprint(v)
}

// failed is the ending of an attempt that fails for what the engine has found.
func failed(x *engine.Execution, f engine.Failure) ending {
	return func(at time.Time) engine.Event { return engine.Fail(*x, f, at, rand.Float64()) }
}

// ending tells what the code's return makes of the attempt. It reads the error, which
// runs methods of the user's.
func (a *attempt) ending(ret engine.Return, err error) ending {
	if err == nil {
		return func(at time.Time) engine.Event { return ret.Event(*a.execution, at) }
	}
	v := engine.VerdictOf(err)
	return func(at time.Time) engine.Event {
		return v.Event(*a.execution, at, rand.Float64(), a.x.leaving.Load())
	}
}
