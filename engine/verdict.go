package engine

import (
	"errors"
	"time"
)

// A Verdict says how the error of an attempt affects the execution. It does not hold the
// error itself, so that using it calls no code of the user.
type Verdict struct {
	Failure Failure
	// Final says that no retry can help.
	Final bool
	// After is the delay before the retry that the error asks for, or nil.
	After *time.Duration
	// Shutdown says that the code gave up because the executor, shutting down, refused to enqueue.
	Shutdown bool
}

// VerdictOf examines the error of an attempt. It calls the error's methods, which are the
// user's code and may panic or block: call it where the code of an attempt may run.
//
// An error about another execution (from Wait, Enqueue or a child's result) does not say
// how this one ends: if a child was cancelled, its parent is not cancelled by returning the
// child's error.
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

// maxErrors is the most nested errors to examine: an error may wrap itself.
const maxErrors = 1000

func (v *Verdict) read(err error, left *int) {
	if *left--; err == nil || *left < 0 {
		return
	}
	switch e := err.(type) {
	case *ExecutionError, *ChildError, *EnqueueError, *Failure:
		return // about another execution, or another attempt
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

// Event returns the event by which the attempt of x ends. The random number, from 0 to 1,
// decides the jitter; stopping says that the executor is shutting down.
func (v Verdict) Event(x Execution, at time.Time, random float64, stopping bool) Event {
	if v.Shutdown && stopping {
		return HandedBack{At: at} // not the code's fault: another executor runs it
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

// NewErred returns the event by which an attempt of x ends if its code returned err. The
// random number, from 0 to 1, decides the jitter.
func NewErred(x Execution, err error, at time.Time, random float64) Erred {
	return VerdictOf(err).erred(x, at, random)
}

// Fail returns the event by which an attempt of x ends with a failure that the engine has
// found. The policy decides about a retry. The random number is as in [NewErred].
func Fail(x Execution, f Failure, at time.Time, random float64) Erred {
	f.Message, f.Stack = bounded(f.Message), bounded(f.Stack)
	return Verdict{Failure: f}.erred(x, at, random)
}

// A refusal is an error that the engine itself finds in the input or in the result of an
// attempt. It is final. Its kind does not depend on the error that it wraps.
type refusal struct {
	kind   FailureKind
	before bool // no code has run
	error
}

func (r *refusal) Unwrap() error { return r.error }

// refuseInput wraps an error in the input, found before the code runs. It returns nil for nil.
func refuseInput(err error) error {
	if err == nil {
		return nil
	}
	return &refusal{kind: KindInvalidInput, before: true, error: err}
}

// refuseOutput wraps an error that prevents storing the output. It returns nil for nil.
func refuseOutput(err error) error { return refuse(KindOutput, err) }

func refuse(kind FailureKind, err error) error {
	if err == nil {
		return nil
	}
	return &refusal{kind: kind, error: err}
}

// refuseSpawns wraps the error of invalid children.
func refuseSpawns(err error) error {
	switch {
	case errors.Is(err, ErrInvalidInput):
		return refuse(KindInvalidInput, err)
	case errors.Is(err, ErrTooLarge):
		return refuse(KindOutput, err)
	}
	return refuse(KindError, err)
}
