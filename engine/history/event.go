package history

import (
	"time"

	"github.com/durable-execution/durable/engine"
)

// Kind is the kind of an event.
type Kind string

// The kinds of events.
const (
	// Setting has the [Settings] of the run. It comes first, once.
	Setting Kind = "setting"

	// Accepted, Refused and Unsure say how an enqueue ended: it returned nil, an error that
	// says that nothing was stored, or an error after which both are possible.
	Accepted Kind = "accepted"
	Refused  Kind = "refused"
	Unsure   Kind = "unsure"

	// Began and Left are the beginning and the end of an attempt's code. The code writes Began
	// before it does anything else, so that a kill loses no beginning, and Left at its end.
	Began Kind = "began"
	Left  Kind = "left"

	// CancelAsked and CancelReturned are the beginning and the end of a call of Cancel.
	CancelAsked    Kind = "cancel-asked"
	CancelReturned Kind = "cancel-returned"

	// Saw is an outcome that a process was notified of, or read.
	Saw Kind = "saw"

	// Gone says that the store had no record of a tree any more, after its retention or after a
	// deletion.
	Gone Kind = "gone"

	// Renewed says that a client is about to enqueue the id of a removed root once more. The
	// later events with this id are about the new execution, which has to run.
	Renewed Kind = "renewed"

	// Struck is a fault without a duration: a kill, or a cut connection. FaultBegan and
	// FaultEnded are the beginning and the end of a longer fault: a stopped process, a stalled
	// connection, a server that is down.
	Struck     Kind = "struck"
	FaultBegan Kind = "fault-began"
	FaultEnded Kind = "fault-ended"

	// Up and Down are the beginning and the end of a process.
	Up   Kind = "up"
	Down Kind = "down"

	// Final is a record at the end of the run. Leftover is the subject of a message that was
	// still in a stream then.
	Final    Kind = "final"
	Leftover Kind = "leftover"

	// Note is a remark for people who read the history.
	Note Kind = "note"
)

// A Place is what a fault strikes. It decides which work the fault can delay, and for how long.
type Place string

// The places.
const (
	Executor Place = "executor"
	Link     Place = "link"   // the connections of executors or clients
	Server   Place = "server" // a server, or the stream on it
)

// An Event is something that one process did or saw, or a fault that struck it. The clock of
// one machine gives all times of a history.
type Event struct {
	At      time.Time `json:"at"`
	Kind    Kind      `json:"kind"`
	Process string    `json:"process,omitempty"`

	Execution string `json:"execution,omitempty"`
	Task      string `json:"task,omitempty"`
	Attempt   int    `json:"attempt,omitempty"`
	// Run is the same in a Left and its Began, and in a CancelReturned and its CancelAsked.
	Run string `json:"run,omitempty"`

	// Status and Output are the outcome in a Saw. In an Accepted they are the outcome that the
	// execution must have if nobody cancels it; an empty status means that it is not known.
	Status engine.Status `json:"status,omitempty"`
	Output string        `json:"output,omitempty"`
	// Keep is the retention of an Accepted root. Zero means that the root is kept to the end of
	// the run, or for as long as any process needs to see its outcome.
	Keep time.Duration `json:"keep,omitempty"`
	// FinishedAt is the finish time in a Saw.
	FinishedAt time.Time `json:"finishedAt,omitzero"`

	// Place says what a fault strikes; Process is the name of the struck process or server.
	Place Place `json:"place,omitempty"`
	// Text is an error, a kind of fault, or a subject.
	Text string `json:"text,omitempty"`

	// Record is the record in a Final. Reading a log converts its payloads to JSON.
	Record   *engine.Execution `json:"record,omitempty"`
	Settings *Settings         `json:"settings,omitempty"`
}

// Settings describe a run.
type Settings struct {
	Name string `json:"name"`
	// Seed is the seed of the run's random choices.
	Seed uint64 `json:"seed"`
	// Lease is the lease of the namespace.
	Lease time.Duration `json:"lease"`
	// Skew is the largest difference between the clocks of the processes that wrote records.
	// It does not affect the times of events.
	Skew time.Duration `json:"skew,omitempty"`
	// Calm is the longest time that a message and its effects may take on this machine without
	// any fault; zero means [Slack].
	Calm time.Duration `json:"calm,omitempty"`
}

// A History is everything that the log of a run contains.
type History struct {
	Settings
	// Events are in the order of their times. The events for the fields below are left out.
	Events []Event
	// Records are the records of all executions at the end.
	Records []engine.Execution
	// Left are the subjects of the messages that were still in the streams at the end.
	Left []string
	// Ended says that the run came to its end, so that Records and Left are complete.
	Ended bool
}

// Outcome returns the event for a process that saw x finished. The caller adds the output.
func Outcome(x engine.Execution) Event {
	return Event{Kind: Saw, Execution: x.ID, Task: x.Task, Status: x.Status, FinishedAt: x.FinishedAt}
}
