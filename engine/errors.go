package engine

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

var (
	// ErrNotFound is returned for an execution id that nothing is known of.
	ErrNotFound = errors.New("execution not found")
	// ErrFinished is returned by Cancel and Wake for an execution that has finished,
	// and by Retry for one that has completed.
	ErrFinished = errors.New("execution has finished")
	// ErrActive is returned by Delete for a tree in which something has not finished,
	// and by Retry.
	ErrActive = errors.New("execution has not finished")
	// ErrNotRoot is returned by Delete for an execution below a root.
	ErrNotRoot = errors.New("execution is not a root")
	// ErrNotSleeping is returned by Wake for an execution that runs code.
	ErrNotSleeping = errors.New("execution does not sleep")
	// ErrIDConflict is returned by Enqueue, and by a Handle, for an id that names
	// an execution of another task or with another input.
	ErrIDConflict = errors.New("execution id is taken")
	// ErrInvalidInput is returned by Enqueue, and kept as the failure of an
	// execution, for an input that its task's validator or schema refuses, that can't be
	// encoded, or that can't be read.
	ErrInvalidInput = errors.New("invalid input")
	// ErrInvalidOutput is returned by Wake for an output that is no value of the task's
	// output, where the client has met the definition, or no encoding of any.
	ErrInvalidOutput = errors.New("invalid output")
	// ErrInvalidOption is returned by Enqueue, and kept by Spawn, for an option
	// that can't be.
	ErrInvalidOption = errors.New("invalid option")
	// ErrTooLarge is returned by Enqueue, and kept as the failure of an execution,
	// for an input or output past the store's limit.
	ErrTooLarge = errors.New("payload too large")
	// ErrShutdown is returned by Enqueue through an executor that is shutting
	// down, and is the cause of the context of an attempt that outlived the drain.
	ErrShutdown = errors.New("executor is shutting down")
	// ErrQueueFull is returned by Enqueue when the queue takes no more.
	ErrQueueFull = errors.New("queue is full")

	// ErrTimedOut is the cause of the context of an attempt that ran into its
	// timeout. Code that returns it has its attempt end as timed_out.
	ErrTimedOut = errors.New("execution timed out")
	// ErrCancelled is the cause of the context of an attempt that was cancelled.
	// Code that returns it has its execution end as cancelled, without a retry.
	ErrCancelled = errors.New("execution cancelled")
	// ErrPollLimit is how a poll failed that was not done after as many runs as its
	// [Poll] has.
	ErrPollLimit = errors.New("poll limit reached")
)

// What a [Store] tells its callers.
var (
	// ErrConflict is returned by Update when the record is not at the revision.
	ErrConflict = errors.New("revision conflict")
	// ErrDamaged is returned for a stored record or payload that is not what it was:
	// reading it again does not help.
	ErrDamaged = errors.New("can't be read")
	// ErrNewer is returned for what a later version of this module has written in a
	// way that this one may not take part in: see [Version]. A record comes with it
	// as far as it is understood, for views.
	ErrNewer = errors.New("written by a later version")
	// ErrExists is returned by Enqueue when the id is queued or running.
	ErrExists = errors.New("execution exists")
	// ErrUnavailable is returned by every call that the store could not answer within
	// the caller's patience, which is that of its context or else the store's own, and
	// by one that a store refuses because it has no room or no leader. The error says
	// what the server said last, and wraps the cause of a context that ended. The call
	// may have had its effect; repeating it later may help.
	ErrUnavailable = errors.New("store is unavailable")
	// ErrClosed is returned at once by every call on a store that was closed, or whose
	// connection is closed for good, and then by the Run of its executors. Repeating the
	// call does not help: open the store again.
	ErrClosed = errors.New("store is closed")
)

// An ExecutionError reports an execution that did not complete.
type ExecutionError struct {
	ID     string
	Task   string
	Status Status
	// Cause says why. It is never nil.
	Cause *Failure
	// Children lists the first of the children that did not complete, where that
	// is why.
	Children []ChildFailure
}

func (e *ExecutionError) Error() string {
	return fmt.Sprintf("execution %s of task %s %s: %s", e.ID, e.Task, e.Status, e.Cause.Message)
}

func (e *ExecutionError) Unwrap() error { return e.Cause }

// Is makes errors.Is tell what a failure was by the errors of this package.
func (f *Failure) Is(target error) bool {
	switch f.Kind {
	case KindCancelled:
		return target == ErrCancelled
	case KindTimeout:
		return target == ErrTimedOut
	case KindInvalidInput:
		return target == ErrInvalidInput
	case KindPoll:
		return target == ErrPollLimit
	}
	return false
}

// A ChildError reports a child that did not complete, or that was asked for in
// a way that does not fit: no such child, or more than one.
type ChildError struct {
	Index   int // -1 if there is no such child
	ID      string
	Task    string
	Status  Status // empty if there is no such child
	Message string
}

// Unwrap makes errors.Is tell a child that was cancelled, or timed out, by the errors of this
// package.
func (e *ChildError) Unwrap() error {
	switch e.Status {
	case Cancelled:
		return ErrCancelled
	case TimedOut:
		return ErrTimedOut
	}
	return nil
}

func (e *ChildError) Error() string {
	if e.Status == "" {
		return fmt.Sprintf("child of task %s: %s", e.Task, e.Message)
	}
	return fmt.Sprintf("child %d (%s, %s) %s: %s", e.Index, e.Task, e.ID, e.Status, e.Message)
}

// Permanent marks err so that the attempt that returns it is not retried. It
// returns nil for nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type permanentError struct{ error }

func (e *permanentError) Unwrap() error { return e.error }

// RetryAfter gives err a delay of its own before the retry, in place of the
// policy's. It grants no retry beyond the policy's. It returns nil for nil; a
// negative d counts as 0.
func RetryAfter(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &retryAfterError{err, max(d, 0)}
}

type retryAfterError struct {
	error
	delay time.Duration
}

func (e *retryAfterError) Unwrap() error { return e.error }

// maxText bounds what a record keeps of an error's message or stack, in bytes.
const maxText = 8 << 10

func bounded(s string) string { return cut(s, maxText) }

// cut returns s made valid UTF-8 and, where it is longer than n bytes, cut to at most n, which
// say how much was left out. What it returns it does not cut again.
func cut(s string, n int) string {
	if len(s) <= n {
		return strings.ToValidUTF8(s, "?")
	}
	const more = 32 // for what says so
	kept := strings.ToValidUTF8(s[:max(n-more, 0)], "")
	return fmt.Sprintf("%s... (%d bytes more)", kept, len(s)-len(kept))
}
