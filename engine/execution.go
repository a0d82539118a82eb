package engine

import (
	"math/bits"
	"time"

	"github.com/durable-execution/durable/codec"
)

// An Execution is one run of a task, however many attempts it takes. It is a value:
// [Apply] returns the next value.
type Execution struct {
	// ID identifies the execution. All ids of a tree begin with the id of the root.
	ID string
	// Parent is the id of the execution that spawned this one; empty in a root.
	Parent string
	// Index is the position among the children of the parent, from 0; 0 in a finalize.
	Index int
	// Only says that the parent waits for no other child at the same time: this child
	// has no siblings, or is a step of a sequence.
	Only bool
	// RetryOf is the root that [Client.Retry] repeated by this execution. It is empty in any
	// other execution.
	RetryOf string
	// IsFinalize says that the execution is its parent's finalize.
	IsFinalize bool

	Task   string
	Queue  string
	Policy Policy
	// Input is the input as it is stored, possibly in layers: [Client.InputOf] reads
	// it. A finalize has no Input of its own: the engine builds its input from the
	// parent's input and output and the children's outcomes.
	Input codec.Payload
	// InputFrom is the execution whose output is this one's input: in a sequence, the
	// previous step. Empty otherwise. Input may hold a copy of that output: see [SpawnChildren.Hand].
	InputFrom string
	// Validated says that the input passed the task's validator when it was enqueued.
	// Otherwise the executor validates the input first.
	Validated bool

	// Metadata has the pairs that the caller gave when it enqueued or spawned the execution.
	// It is nil if there are none.
	Metadata Metadata

	// Sleeping says that the execution runs no code and waits to be woken. Its status is
	// Running although no executor holds it.
	Sleeping bool

	Status Status
	// Closed says that a finished execution has told its parent, and that everything
	// below it has finished.
	Closed bool
	// Attempt counts the retries, from 0. A crash does not change it.
	Attempt int
	// Polls counts the runs of a poll that were not done. Each run begins with attempt 0.
	Polls int
	// Crashes counts the executors that were lost in the middle of an attempt.
	Crashes int
	// Executor runs the current attempt or, after the run function has returned, ran the
	// last one. It is empty while the execution is ready.
	Executor string
	// Message and Delivery say how the latest attempt was claimed: by which message, and
	// by which of its deliveries, counted from 1. They are set as long as another attempt may
	// follow. A holder of an earlier delivery, or of another message, has lost the attempt.
	Message  string
	Delivery int

	CreatedAt  time.Time
	StartAt    time.Time // earliest start of the next attempt
	StartedAt  time.Time // start of the latest attempt; zero before the first
	ExpiresAt  time.Time // when the running attempt times out; zero if never
	ChangedAt  time.Time // when the status or, in a sequence, the step last changed
	FinishedAt time.Time // zero while active

	// Output is the output of the run function or, once a finalize has completed, of the
	// finalize. It is as stored: [Client.Output] reads it.
	Output codec.Payload
	// Gathers says that the execution's output is Output together with the children's
	// outputs, which are read from the children's records: see [Gathered].
	Gathers bool
	// OutputOf is the execution whose output is also the output of this one: the last
	// step, or a finalize that gathers. Empty otherwise.
	OutputOf string
	// Failure is the reason of the last failed attempt while the execution is active, and
	// the reason why it did not complete once it has finished. Nil otherwise.
	Failure *Failure

	// Spawned is the number of children.
	Spawned int
	// Spawns are the children to create: all of them or, in a sequence, the current
	// step. Empty if SpawnsAt is set.
	Spawns []Spawn
	// SpawnsAt is where the store keeps a list of children that is too long for the
	// record. Only the store reads it. Empty if the list is in Spawns.
	SpawnsAt string
	// Sequence is the number of steps of a sequence; each step is a child. Zero in any
	// other execution.
	Sequence int
	// Steps are the remaining steps, without their inputs.
	Steps []Spawn
	// Ended holds the index of each child that the parent has counted as finished.
	Ended Set
	// ChildFailures are the failures that ended a fail-fast parent, as known at that
	// moment. At most maxChildFailures are kept; the failure's message has the full count.
	ChildFailures []ChildFailure
	// Finalize is the finalize to create once all children have finished. It is nil before
	// the run function has returned, and if the task has no finalize.
	Finalize *Spawn
	// ParentFinished says that the finished parent cancelled this execution, which therefore
	// does not tell its parent.
	ParentFinished bool

	// History holds the latest attempts, oldest first, at most maxHistory.
	History []Attempt

	// Unknown are the fields of the record that this program does not know: a later
	// version wrote them. They are written back unchanged.
	Unknown []byte
}

