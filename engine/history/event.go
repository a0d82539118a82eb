package history

import (
	"time"

	"github.com/durable-execution/durable/engine"
)

// A Kind says what an event is.
type Kind string

// The kinds of events.
const (
	// Setting is what held for the run. It comes first, once.
	Setting Kind = "setting"

	// Accepted, Refused and Unsure say how an enqueue ended: it returned nil, an
	// error that says that nothing was stored, or one that does not tell.
	Accepted Kind = "accepted"
	Refused  Kind = "refused"
	Unsure   Kind = "unsure"

	// Began and Left are the first and the last thing that the code of an attempt
	// does. They are written before and after, so that a kill loses no beginning.
	Began Kind = "began"
	Left  Kind = "left"

	// CancelAsked and CancelReturned frame a call of Cancel.
	CancelAsked    Kind = "cancel-asked"
	CancelReturned Kind = "cancel-returned"

	// Saw is an outcome that somebody was told, or read.
	Saw Kind = "saw"

	// Gone says that nothing was known any more of a root and of all below it, which a
	// retention, or a deletion, was to remove.
	Gone Kind = "gone"

	// Renewed says that the id of a root that is gone is about to be enqueued again. What
	// follows is about another execution, which has to run.
	Renewed Kind = "renewed"

	// Struck is a fault that is over at once: a kill, a cut. FaultBegan and
	// FaultEnded frame one that lasts: a stop, a stall, a server that is down.
	Struck     Kind = "struck"
	FaultBegan Kind = "fault-began"
	FaultEnded Kind = "fault-ended"

	// Up and Down are the beginning and the end of a process.
	Up   Kind = "up"
	Down Kind = "down"

	// Final is a record as it was at the end, Leftover a message that lay in a
	// stream then, by its subject.
	Final    Kind = "final"
	Leftover Kind = "leftover"

	// Note is for whoever reads the history.
	Note Kind = "note"
)

// A Place is what a fault strikes. What it can delay, and for how long, depends on that.
type Place string

// The places.
const (
	Executor Place = "executor"
	Link     Place = "link"   // the connections of executors or clients
	Server   Place = "server" // a server, or the stream on it
)

// An Event is what one process did, saw or suffered. All times of a history are of
// one machine.
type Event struct {
	At      time.Time `json:"at"`
	Kind    Kind      `json:"kind"`
	Process string    `json:"process,omitempty"`

	Execution string `json:"execution,omitempty"`
	Task      string `json:"task,omitempty"`
	Attempt   int    `json:"attempt,omitempty"`
	// Run ties a Left to its Began, and a CancelReturned to its CancelAsked.
	Run string `json:"run,omitempty"`

	// Status and Output are the outcome of a Saw, or what an Accepted execution must
	// come to if nobody cancels it: no status says that this is not known.
	Status engine.Status `json:"status,omitempty"`
	Output string        `json:"output,omitempty"`
	// Keep is how long an Accepted root is kept once it has finished; zero is until the end
	// of the run, or as long as anybody needs to see how it ended.
	Keep time.Duration `json:"keep,omitempty"`
	// FinishedAt is that of a Saw.
	FinishedAt time.Time `json:"finishedAt,omitzero"`

	// Place is what a fault strikes; Process is its name.
	Place Place `json:"place,omitempty"`
	// Text is an error, the sort of a fault, a subject.
	Text string `json:"text,omitempty"`

	// Record is that of a Final. Its payloads come back as JSON, whatever they were.
	Record   *engine.Execution `json:"record,omitempty"`
	Settings *Settings         `json:"settings,omitempty"`
}

// Settings are what held for a run.
type Settings struct {
	Name string `json:"name"`
	// Seed is what the random choices of the run were made from.
	Seed uint64 `json:"seed"`
	// Lease is the namespace's.
	Lease time.Duration `json:"lease"`
	// Skew is how far apart the clocks of the processes were that wrote records. The
	// times of events are not skewed.
	Skew time.Duration `json:"skew,omitempty"`
	// Calm is how long anything may take on the machine that nothing disturbs; zero
	// means [Slack].
	Calm time.Duration `json:"calm,omitempty"`
}

// A History is what is known of a run.
type History struct {
	Settings
	// Events in the order of their times, without those of the kinds below.
	Events []Event
	// Records are those of all executions, at the end.
	Records []engine.Execution
	// Left are the subjects of the messages that lay in the streams at the end.
	Left []string
	// Ended says that the run came to its end, so that Records and Left are whole.
	Ended bool
}

// Outcome returns what somebody saw of x, as an event. The output is left to the caller.
func Outcome(x engine.Execution) Event {
	return Event{Kind: Saw, Execution: x.ID, Task: x.Task, Status: x.Status, FinishedAt: x.FinishedAt}
}
