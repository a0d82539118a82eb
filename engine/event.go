package engine

import (
	"time"

	"github.com/durable-execution/durable/codec"
)

// An Event is something that happened to an execution. It carries everything that the
// transition needs from outside: the time, the jitter, the holder of the lease.
type Event interface {
	// from lists the statuses in which the event can happen.
	from() []Status
	// apply changes x, which must be in one of those statuses: see happen.
	apply(x *Execution)
}

type (
	// Claimed says that an executor began an attempt.
	Claimed struct {
		At       time.Time
		Executor string
		// Message and Delivery identify the [Delivery] that the executor holds.
		Message  string
		Delivery int
	}

	// Returned says that the run function returned without error.
	Returned struct {
		At     time.Time
		Output codec.Payload
		// Children are the executions to spawn, in order.
		Children []Spawn
		// Steps are the steps of a sequence: each is spawned once the one before has
		// completed, and takes its output as input. With Steps there are no Children, no
		// Finalize and no Output.
		Steps []Spawn
		// Finalize is created once all children have finished. It may be nil.
		Finalize *Spawn
		// Gathers says that the output includes the children's outputs: see [Gathered].
		Gathers bool
	}

	// Erred says that an attempt failed.
	Erred struct {
		At      time.Time
		Failure Failure
		// Final says that no retry can help, even if the policy allows one.
		Final bool
		// RetryDelay is the time to wait before a retry, jitter included.
		RetryDelay time.Duration
	}

	// Polled says that a run of a poll returned without error and is not done.
	Polled struct {
		At time.Time
		// After is the time to wait before the next run.
		After time.Duration
	}

	// LeaseLost says that the executor of the attempt stopped renewing its lease.
	LeaseLost struct {
		At time.Time
		// CrashCap is the most crashes after which the execution still gets another attempt.
		CrashCap int
	}

	// HandedBack says that the executor gave the attempt up before it ended.
	HandedBack struct {
		At time.Time
		// Until is when another executor may claim the execution, if this executor could
		// not read the input: no code has run, so no attempt counts. Zero means that the
		// executor shut down.
		Until time.Time
	}

	// ChildrenEnded says that children finished. Each child is counted once, however
	// often its closure arrives.
	ChildrenEnded struct {
		At       time.Time
		Children []Closure
	}

	// FinalizeEnded says that the finalize finished.
	FinalizeEnded struct {
		At      time.Time
		Closure Closure
	}

	// Woken says that a program woke a sleeping execution, and with which outcome.
	Woken struct {
		At     time.Time
		Output codec.Payload
		// Failure is nil if the execution completes.
		Failure *Failure
	}

	// AttemptEnded says that an attempt of a cancelled execution has ended. The attempt had
	// begun before the cancellation, but was not recorded. The event adds the attempt to the
	// history and changes nothing else. No other event can happen to a finished execution.
	AttemptEnded struct {
		At        time.Time
		Executor  string
		StartedAt time.Time
	}

	// CancelRequested asks to cancel the execution and everything below it.
	CancelRequested struct {
		At     time.Time
		Reason string
		// ParentFinished says that the finished parent asks for it.
		ParentFinished bool
	}
)

// A Closure tells a parent that a child or the finalize has finished, or tells a sleeping
// execution that it is woken.
type Closure struct {
	Parent     string
	ID         string
	Task       string
	Index      int
	IsFinalize bool
	// IsWake says that the closure wakes Parent, a sleeping execution. No execution sent it.
	IsWake bool
	// Again says that the closure is repeated: the parent may have counted it already, but
	// not all effects may have been carried out.
	Again  bool
	Status Status
	// Message says why the execution did not complete.
	Message string
	// Output and OutputOf are the output of a completed finalize, or the output that a
	// sleeping execution is woken with. Outputs of children stay in their own records.
	Output   codec.Payload
	OutputOf string
}
