package engine

import "context"

// A Run is what the code of a task may know of the attempt that it runs in.
type Run struct {
	ExecutionID string
	RootID      string
	ParentID    string // empty in a root
	TaskID      string
	Queue       string
	// Index is the place among the children of the same parent, from 0. It is 0 in a
	// root and in a finalize.
	Index int
	// IsFinalize says that the execution is its parent's finalize.
	IsFinalize bool
	// Metadata is the execution's; it is not to be changed.
	Metadata Metadata
	// Attempt counts from 0.
	Attempt int
	// Polls is how many runs of a poll were not done before this one.
	Polls int
	// PrevError is why the attempt before failed; nil in the first. After a crash
	// it is "execution expired".
	PrevError error
	// Stopping is closed when the executor begins to shut down. An attempt may go
	// on for the drain time; one that can end early should.
	Stopping <-chan struct{}
	// Client enqueues, awaits and cancels other executions.
	Client *Client
	// Validated says that the input was validated where it was enqueued.
	Validated bool
}

type runKey struct{}

// NewContext returns a context of an attempt. Executors make one for each
// attempt; tests of task functions may too.
func NewContext(ctx context.Context, r Run) context.Context {
	return context.WithValue(ctx, runKey{}, r)
}

// FromContext returns the attempt that ctx belongs to; the zero Run, whose
// Stopping blocks for ever, outside of one.
func FromContext(ctx context.Context) Run {
	r, _ := ctx.Value(runKey{}).(Run)
	return r
}
