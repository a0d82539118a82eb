package engine

import (
	"context"
	"iter"
	"time"

	"github.com/durable-execution/durable/codec"
)

// A Revision is the place of a record's state in the order of its states, and
// the fencing token of whoever writes the next. Zero is that of no record.
type Revision uint64

// A Record is an execution as the store knows it.
type Record struct {
	Execution
	// Revision is zero where the execution is known by its ready message alone:
	// nothing has been recorded of it.
	Revision Revision
	// Queued names that message, as Delivery.Message does; empty where there is a record.
	Queued string
}

// A Store keeps executions and carries messages about them between the
// processes that enqueue and those that execute. The engine drives every step by
// a message, and puts the message down only once everything that it leads to is
// durable, so a store owes this and nothing more:
//
//   - what it has accepted, it keeps, whoever crashes;
//   - an Update succeeds at one revision only, and only once;
//   - a message is delivered until it is put down with [Baton.Done]: again when
//     its holder has not extended it for a lease, again when it was returned. It
//     may be delivered more often than that.
//
// A call that returns an error may have had its effect, unless the error is one
// of this package's other than ErrUnavailable; it may be repeated. A call whose context
// has ended before does nothing and returns the context's cause. Once the store is
// closed each call returns ErrClosed at once. Everything is safe for concurrent use.
// Package storetest states the contract as tests.
type Store interface {
	// Enqueue makes each execution due at its StartAt. When it returns nil, all
	// of them will run. Otherwise the error joins one *EnqueueError for each that
	// was not accepted: wrapping ErrExists if the id is queued or running under
	// the same task (a queue may forget an id that has finished: see Exclusive),
	// ErrQueueFull, ErrTooLarge, or what else went wrong.
	Enqueue(ctx context.Context, due ...Due) error

	// Get returns an execution from its record or, if it has none yet, from its
	// ready message, delayed or not: of several with the id, from the one that was
	// accepted first. It is never older than a write that has returned. The record of a
	// tree that is [Execution.Gone] counts as none, unless the message that led to it is
	// still there. The error is ErrNotFound if there is neither, ErrDamaged if what there
	// is can't be read, and ErrNewer, with what is understood of it, if a later version
	// has written it.
	Get(ctx context.Context, id string) (Record, error)

	// GetMany returns the executions with these ids in their order. It is for
	// views and for executions that have finished: an active one may be older
	// than the latest write. Any that is missing is an error that names it and
	// wraps ErrNotFound.
	GetMany(ctx context.Context, ids []string) ([]Record, error)

	// Update writes x where the record is at the given revision; zero means that
	// there is no record, or one of an earlier life of the id that is [Execution.Gone], whose
	// children go with it. It returns the new revision, or ErrConflict if the
	// record is at another one. A write that had succeeded before, with its
	// answer lost, succeeds. The record vanishes by itself at the end of x's
	// [Execution.TimeToLive], if that has one, and not before.
	Update(ctx context.Context, x Execution, at Revision) (Revision, error)

	// Spawns returns the children that x is to spawn, wherever the store keeps
	// the list: see [Execution.SpawnsAt]. The error is ErrNotFound if the tree has been
	// deleted, and ErrDamaged if the list can't be read.
	Spawns(ctx context.Context, x Execution) ([]Spawn, error)

	// Load returns a payload of the execution with the given id whole: itself or,
	// where the store keeps it elsewhere, as it was when it was stored. What Get and
	// the feeds return may have to be loaded: see [codec.Blob]. The error is
	// ErrNotFound if the payload is gone with its tree, and wraps ErrDamaged if it is
	// not what it was.
	Load(ctx context.Context, id string, p codec.Payload) (codec.Payload, error)

	// Carry carries out effects; it passes over Requeue. When it returns nil, all
	// of them are durable, but for Announce, which is a notification. After an
	// error it is called again with what [Again] makes of them.
	Carry(ctx context.Context, effects ...Effect) error

	// Delete removes a tree: the record of its root, which is at the given
	// revision, or else the error is ErrConflict; zero means that there is none. Then
	// it removes what the store keeps below. After an error it is called again.
	Delete(ctx context.Context, root string, at Revision) error

	// Cancel asks for the end of an execution: every executor hears of it by
	// Watch, and one of them finds it in its Cancels.
	Cancel(ctx context.Context, c Cancel) error

	// Claim opens the feed of executions of a queue that are due.
	Claim(ctx context.Context, queue string) (Feed[*Delivery], error)
	// Closures opens the feed of what finished executions told their parents.
	Closures(ctx context.Context) (Feed[ClosureMessage], error)
	// Cancels opens the feed of cancellations.
	Cancels(ctx context.Context) (Feed[CancelMessage], error)

	// Expiries opens the feed of trees to look at, each once it is time: see [Expire].
	Expiries(ctx context.Context) (Feed[ExpiryMessage], error)

	// Watch calls fn, one call at a time, with every notice of the topic that is
	// published after Watch has returned, until stop is called. Notices may get
	// lost; after a lost connection fn gets a Reconnected notice. The last one is a
	// Closed notice, if the store is closed before.
	Watch(ctx context.Context, topic Topic, fn func(Notice)) (stop func(), err error)

	// Present has roll calls answered by what answer returns, until stop is called;
	// nil stays silent. An executor is present from the beginning of its work to the
	// end. Answer must not take long: it is called once at a time, for each call.
	Present(ctx context.Context, answer func(RollCall) *Presence) (stop func(), err error)

	// RollCall asks who is present and returns who has answered within the time that
	// the call gives, in no order. Who does not answer may still be there.
	RollCall(ctx context.Context, call RollCall) ([]Answer, error)

	// List returns the executions that match, those known by their ready message
	// alone included, in no order, and those of a later version as far as they are
	// understood. What can't be read is passed over: Aside has it. An error ends the
	// sequence.
	List(ctx context.Context, f Filter) iter.Seq2[Record, error]

	// Aside returns what can't be read: the messages that were set aside with
	// [Baton.SetAside], in the order in which they were, and then the records.
	// What was set aside vanishes after the store's retention.
	Aside(ctx context.Context) iter.Seq2[Aside, error]

	// Limits returns what holds for this store.
	Limits() Limits
}

