package engine

import "slices"

// Status is where an execution is in its life.
type Status string

// The active statuses.
const (
	// Ready waits for its time and for an executor.
	Ready Status = "ready"
	// Running has an attempt under way on an executor.
	Running Status = "running"
	// WaitingForChildren has run and waits for the children that it spawned.
	WaitingForChildren Status = "waiting_for_children_tasks"
	// WaitingForFinalize waits for its finalize execution.
	WaitingForFinalize Status = "waiting_for_finalize_task"
)

// The finished statuses. They are final: no event leads out of them.
const (
	Completed      Status = "completed"
	Failed         Status = "failed"
	TimedOut       Status = "timed_out"
	ChildrenFailed Status = "children_tasks_failed"
	FinalizeFailed Status = "finalize_task_failed"
	Cancelled      Status = "cancelled"
)

// Statuses lists every status in the order of a life, the active ones first.
func Statuses() []Status { return slices.Clone(statuses) }

var statuses = []Status{
	Ready, Running, WaitingForChildren, WaitingForFinalize,
	Completed, Failed, TimedOut, ChildrenFailed, FinalizeFailed, Cancelled,
}

// Active reports whether an execution in s can still move.
func (s Status) Active() bool { i := slices.Index(statuses, s); return i >= 0 && i < 4 }

// Finished reports whether s is final.
func (s Status) Finished() bool { return slices.Index(statuses, s) >= 4 }

// Valid reports whether s is one of [Statuses].
func (s Status) Valid() bool { return slices.Contains(statuses, s) }
