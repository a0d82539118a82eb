package engine

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

var (
	// ErrNotFound is returned for an id if the store has no execution with this id.
	ErrNotFound = errors.New("execution not found")
	// ErrFinished is returned by Cancel and Wake for an execution that has finished,
	// and by Retry for one that has completed.
	ErrFinished = errors.New("execution has finished")
	// ErrActive is returned by Delete for a tree in which an execution has not finished, and
	// by Retry for a tree whose root has not finished.
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
	// ErrInvalidOutput is returned by Wake for an output that is not a valid encoding or, if
	// the client knows the task, not a value of the task's output type.
	ErrInvalidOutput = errors.New("invalid output")
	// ErrInvalidOption is returned by Enqueue for an option with an invalid value. An
	// option that is invalid in Spawn fails the parent with it.
	ErrInvalidOption = errors.New("invalid option")
	// ErrTooLarge is returned by Enqueue, and stored as the failure of an execution,
	// for an input or output beyond the store's limit.
	ErrTooLarge = errors.New("payload too large")
	// ErrShutdown is returned by Enqueue through an executor that is shutting down. It
	// is also the cause in the context of an attempt that exceeded the drain time.
	ErrShutdown = errors.New("executor is shutting down")
	// ErrQueueFull is returned by Enqueue when the queue has reached its limit.
	ErrQueueFull = errors.New("queue is full")

	// ErrTimedOut is the cause in the context of an attempt that exceeded its timeout.
	// An attempt whose code returns it ends as timed_out.
	ErrTimedOut = errors.New("execution timed out")
	// ErrCancelled is the cause in the context of an attempt that was cancelled. An
	// execution whose code returns it ends as cancelled, without a retry.
	ErrCancelled = errors.New("execution cancelled")
	// ErrPollLimit is the failure of a poll that was not done after the number of runs
	// that its [Poll] allows.
	ErrPollLimit = errors.New("poll limit reached")
)

// Errors of a [Store].
var (
	// ErrConflict is returned by Update if the record's revision is not the given one.
	ErrConflict = errors.New("revision conflict")
	// ErrDamaged is returned for a stored record or payload whose bytes are corrupt or
	// changed. Reading it again does not help.
	ErrDamaged = errors.New("can't be read")
	// ErrNewer is returned for a record or message that a later version of this module
	// wrote and that this version must not act on: see [Version]. A record comes with it,
	// with the fields that this version understands, so that it can be shown.
	ErrNewer = errors.New("written by a later version")
	// ErrExists is returned by the store's Enqueue if the id is queued or running.
	ErrExists = errors.New("execution exists")
	// ErrUnavailable is returned by every call that the store could not answer in time
	// (until the context ended, or else for as long as the store itself retries), and by
	// a call that the server refuses because it has no room or no leader. The error
	// contains the server's last answer, and wraps the cause of a context that ended. The
	// call may have taken effect; repeating it later may help.
	ErrUnavailable = errors.New("store is unavailable")
	// ErrClosed is returned at once by every call on a store that was closed, or whose
	// connection has closed for good. An executor's Run then returns it too. Repeating
	// the call does not help: open the store again.
	ErrClosed = errors.New("store is closed")
)

// An ExecutionError reports an execution that did not complete.
type ExecutionError struct {
	ID     string
	Task   string
	Status Status
	// Cause says why. It is never nil.
	Cause *Failure
	// Children lists the first few children that did not complete, if they are the
	// reason for the failure.
	Children []ChildFailure
}

func (e *ExecutionError) Error() string {
	return fmt.Sprintf("execution %s of task %s %s: %s", e.ID, e.Task, e.Status, e.Cause.Message)
}

func (e *ExecutionError) Unwrap() error { return e.Cause }

// Is lets errors.Is compare a failure with the errors of this package.
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

// A ChildError reports a child that did not complete. It also reports that a requested
// child does not exist, or that several match.
type ChildError struct {
	Index   int // -1 if there is no such child
	ID      string
	Task    string
	Status  Status // empty if there is no such child
	Message string
}

// Unwrap lets errors.Is recognise a child that was cancelled or timed out by the errors of
// this package.
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

// RetryAfter wraps err with a delay before the retry, which replaces the delay of the
// policy. It allows no more retries than the policy does. It returns nil if err is nil; a
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

// maxText is the most bytes of an error's message or stack that a record keeps.
const maxText = 8 << 10

func bounded(s string) string { return cut(s, maxText) }

// cut returns s as valid UTF-8 of at most n bytes. If it must cut, the end of the result
// says how much is missing. Cutting a result again, at the same n, changes nothing.
func cut(s string, n int) string {
	if len(s) <= n {
		return strings.ToValidUTF8(s, "?")
	}
	const more = 32 // room for that note
	kept := strings.ToValidUTF8(s[:max(n-more, 0)], "")
	return fmt.Sprintf("%s... (%d bytes more)", kept, len(s)-len(kept))
}