// Limits are a store's numbers.
type Limits struct {
	// Payload is the most bytes that an input or an output may have.
	Payload int
	// Lease is how long a delivery lasts without being extended.
	Lease time.Duration
	// Retention is how long a tree is kept whose root says nothing of it, once the
	// root has finished. [Forever], and zero, are for ever.
	Retention time.Duration
}

// A Due is an execution to enqueue.
type Due struct {
	Execution
	// Exclusive says that an execution of this id may have been enqueued before,
	// so that whoever claims it must look whether it has run. It is set for ids
	// given by callers, and where something is enqueued again.
	Exclusive bool
	// Unsettled says that who enqueues does not know the task's definition: Given is
	// what it asks for, and whoever claims the execution takes the rest from the
	// definition. The policy of the execution is then what Given makes of none.
	Unsettled bool
	Given     []Option
}

// An EnqueueError reports one execution that was not enqueued.
type EnqueueError struct {
	Index int // in the call
	ID    string
	Err   error
}

func (e *EnqueueError) Error() string { return "enqueue " + e.ID + ": " + e.Err.Error() }

func (e *EnqueueError) Unwrap() error { return e.Err }

// A Feed delivers messages, as many as were requested. The context that it was
// opened with bounds the opening only. Whoever has received a message extends it;
// one that lies in the feed unreceived for a lease may go to somebody else.
type Feed[M any] interface {
	// Request asks for n more messages. They may be requested, and arrive, at any
	// time and from any goroutine. A negative n takes so many requests back; those that
	// are on their way may arrive nevertheless, and count against later requests.
	Request(n int)
	// Messages is where they arrive. It is closed after Close.
	Messages() <-chan M
	// Fault returns what keeps the feed from delivering, and since when; nil if nothing
	// is known to. The time is zero for a store that is closed.
	Fault() (since time.Time, err error)
	// Close ends the feed. Messages that nobody has received go back at once.
	Close()
}

