package engine

import (
	"context"
	"iter"
	"time"

	"github.com/durable-execution/durable/codec"
)

// A Revision numbers the states of a record, in order. It is the fencing token of the next
// write. Zero means that there is no record.
type Revision uint64

// A Record is an execution as the store keeps it.
type Record struct {
	Execution
	// Revision is zero if only the ready message of the execution exists: nobody has
	// written a record yet.
	Revision Revision
	// Queued is the name of that message, as in Delivery.Message; empty if there is a record.
	Queued string
}

// A Store keeps executions and carries messages about them between the processes that
// enqueue and the processes that execute. The engine drives every step by a message, and
// acknowledges the message only once everything that it leads to is durable. So a store
// guarantees the following, and nothing more:
//
//   - it keeps everything that it has accepted, even if processes crash;
//   - an Update succeeds at one revision only, and only once;
//   - it redelivers a message until [Baton.Done] acknowledges it: when the holder has not
//     extended it for a lease, and when the holder has returned it. It may deliver a message
//     more often than that.
//
// A call that returns an error may have taken effect, unless the error is one of this
// package other than ErrUnavailable; the caller may repeat it. A call whose context has
// already ended does nothing and returns the context's cause. After the store is closed,
// each call returns ErrClosed at once. All methods are safe for concurrent use.
// Package storetest has the contract as tests.
type Store interface {
	RecordStore
	QueueStore
	ControlStore
	FleetStore
	OverflowStore

	// Limits returns the limits of this store.
	Limits() Limits
}

// A RecordStore keeps the records of executions.
type RecordStore interface {
	// Get returns an execution from its record. If there is no record yet, it uses the ready
	// message, even a delayed one. If several messages have the id, it uses the one that the
	// store accepted first. The result includes every write that has returned. The record of a
	// tree that is [Execution.Gone] counts as missing, unless the message of its last attempt
	// still exists. The error is ErrNotFound if there is no record and no message, ErrDamaged
	// if the bytes can't be read, and ErrNewer, together with the readable fields, if a later
	// version has written the record.
	Get(ctx context.Context, id string) (Record, error)

	// GetMany returns the executions with these ids, in the same order. It is meant for
	// user interfaces and for finished executions: the state of an active execution may
	// be older than its latest write. For a missing execution the error names the id
	// and wraps ErrNotFound.
	GetMany(ctx context.Context, ids []string) ([]Record, error)

	// Update writes x if the record is at the given revision. Zero means that there must be
	// no record, or only one of an earlier execution with this id that is [Execution.Gone];
	// its children are then removed with it. Update returns the new revision, or ErrConflict
	// if the record is at another revision. If the answer of a successful write was lost,
	// repeating the write succeeds. The store removes the record after x's
	// [Execution.TimeToLive], if x has one, and not earlier.
	Update(ctx context.Context, x Execution, at Revision) (Revision, error)

	// Delete removes a tree: first the record of its root, then everything that the store
	// keeps below. If the record is not at the given revision, the error is ErrConflict;
	// zero means that there is no record. After an error the caller repeats the call.
	Delete(ctx context.Context, root string, at Revision) error

	// List returns the matching executions in no particular order. It includes executions
	// that have only a ready message, and the readable fields of records that a later
	// version wrote. It skips records and messages that can't be read (see Aside). An error
	// ends the sequence.
	List(ctx context.Context, f Filter) iter.Seq2[Record, error]
}

// A QueueStore accepts executions, delivers those that are due, and keeps the messages that no
// executor can process.
type QueueStore interface {
	// Enqueue makes each execution due at its StartAt. If it returns nil, all of them
	// will run. Otherwise the error joins one *EnqueueError for each refused execution. It
	// wraps ErrExists if the id is queued or running under the same task (a queue may
	// forget an id that has finished: see Exclusive), ErrQueueFull, ErrTooLarge, or
	// another cause.
	Enqueue(ctx context.Context, due ...Due) error

	// Claim opens the feed of due executions of a queue.
	Claim(ctx context.Context, queue string) (Feed[*Delivery], error)

	// Expiries opens the feed of trees whose retention may be over: see [Expire].
	Expiries(ctx context.Context) (Feed[ExpiryMessage], error)

	// Aside returns the dead letters: first the messages that [Baton.SetAside] has moved
	// aside, in that order, then the records that can't be read. The store removes messages
	// set aside after its retention.
	Aside(ctx context.Context) iter.Seq2[Aside, error]
}

