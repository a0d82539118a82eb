// Package layout has every name of a namespace on the server: subjects, streams, consumers and
// the configurations of the streams. It talks to no server.
package layout

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
)

// Layout knows all names in a namespace. A whole tree is in one shard. Today there is only one
// shard, and no name contains its number.
type Layout struct {
	NS    string
	Shard int
}

// ShardOf returns the shard that the tree of id is in.
func ShardOf(string) int { return 0 }

func (l Layout) Ready() string   { return l.NS + "-ready" }
func (l Layout) Timers() string  { return l.NS + "-timers" }
func (l Layout) Control() string { return l.NS + "-control" }
func (l Layout) Bucket() string  { return l.NS + "-executions" }
func (l Layout) Records() string { return "KV_" + l.Bucket() }

func (l Layout) ReadySubject(x *engine.Execution) string {
	return strings.Join([]string{l.NS, "ready", x.Queue, x.Task, x.ID}, ".")
}

// ReadyOf matches the ready message of an execution whose task and queue are not known.
func (l Layout) ReadyOf(id string) string      { return l.NS + ".ready.*.*." + id }
func (l Layout) ReadyIn(queue string) string   { return l.NS + ".ready." + queue + ".>" }
func (l Layout) LaterSubject(id string) string { return l.NS + ".later." + id }

func (l Layout) DueSubject(x *engine.Execution) string {
	return strings.Join([]string{l.NS, "due", x.Queue, x.Task, x.ID}, ".")
}

func (l Layout) DueOf(id string) string    { return l.NS + ".due.*.*." + id }
func (l Layout) dueIn(queue string) string { return l.NS + ".due." + queue + ".>" }

// These messages start the check of a tree. The = shows that they are no executions.
func (l Layout) LookLater(root string) string     { return l.LaterSubject("=expire." + root) }
func (l Layout) LookSubject(root string) string   { return l.NS + ".due.=expire." + root }
func (l Layout) ClosureSubject(id string) string  { return l.NS + ".closure." + id }
func (l Layout) CancelSubject(id string) string   { return l.NS + ".cancel." + id }
func (l Layout) EndedSubject(id string) string    { return l.NS + ".ended." + id }
func (l Layout) QueueSubject(queue string) string { return l.NS + ".queue." + queue }
func (l Layout) RollSubject() string              { return l.NS + ".executor.roll" }
func (l Layout) RecordPrefix() string             { return "$KV." + l.Bucket() + "." }
func (l Layout) RecordSubject(id string) string   { return l.RecordPrefix() + id }
func (l Layout) NamespaceKey() string             { return "=namespace" }
func (l Layout) NamespaceSubject() string         { return l.RecordPrefix() + l.NamespaceKey() }
func (l Layout) OverdueSubject() string           { return l.RecordPrefix() + "=overdue" }
func (l Layout) SpawnsPrefix(id, n string) string { return l.RecordSubject(id) + ".=" + n }

// The key of a message that is set aside has its stream, its sequence and its time: a stream
// that is created anew counts from 1 again.
func (l Layout) AsidePrefix() string   { return l.RecordPrefix() + "=aside." }
func (l Layout) AsideSubjects() string { return l.AsidePrefix() + ">" }
func (l Layout) AsideSubject(stream string, sequence uint64, ms int64) string {
	return fmt.Sprintf("%s%s.%d-%d", l.AsidePrefix(), stream, sequence, ms)
}

// Split returns the kind of message that a subject stands for, and the rest of the subject. The
// kind is empty if the subject does not belong to the namespace.
func (l Layout) Split(subject string) (kind, rest string) {
	rest, ok := strings.CutPrefix(subject, l.NS+".")
	if !ok {
		return "", subject
	}
	kind, rest, _ = strings.Cut(rest, ".")
	return kind, rest
}

// IDIn returns the id of the execution that a message with this subject concerns, valid or not.
func (l Layout) IDIn(subject string) string {
	kind, id := l.Split(subject)
	if root, look := strings.CutPrefix(id, "=expire."); look {
		return root
	}
	if kind == "ready" || kind == "due" {
		tokens := strings.SplitN(id, ".", 3)
		id = tokens[len(tokens)-1]
	}
	return id
}

// RootToLookAt returns the root from the subject of a due check.
func (l Layout) RootToLookAt(subject string) (string, error) {
	root := strings.TrimPrefix(subject, l.LookSubject(""))
	if err := engine.ValidateID(root); err != nil || root != engine.RootOf(root) {
		return "", fmt.Errorf("subject %q: want %s", subject, l.LookSubject("<root>"))
	}
	return root, nil
}

// BlobSubject returns the subject of a payload that is kept below the root of id's tree.
func (l Layout) BlobSubject(id string, sum [sha256.Size]byte) string {
	return l.RecordSubject(engine.RootOf(id)) + ".=blob." + hex.EncodeToString(sum[:])
}