// Root returns the id of the root of the execution's tree.
func (x Execution) Root() string { return RootOf(x.ID) }

// A Spawn is an execution to create below a parent.
type Spawn struct {
	Task      string
	Queue     string
	Policy    Policy
	Input     codec.Payload
	InputFrom string // see [Execution.InputFrom]
	Validated bool
	Metadata  Metadata
	Sleeping  bool // see [Execution.Sleeping]
}

// Size estimates how many bytes s takes in a record; the estimate is rather too high. A store
// keeps a list that is too long outside the record.
func (s *Spawn) Size() int {
	const names, pair = 160, 6 // bytes of the field names, and of the overhead of a metadata pair
	n := names + len(s.Task) + len(s.Queue) + len(s.Input.Data)
	for key, value := range s.Metadata {
		n += pair + len(key) + len(value)
	}
	return n
}

// maxHistory limits the record of an execution that is retried very often.
const maxHistory = 20

// An Attempt is one entry in the history of an execution.
type Attempt struct {
	Number    int
	Executor  string
	StartedAt time.Time
	EndedAt   time.Time
	// Failure is nil if the attempt returned without error.
	Failure *Failure
}

// FailureKind classifies a failure.
type FailureKind string

// The kinds of failure.
const (
	KindError        FailureKind = "error"         // the code returned an error
	KindPanic        FailureKind = "panic"         // the code panicked
	KindTimeout      FailureKind = "timeout"       // the attempt exceeded its timeout, or the code returned ErrTimedOut
	KindCancelled    FailureKind = "cancelled"     // the execution was cancelled, or the code returned ErrCancelled
	KindExpired      FailureKind = "expired"       // the executor was lost
	KindShutdown     FailureKind = "shutdown"      // the executor shut down before the attempt ended
	KindInvalidInput FailureKind = "invalid_input" // the input was refused before the code ran
	KindOutput       FailureKind = "output"        // the output can't be encoded or is too large
	KindPoll         FailureKind = "poll"          // the poll was not done within the limit of its runs
	KindChildren     FailureKind = "children"      // children did not complete
	KindFinalize     FailureKind = "finalize"      // the finalize did not complete
)

// A Failure is the reason why an attempt or an execution did not complete.
type Failure struct {
	Kind    FailureKind
	Message string
	// Stack is the stack trace of a panic; empty otherwise.
	Stack string
}

func (f *Failure) Error() string { return f.Message }

// maxChildFailures limits the record of a parent many of whose children fail.
const maxChildFailures = 20

// A ChildFailure is a child's failure, as the parent's record keeps it.
type ChildFailure struct {
	Index   int    `json:"index"`
	ID      string `json:"executionId"`
	Task    string `json:"taskId"`
	Status  Status `json:"status"`
	Message string `json:"error,omitempty"`
}

// A Set is a set of indices, one bit each.
type Set []byte

// Has reports whether i is in the set.
func (s Set) Has(i int) bool { return i >= 0 && i/8 < len(s) && s[i/8]&(1<<(i%8)) != 0 }

// Len returns the number of members.
func (s Set) Len() int {
	n := 0
	for _, b := range s {
		n += bits.OnesCount8(b)
	}
	return n
}

// add puts i, which must not be negative, into the set in place.
func (s *Set) add(i int) {
	for i/8 >= len(*s) {
		*s = append(*s, 0)
	}
	(*s)[i/8] |= 1 << (i % 8)
}
