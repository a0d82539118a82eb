package engine

import (
	"math/bits"
	"time"

	"github.com/durable-execution/durable/codec"
)

// An Execution is one run of a task, however many attempts it takes. It is a
// value: [Apply] makes the next one of it.
type Execution struct {
	// ID names it. The ids of a tree begin with that of its root.
	ID string
	// Parent is the id of the execution that spawned it; empty in a root.
	Parent string
	// Index is its place among its siblings, from 0. A finalize has none.
	Index int
	// Only says of a child that its parent waits for no other at the same time: it has
	// no siblings, or is a step of a sequence.
	Only bool
	// RetryOf is the root of the tree that this one, a root, was started again for:
	// see [Client.Retry]. Empty otherwise.
	RetryOf string
	// IsFinalize marks the execution that ends its parent's life.
	IsFinalize bool

	Task   string
	Queue  string
	Policy Policy
	// Input is what it was enqueued with, as it is stored: it may be in layers, and
	// [Client.InputOf] takes it out of them. A finalize has none of its own: it is
	// given its parent's input and output and what became of the children.
	Input codec.Payload
	// InputFrom is the execution whose output is the input: in a sequence the step
	// before. Empty otherwise. Input may hold that output too: see [SpawnChildren.Hand].
	InputFrom string
	// Validated says that the input passed the task's validator when it was
	// enqueued. Executors validate the input of any other first.
	Validated bool

	// Metadata is what it was enqueued with, or spawned; nil if that is nothing.
	Metadata Metadata

	// Sleeping says that no code is run: it waits to be woken, running as far as its
	// status goes, in nobody's hands.
	Sleeping bool

	Status Status
	// Closed says that a finished execution has told its parent and cancelled
	// what was below.
	Closed bool
	// Attempt counts from 0. It grows with a retry and stays with a crash.
	Attempt int
	// Polls counts the runs of a poll that were not done. Each begins with attempt 0.
	Polls int
	// Crashes counts executors lost in the middle of an attempt.
	Crashes int
	// Executor runs the attempt or, once its run function returned, ran the last
	// one. It is empty while the execution is ready.
	Executor string
	// Message and Delivery are what the latest attempt was claimed by, as long as
	// there may be another: which message, and how often that had been delivered.
	// Who holds an earlier delivery of it has lost it, and a message that is not
	// this one does not keep the attempt.
	Message  string
	Delivery int

	CreatedAt  time.Time
	StartAt    time.Time // earliest start of the next attempt
	StartedAt  time.Time // start of the latest attempt; zero before the first
	ExpiresAt  time.Time // when the running attempt times out; zero if never
	ChangedAt  time.Time // when it came into its status or, in a sequence, to its step
	FinishedAt time.Time // zero while active

	// Output is what the run function returned and, once a finalize completed,
	// what that returned, as it is stored: [Client.Output] is for reading it.
	Output codec.Payload
	// Gathers says that the output that others see is Output together with the
	// outputs of the children, which are read from them: see [Gathered].
	Gathers bool
	// OutputOf is the execution whose gathered output is also that of this one:
	// its finalize. Empty otherwise.
	OutputOf string
	// Failure is why the last failed attempt failed, while active, and why the
	// execution did not complete, once finished. Nil otherwise.
	Failure *Failure

	// Spawned is the number of children.
	Spawned int
	// Spawns are the last children to create: all of them or, in a sequence, the
	// step that it is at. Empty where SpawnsAt has them.
	Spawns []Spawn
	// SpawnsAt is where the store keeps a list of children that is too long for
	// the record; empty if it is in Spawns. Only the store reads it.
	SpawnsAt string
	// Sequence is the number of steps of a sequence: its children, of which one
	// is spawned when the one before has completed. Zero in any other execution.
	Sequence int
	// Steps are the steps to come, without their inputs.
	Steps []Spawn
	// Ended holds the index of each child that has finished, as the parent knows it.
	Ended Set
	// ChildFailures are the children's failures that ended a fail-fast parent,
	// fixed at that moment. Past maxChildFailures only the count in the failure's
	// message grows.
	ChildFailures []ChildFailure
	// Finalize is the finalize execution to create once the children have ended.
	// Nil before the run function returned, and without one.
	Finalize *Spawn
	// ParentFinished says that its finished parent cancelled it: there is nobody to tell.
	ParentFinished bool

	// History holds the latest attempts, oldest first, maxHistory at most.
	History []Attempt

	// Unknown are the fields of its record that this program does not know, as they
	// were stored: a later version has written them, and they are written again as
	// they are.
	Unknown []byte
}

// Root returns the id of the root of its tree.
func (x Execution) Root() string { return RootOf(x.ID) }

// A Spawn is an execution that is to be created below another.
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

// Size returns about how many bytes s has in a record, more rather than fewer: a store
// keeps long lists beside the record, and who remembers records remembers no others.
func (s *Spawn) Size() int {
	const names, pair = 160, 6 // of the fields, and what a pair of the metadata adds
	n := names + len(s.Task) + len(s.Queue) + len(s.Input.Data)
	for key, value := range s.Metadata {
		n += pair + len(key) + len(value)
	}
	return n
}

// maxHistory bounds the record of an execution that is tried again and again.
const maxHistory = 20

// An Attempt is one try of an execution, as its history tells.
type Attempt struct {
	Number    int
	Executor  string
	StartedAt time.Time
	EndedAt   time.Time
	// Failure is nil in an attempt that returned without error.
	Failure *Failure
}

// FailureKind says what sort of thing went wrong.
type FailureKind string

// The kinds of failure.
const (
	KindError        FailureKind = "error"         // the code returned an error
	KindPanic        FailureKind = "panic"         // the code panicked
	KindTimeout      FailureKind = "timeout"       // the attempt ran into its timeout, or said so
	KindCancelled    FailureKind = "cancelled"     // somebody cancelled it, or the code said so
	KindExpired      FailureKind = "expired"       // the executor was lost
	KindShutdown     FailureKind = "shutdown"      // the executor shut down before the attempt ended
	KindInvalidInput FailureKind = "invalid_input" // the input was refused before user code
	KindOutput       FailureKind = "output"        // the output can't be encoded or is too large
	KindPoll         FailureKind = "poll"          // a poll was not done after as many runs as it may have
	KindChildren     FailureKind = "children"      // children did not complete
	KindFinalize     FailureKind = "finalize"      // the finalize did not complete
)

// A Failure is why an attempt, or an execution, did not complete.
type Failure struct {
	Kind    FailureKind
	Message string
	// Stack is that of a panic.
	Stack string
}

func (f *Failure) Error() string { return f.Message }

// maxChildFailures bounds the record of a parent whose children fail together.
const maxChildFailures = 20

// A ChildFailure is how a child did not complete, as its parent keeps it.
type ChildFailure struct {
	Index   int    `json:"index"`
	ID      string `json:"executionId"`
	Task    string `json:"taskId"`
	Status  Status `json:"status"`
	Message string `json:"error,omitempty"`
}

// A Set is a set of indices, a bit each.
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

// add puts i, which is not negative, into the set in place.
func (s *Set) add(i int) {
	for i/8 >= len(*s) {
		*s = append(*s, 0)
	}
	(*s)[i/8] |= 1 << (i % 8)
}