// Execution returns the queue, task and id in the subject of a ready or due message. Only a
// root's id may be followed by a path, as a token of its own.
func (l Layout) Execution(subject string) (engine.Execution, error) {
	kind, rest := l.Split(subject)
	if kind != "ready" && kind != "due" {
		return engine.Execution{}, fmt.Errorf("subject %.300q: want %s.ready.<queue>.<task>.<id>", subject, l.NS)
	}
	tokens := strings.SplitN(rest, ".", 3)
	if len(tokens) < 3 {
		return engine.Execution{}, fmt.Errorf("subject %.300q: want %s.%s.<queue>.<task>.<id>", subject, l.NS, kind)
	}
	x := engine.Execution{Queue: tokens[0], Task: tokens[1], ID: tokens[2]}
	for _, err := range []error{engine.ValidateQueue(x.Queue), engine.ValidateTask(x.Task), engine.ValidateID(x.ID)} {
		if err != nil {
			return x, fmt.Errorf("subject %.300q: %w", subject, err)
		}
	}
	return x, nil
}

// Revisions is how many revisions of a key the bucket keeps: the most that key-value clients
// accept as a history. In practice there is only one.
const Revisions = 64

// Streams returns the configurations of a namespace's streams. Each description says what the
// stream is for.
func (l Layout) Streams(replicas int, maxReady int64) []jetstream.StreamConfig {
	list := []jetstream.StreamConfig{
		{
			Name: l.Ready(), Subjects: []string{l.NS + ".ready.>"},
			Description: "durable: executions that are due",
			Retention:   jetstream.WorkQueuePolicy,
			// One message a subject; the second is refused: an id that is queued or running
			// can't be enqueued again.
			MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true,
			MaxMsgs: maxReady,
			// Neither rollup nor schedules: with them, the right to publish to one
			// subject is the right to empty the stream.
			AllowDirect: true, AllowAtomicPublish: true,
		},
		{
			Name: l.Timers(), Subjects: []string{l.NS + ".later.>", l.NS + ".due.>"},
			Description:       "durable: executions that are due later",
			Retention:         jetstream.WorkQueuePolicy,
			AllowMsgSchedules: true, AllowRollup: true, AllowMsgTTL: true,
			AllowDirect: true,
		},
		{
			Name: l.Control(), Subjects: []string{l.NS + ".closure.>", l.NS + ".cancel.>"},
			Description: "durable: closures and cancellations",
			Retention:   jetstream.WorkQueuePolicy,
			AllowDirect: true, AllowAtomicPublish: true,
		},
		{
			// A key-value bucket. It is created here because the client's own call can't set
			// all of these options.
			Name: l.Records(), Subjects: []string{l.RecordPrefix() + ">"},
			Description:       "durable: executions",
			MaxMsgsPerSubject: Revisions, Discard: jetstream.DiscardNew,
			AllowRollup: true, DenyDelete: true, AllowDirect: true, AllowMsgTTL: true, AllowAtomicPublish: true,
		},
	}
	for i := range list {
		list[i].Storage = jetstream.FileStorage
		list[i].Replicas = replicas
		if list[i].MaxMsgs == 0 {
			list[i].MaxMsgs = -1
		}
		if list[i].MaxMsgsPerSubject == 0 {
			list[i].MaxMsgsPerSubject = -1
		}
	}
	return list
}

// The consumers are durable, and all executors share them. They have no limit on messages in
// hand: the server's default of 1,000 would be a hidden brake. They have no limit on deliveries
// either: crash caps are in the record.
func (l Layout) Consumer(name, filter string, lease time.Duration) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: name, FilterSubject: filter,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: lease,
		MaxAckPending: -1, MaxDeliver: -1,
	}
}

// A Source is a consumer of one of the streams.
type Source struct {
	Stream, Consumer, Filter string
	Limited                  *atomic.Bool // stores whether the consumer has a limit; may be nil
}

// Queue returns the queue that the consumer belongs to; empty for a consumer of the namespace.
func (s Source) Queue() string {
	queue, ok := strings.CutPrefix(s.Consumer, QueueConsumer)
	if !ok {
		return ""
	}
	return queue
}

const QueueConsumer = "queue-"

// QueueSources returns the consumers of a queue. Only the first can have a limit.
func (l Layout) QueueSources(queue string) []Source {
	return []Source{
		{Stream: l.Ready(), Consumer: QueueConsumer + queue, Filter: l.ReadyIn(queue)},
		{Stream: l.Timers(), Consumer: QueueConsumer + queue, Filter: l.dueIn(queue)},
	}
}

func (l Layout) ClosureSource() Source {
	return Source{Stream: l.Control(), Consumer: "closures", Filter: l.ClosureSubject(">")}
}

func (l Layout) ExpirySource() Source {
	return Source{Stream: l.Timers(), Consumer: "expiries", Filter: l.LookSubject(">")}
}

func (l Layout) CancelSource() Source {
	return Source{Stream: l.Control(), Consumer: "cancels", Filter: l.CancelSubject(">")}
}

// Grouped returns, for each stream whose writes may be sent together, what the subjects of
// these writes begin with. Timers are not among them: a server older than 2.14.4 stores a
// schedule that comes in a batch and does not see that it is one.
func (l Layout) Grouped() [][]string {
	return [][]string{{l.NS + ".ready."}, {l.RecordPrefix()}, {l.NS + ".closure.", l.NS + ".cancel."}}
}
