package engine

import "slices"

// Status is the state that an execution is in.
type Status string

// The active statuses.
const (
	// Ready waits for its start time and for an executor.
	Ready Status = "ready"
	// Running has an attempt in progress, or sleeps.
	Running Status = "running"
	// WaitingForChildren has run its code and waits for its children.
	WaitingForChildren Status = "waiting_for_children_tasks"
	// WaitingForFinalize waits for its finalize.
	WaitingForFinalize Status = "waiting_for_finalize_task"
)

// The finished statuses. They are final: no event changes a finished execution.
const (
	Completed      Status = "completed"
	Failed         Status = "failed"
	TimedOut       Status = "timed_out"
	ChildrenFailed Status = "children_tasks_failed"
	FinalizeFailed Status = "finalize_task_failed"
	Cancelled      Status = "cancelled"
)

// Statuses lists every status, the active ones first.
func Statuses() []Status { return slices.Clone(statuses) }

var statuses = []Status{
	Ready, Running, WaitingForChildren, WaitingForFinalize,
	Completed, Failed, TimedOut, ChildrenFailed, FinalizeFailed, Cancelled,
}

// Active reports whether s is an active status.
func (s Status) Active() bool { i := slices.Index(statuses, s); return i >= 0 && i < 4 }

// Finished reports whether s is final.
func (s Status) Finished() bool { return slices.Index(statuses, s) >= 4 }

// Valid reports whether s is one of [Statuses].
func (s Status) Valid() bool { return slices.Contains(statuses, s) }
