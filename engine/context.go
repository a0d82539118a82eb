package engine

import "context"

// A Run describes to a task's code the attempt that it runs in.
type Run struct {
	ExecutionID string
	RootID      string
	ParentID    string // empty in a root
	TaskID      string
	Queue       string
	// Index is the position among the children of the same parent, from 0. It is 0 in
	// a root and in a finalize.
	Index int
	// IsFinalize says that the execution is its parent's finalize.
	IsFinalize bool
	// Metadata is the execution's metadata. Do not change it.
	Metadata Metadata
	// Attempt is the number of retries before this attempt: 0 in the first attempt.
	Attempt int
	// Polls is the number of earlier runs of this poll that were not done.
	Polls int
	// PrevError is the error of the previous attempt, nil in the first attempt. After
	// a crash it says "execution expired".
	PrevError error
	// Stopping is closed when the executor begins to shut down. An attempt may go on
	// for the drain time; code that can stop early should do so.
	Stopping <-chan struct{}
	// Client enqueues, waits for and cancels other executions.
	Client *Client
	// Validated says that the process that enqueued the input validated it.
	Validated bool
}

type runKey struct{}

// NewContext returns a context for an attempt. Executors call it for each attempt;
// tests of task functions may call it too.
func NewContext(ctx context.Context, r Run) context.Context {
	return context.WithValue(ctx, runKey{}, r)
}

// FromContext returns the attempt that ctx belongs to. Outside of an attempt it
// returns the zero Run, whose Stopping channel blocks for ever.
func FromContext(ctx context.Context) Run {
	r, _ := ctx.Value(runKey{}).(Run)
	return r
}