// A Baton is a message in hand. It is put down by exactly one of Done and
// Return; one that is neither put down nor extended comes to another holder after
// the lease.
type Baton interface {
	// Extend holds the message for another lease. It does not tell whether the
	// lease was lost before.
	Extend(ctx context.Context) error
	// Done puts the message down for good, soon after it returns. It is called when
	// everything that the message leads to is durable; a holder who has lost the
	// lease takes the message from the next one with it, and must not call it.
	Done(ctx context.Context) error
	// Return gives the message back, to be delivered to anyone at the time; a
	// time that has passed is now. For a Delivery, recorded says that there is a
	// record, which knows all that the message does: the store may send another
	// message in its place, whose deliveries count anew.
	Return(ctx context.Context, at time.Time, recorded bool) error
	// SetAside puts a message down that nobody can act upon, for the reason given,
	// and keeps it where an operator finds it: see [Store.Aside].
	SetAside(ctx context.Context, reason string) error
}

// An Aside is what lies aside: a message that leads nowhere, or a record that
// can't be read.
type Aside struct {
	// Name is what the store calls it.
	Name string
	// ID is the execution that it is about, as far as its place tells; empty if that
	// is no valid id.
	ID string
	// Place is where it lay, or lies if it is a record.
	Place string
	// Record says that it is a record and no message. It stays where it is.
	Record bool
	// Reason says why it can't be read, or what it leads to can't.
	Reason string
	// At is when it was stored, or sent.
	At time.Time
	// Size is its length in bytes, without headers.
	Size int
}

// A Delivery is an execution that is due. It is passed on by pointer, as it holds a
// whole execution, and belongs to who receives it.
type Delivery struct {
	Baton
	// Execution is as it was enqueued. Only its ID, Queue, Task and Sleeping are
	// there if Hint is set: the rest is in the record.
	Execution Execution
	Hint      bool
	// Message names the message: the same in each of its deliveries.
	Message string
	// First says that the message has not been delivered before. It may be false
	// though it is so: a server that restarts forgets its count.
	First bool
	// Fresh says that nobody can have recorded anything of the execution: it is
	// claimed without looking. It implies First.
	Fresh bool
	// Deliveries counts how often the message has been delivered, from 1, as far
	// as the server knows; after a restart it may be less than it was.
	Deliveries int
	// Until is when its lease ends unless it is extended, by the clock of this process:
	// then it is somebody else's, and what has not begun must not begin. Zero is a lease
	// from when it was received.
	Until time.Time
	// Unsettled says that the message came from somebody who does not know the
	// task's definition: Given is what it asks for, the definition has the rest.
	Unsettled bool
	Given     []Option
	// Invalid says why the message can't be understood; nil if it can. Of a hint it says
	// why it is set aside if there is no record.
	Invalid error
}

// A ClosureMessage is a closure in hand.
type ClosureMessage struct {
	Baton
	Closure Closure
	// Again says that the message may have been delivered before.
	Again bool
	// Deliveries is that of a [Delivery].
	Deliveries int
}

// A CancelMessage is a cancellation in hand.
type CancelMessage struct {
	Baton
	Cancel     Cancel
	Deliveries int
}

// An ExpiryMessage, in hand, says that it is time to look at a tree. It is a hint:
// the record of the root decides what is to be done, if there is one.
type ExpiryMessage struct {
	Baton
	Root       string
	Deliveries int
}

// A Cancel asks for the end of an execution.
type Cancel struct {
	ID     string
	At     time.Time
	Reason string
	// Parent is the finished execution that asks it of what is below; empty
	// where somebody else asks.
	Parent string
	// Born is the CreatedAt of the execution that is meant, which tells it from another
	// life of its id. Zero where whoever asks does not know it.
	Born time.Time
}

// Means reports whether c is about x, and not about another life of its id, as far as c says.
func (c Cancel) Means(x *Execution) bool {
	return c.ID == x.ID && (c.Born.IsZero() || c.Born.UnixMilli() == x.CreatedAt.UnixMilli())
}

// A Topic is what a watcher wants to hear of.
type Topic struct {
	// Outcome is the id of an execution whose end is awaited. Empty means
	// cancellations, of any execution.
	Outcome string
}

// A Notice is news of a topic. One of its fields is set.
type Notice struct {
	// Cancel has been asked for.
	Cancel *Cancel
	// Finished execution; it may lack what is too long for a notice: then
	// only the ID is set.
	Finished *Execution
	// Reconnected says that notices may have been missed.
	Reconnected bool
	// Closed is the error, wrapping ErrClosed, that every call returns from now on.
	Closed error
}