// A ControlStore carries out effects, delivers closures and cancellations, and notifies waiters.
type ControlStore interface {
	// Carry carries out effects, except Requeue, which it skips. If it returns nil, all
	// effects are durable; Announce is only a notice. After an error the caller repeats
	// the effects, marked by [Again].
	Carry(ctx context.Context, effects ...Effect) error

	// Closures opens the feed of closures, by which finished executions tell their parents.
	Closures(ctx context.Context) (Feed[ClosureMessage], error)

	// Cancel asks to cancel an execution: every executor hears of it through Watch, and
	// one executor receives it from its feed of Cancels.
	Cancel(ctx context.Context, c Cancel) error

	// Cancels opens the feed of cancellations.
	Cancels(ctx context.Context) (Feed[CancelMessage], error)

	// Watch calls fn with every notice of the topic that is published after Watch has
	// returned, one call at a time, until stop is called. Notices may get lost; after a
	// lost connection fn gets a Reconnected notice. If the store is closed before stop,
	// the last notice is Closed.
	Watch(ctx context.Context, topic Topic, fn func(Notice)) (stop func(), err error)
}

// A FleetStore lets executors present themselves, and asks which are present.
type FleetStore interface {
	// Present answers roll calls with the result of answer, until stop is called; it does
	// not answer if the result is nil. An executor is present from the beginning to the end
	// of its work. Present calls answer once at a time, for each roll call, so answer must
	// be quick.
	Present(ctx context.Context, answer func(RollCall) *Presence) (stop func(), err error)

	// RollCall asks which executors are present, and returns the answers that arrive
	// within the call's time, in no particular order. A missing answer does not prove that
	// an executor is gone.
	RollCall(ctx context.Context, call RollCall) ([]Answer, error)
}

// A OverflowStore returns the parts of executions that the store keeps outside of their records.
type OverflowStore interface {
	// Spawns returns the children that x has to spawn, wherever the store keeps the list:
	// see [Execution.SpawnsAt]. The error is ErrNotFound if the tree has been deleted,
	// and ErrDamaged if the list can't be read.
	Spawns(ctx context.Context, x Execution) ([]Spawn, error)

	// Load returns a complete payload of the execution with the given id: p itself or,
	// if the store keeps the payload elsewhere (see [codec.Blob]), the payload as it was
	// stored. Payloads from Get and from the feeds may need Load. The error is ErrNotFound
	// if the payload was removed with its tree, and wraps ErrDamaged if its bytes have
	// changed.
	Load(ctx context.Context, id string, p codec.Payload) (codec.Payload, error)
}

// Limits are the limits of a store.
type Limits struct {
	// Payload is the most bytes that an input or an output may have.
	Payload int
	// Lease is how long a delivery lasts unless it is extended.
	Lease time.Duration
	// Retention is how long a tree is kept after its root has finished, if the root's policy
	// sets no retention. [Forever] and zero keep it for ever.
	Retention time.Duration
}

// A Due is an execution to enqueue.
type Due struct {
	Execution
	// Exclusive says that an execution with this id may have been enqueued before, so that
	// the executor that claims it must check whether it has already run. It is set for
	// ids that callers choose, and for an execution that is enqueued again.
	Exclusive bool
	// Unsettled says that the enqueuing process lacks the task's definition. Given holds
	// the options that it asked for; the executor that claims the execution takes the rest
	// from the definition. Until then the policy is Given applied to the zero Policy.
	Unsettled bool
	Given     []Option
}

// An EnqueueError reports one execution that was not enqueued.
type EnqueueError struct {
	Index int // position among the arguments of Enqueue
	ID    string
	Err   error
}

func (e *EnqueueError) Error() string { return "enqueue " + e.ID + ": " + e.Err.Error() }

func (e *EnqueueError) Unwrap() error { return e.Err }

// A Feed delivers as many messages as were requested. The context with which it was
// opened applies to the opening only. The receiver of a message must extend it. A message
// that stays in the feed unreceived for a lease may go to another process.
type Feed[M any] interface {
	// Request asks for n more messages. It may be called at any time and from any
	// goroutine. A negative n withdraws requests; messages already on their way may still
	// arrive, and then count against later requests.
	Request(n int)
	// Messages returns the channel on which the messages arrive. Close closes it.
	Messages() <-chan M
	// Fault returns what prevents the feed from delivering, and since when, or nil. The
	// time is zero if the store is closed.
	Fault() (since time.Time, err error)
	// Close ends the feed. It returns unreceived messages to the queue at once.
	Close()
}

