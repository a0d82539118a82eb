package engine

import (
	"time"

	"github.com/durable-execution/durable/codec"
)

// An Event is something that happened to an execution. Whatever a transition
// needs of the world outside - the time, the jitter, who holds the lease - is in it.
type Event interface {
	// from lists the statuses in which the event can happen.
	from() []Status
	// apply changes x, which is in one of them: see happen.
	apply(x *Execution)
}

type (
	// Claimed says that an executor began an attempt.
	Claimed struct {
		At       time.Time
		Executor string
		// Message and Delivery are those of the [Delivery] in hand.
		Message  string
		Delivery int
	}

	// Returned says that the run function returned without error.
	Returned struct {
		At     time.Time
		Output codec.Payload
		// Children to spawn, in order.
		Children []Spawn
		// Steps are children to spawn one after the other, each with the output of
		// the one before as its input. With them there are no Children, no Finalize
		// and no Output.
		Steps []Spawn
		// Finalize is created once the children have ended; nil without one.
		Finalize *Spawn
		// Gathers says that the output is to be gathered with the children's.
		Gathers bool
	}

	// Erred says that an attempt failed.
	Erred struct {
		At      time.Time
		Failure Failure
		// Final says that no retry can help, whatever is left of them.
		Final bool
		// RetryDelay is how long to wait before a retry, jitter included.
		RetryDelay time.Duration
	}

	// Polled says that the run function of a poll returned without error and is
	// not done.
	Polled struct {
		At time.Time
		// After is how long to wait before it runs again.
		After time.Duration
	}

	// LeaseLost says that the executor of the attempt stopped renewing its lease.
	LeaseLost struct {
		At time.Time
		// CrashCap is how many crashes an execution may have and still be tried.
		CrashCap int
	}

	// HandedBack says that the executor put the attempt down before it ended.
	HandedBack struct {
		At time.Time
		// Until is when another may claim it, where the executor could not read the
		// input: then no code has run, and no attempt was made. Zero says that the
		// executor shut down.
		Until time.Time
	}

	// ChildrenEnded says that children finished. Each is counted once, however
	// often it is told.
	ChildrenEnded struct {
		At       time.Time
		Children []Closure
	}

	// FinalizeEnded says that the finalize execution finished.
	FinalizeEnded struct {
		At      time.Time
		Closure Closure
	}

	// Woken says how a sleeping execution ends.
	Woken struct {
		At     time.Time
		Output codec.Payload
		// Failure, if it is not nil, says that it did not complete.
		Failure *Failure
	}

	// AttemptEnded says that an attempt had begun, and is over, of an execution that was
	// cancelled before its record said that it ran. It adds to the history and changes
	// nothing else: no other event can happen to what has finished.
	AttemptEnded struct {
		At        time.Time
		Executor  string
		StartedAt time.Time
	}

	// CancelRequested asks for the end of the execution and of all below it.
	CancelRequested struct {
		At     time.Time
		Reason string
		// ParentFinished says that it is the finished parent that asks.
		ParentFinished bool
	}
)

// A Closure is what a finished execution tells its parent, or whoever wakes a
// sleeping execution tells that.
type Closure struct {
	Parent     string
	ID         string
	Task       string
	Index      int
	IsFinalize bool
	// IsWake says that it wakes Parent, which sleeps. It is told by no execution.
	IsWake bool
	// Again says that the parent may have been told already, and not all that follows
	// been carried out.
	Again  bool
	Status Status
	// Message says why it did not complete.
	Message string
	// Output and OutputOf are those of a finalize that completed, or what a sleeping
	// execution is woken with. The outputs of children stay with them.
	Output   codec.Payload
	OutputOf string
}
