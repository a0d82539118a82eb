package engine

import (
	"errors"
	"time"
)

// A Verdict is what an error says of the attempt that returned it, read once: it holds no
// error, so that no method of the user's runs when it is used.
type Verdict struct {
	Failure Failure
	// Final says that no retry can help.
	Final bool
	// After is the delay that the error asks for before the retry; nil without one.
	After *time.Duration
	// Shutdown says that the code gave up because its executor refused to enqueue.
	Shutdown bool
}

// VerdictOf reads an error that the code of an attempt has returned. It calls the error's
// methods, which are the user's code and may do anything: call it where that may happen.
//
// What code returns is its own error. That another execution failed, was cancelled or was
// refused, which the code has learnt by Wait, Enqueue or a child's result, says nothing of
// how this one ends.
func VerdictOf(err error) Verdict {
	if own, ok := err.(*refusal); ok {
		return Verdict{Failure: Failure{Kind: own.kind, Message: bounded(own.Error())}, Final: true}
	}
	v := Verdict{Failure: Failure{Kind: KindError}}
	left := maxErrors
	v.read(err, &left)
	v.Failure.Message = bounded(err.Error())
	return v
}

// maxErrors is how many errors are looked at within one: an error may wrap itself.
const maxErrors = 1000

func (v *Verdict) read(err error, left *int) {
	if *left--; err == nil || *left < 0 {
		return
	}
	switch e := err.(type) {
	case *ExecutionError, *ChildError, *EnqueueError, *Failure:
		return // of another execution, or of another attempt
	case *permanentError:
		v.Final = true
	case *retryAfterError:
		if v.After == nil {
			v.After = &e.delay
		}
	}
	is := func(target error) bool {
		e, ok := err.(interface{ Is(error) bool })
		return err == target || ok && e.Is(target)
	}
	switch {
	case is(ErrTimedOut):
		v.Failure.Kind = KindTimeout
	case is(ErrCancelled) && v.Failure.Kind == KindError:
		v.Failure.Kind = KindCancelled
	case is(ErrShutdown):
		v.Shutdown = true
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		v.read(e.Unwrap(), left)
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			v.read(inner, left)
		}
	}
}

// Event returns the event that the verdict makes of the attempt of x. The random number,
// from 0 to 1, decides the jitter; stopping says that the executor shuts down.
func (v Verdict) Event(x Execution, at time.Time, random float64, stopping bool) Event {
	if v.Shutdown && stopping {
		return HandedBack{At: at} // it is not its fault: another executor tries it
	}
	return v.erred(x, at, random)
}

func (v Verdict) erred(x Execution, at time.Time, random float64) Erred {
	e := Erred{At: at, Failure: v.Failure, Final: v.Final, RetryDelay: x.Policy.Retry.Delay(x.Attempt+1, random)}
	if v.After != nil {
		e.RetryDelay = *v.After
	}
	return e
}

// NewErred returns the event that err makes of the attempt of x that returned it. The
// random number, from 0 to 1, decides the jitter.
func NewErred(x Execution, err error, at time.Time, random float64) Erred {
	return VerdictOf(err).erred(x, at, random)
}

// Fail returns the event that a failure which the engine has found makes of the attempt of
// x; the policy decides about a retry. The random number is that of [NewErred].
func Fail(x Execution, f Failure, at time.Time, random float64) Erred {
	f.Message, f.Stack = bounded(f.Message), bounded(f.Stack)
	return Verdict{Failure: f}.erred(x, at, random)
}

// A refusal is what the engine itself finds wrong with what an attempt is given or leaves
// to do. It is final, and its kind does not go by what it wraps.
type refusal struct {
	kind FailureKind
	error
}

func (r *refusal) Unwrap() error { return r.error }

// refuseInput refuses an input that the task's code is not given; nil for nil.
func refuseInput(err error) error { return refuse(KindInvalidInput, err) }

// refuseOutput refuses what can't be stored of what the code returned; nil for nil.
func refuseOutput(err error) error { return refuse(KindOutput, err) }

func refuse(kind FailureKind, err error) error {
	if err == nil {
		return nil
	}
	return &refusal{kind, err}
}

// refuseSpawns refuses the children that were spawned with err.
func refuseSpawns(err error) error {
	switch {
	case errors.Is(err, ErrInvalidInput):
		return refuse(KindInvalidInput, err)
	case errors.Is(err, ErrTooLarge):
		return refuse(KindOutput, err)
	}
	return refuse(KindError, err)
}