// A Baton is a message that this process holds. The holder ends that with exactly one of
// Done, Return and SetAside. If the holder calls none of them, and does not call Extend, the
// store redelivers the message after the lease.
type Baton interface {
	// Extend renews the lease. It does not report whether the lease was lost before.
	Extend(ctx context.Context) error
	// Done acknowledges the message, soon after it returns. Call it once everything that
	// the message leads to is durable, and only while holding the lease: a late Done would
	// acknowledge the next holder's delivery.
	Done(ctx context.Context) error
	// Return hands the message back, to be redelivered to any process at the given time; a
	// time in the past means now. For a Delivery, recorded says that the record contains
	// everything that the message does: the store may then replace the message by
	// another, whose deliveries count from 1.
	Return(ctx context.Context, at time.Time, recorded bool) error
	// SetAside acknowledges a message that no process can act on, and keeps it with the
	// reason as a dead letter for an operator: see [Store.Aside].
	SetAside(ctx context.Context, reason string) error
}

// An Aside is a dead letter: a message that was set aside, or a record that can't be
// read.
type Aside struct {
	// Name identifies it in the store.
	Name string
	// ID is the execution that it belongs to, according to its subject or key; empty if
	// that contains no valid id.
	ID string
	// Place is the subject that the message was published to, or the key of the record.
	Place string
	// Record says that it is a record, not a message. A record stays where it is.
	Record bool
	// Reason says why no process could act on it.
	Reason string
	// At is when the record was written, or the message sent.
	At time.Time
	// Size is its length in bytes, without headers.
	Size int
}

// A Delivery is one delivery of the message of a due execution. It is passed by pointer,
// because it holds a whole execution, and belongs to its receiver.
type Delivery struct {
	Baton
	// Execution is the execution as it was enqueued. If Hint is set, only its ID, Queue,
	// Task and Sleeping are set: the record has the rest.
	Execution Execution
	Hint      bool
	// Message is the name of the message, the same in each of its deliveries.
	Message string
	// First says that the message has not been delivered before. It may be false for a
	// first delivery, because a server that restarts forgets its count.
	First bool
	// Fresh says that no record of the execution can exist, so that the executor may claim
	// it without reading. It implies First.
	Fresh bool
	// Deliveries counts the deliveries of the message from 1, as far as the server knows:
	// after a server's restart it may be too low.
	Deliveries int
	// Until is the end of the lease unless it is extended, by the clock of this process.
	// After that the message may belong to another process, and an attempt must not begin.
	// Zero means one lease after the message was received.
	Until time.Time
	// Unsettled says that the enqueuing process lacked the task's definition: Given holds
	// the options that it asked for, and the definition has the rest.
	Unsettled bool
	Given     []Option
	// Invalid says why the message can't be understood; nil if it can. For a hint, it is the
	// reason to set the message aside if there is no record.
	Invalid error
}

// A ClosureMessage is a closure that this process holds.
type ClosureMessage struct {
	Baton
	Closure Closure
	// Again says that the message may have been delivered before.
	Again bool
	// Deliveries is as in [Delivery].
	Deliveries int
}

// A CancelMessage is a cancellation that this process holds.
type CancelMessage struct {
	Baton
	Cancel     Cancel
	Deliveries int
}

// An ExpiryMessage says that the retention of a tree may be over. It is a hint: the record of
// the root, if it exists, decides what to do.
type ExpiryMessage struct {
	Baton
	Root       string
	Deliveries int
}

// A Cancel asks to cancel an execution.
type Cancel struct {
	ID     string
	At     time.Time
	Reason string
	// Parent is the finished parent that cancels the executions below it; empty if a caller
	// cancels.
	Parent string
	// Born is the CreatedAt of the execution to cancel. It distinguishes that execution
	// from another one that had the same id. Zero if the sender does not know it.
	Born time.Time
}

// Means reports whether c is about x, and not about another execution that had the same id.
func (c Cancel) Means(x *Execution) bool {
	return c.ID == x.ID && (c.Born.IsZero() || c.Born.UnixMilli() == x.CreatedAt.UnixMilli())
}

// A Topic selects the notices of a watcher.
type Topic struct {
	// Outcome is the id of an execution to wait for. Empty selects the cancellations of
	// all executions.
	Outcome string
}

// A Notice is news about a topic. Exactly one of its fields is set.
type Notice struct {
	// Cancel is a cancellation that was asked for.
	Cancel *Cancel
	// Finished is an execution that has finished. Only its ID is set if the rest is too
	// long for a notice.
	Finished *Execution
	// Reconnected says that notices may have been lost.
	Reconnected bool
	// Closed is the error, wrapping ErrClosed, that every call returns from now on.
	Closed error
}
