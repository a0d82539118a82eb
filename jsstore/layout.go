package jsstore

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
)

// layout knows all names in a namespace. A whole tree is in one shard. Today there is only one
// shard, and no name contains its number.
type layout struct {
	ns    string
	shard int
}

// shardOf returns the shard that the tree of id is in.
func shardOf(string) int { return 0 }

func (l layout) ready() string   { return l.ns + "-ready" }
func (l layout) timers() string  { return l.ns + "-timers" }
func (l layout) control() string { return l.ns + "-control" }
func (l layout) bucket() string  { return l.ns + "-executions" }
func (l layout) records() string { return "KV_" + l.bucket() }

func (l layout) readySubject(x *engine.Execution) string {
	return strings.Join([]string{l.ns, "ready", x.Queue, x.Task, x.ID}, ".")
}

// readyOf matches the ready message of an execution whose task and queue are not known.
func (l layout) readyOf(id string) string      { return l.ns + ".ready.*.*." + id }
func (l layout) readyIn(queue string) string   { return l.ns + ".ready." + queue + ".>" }
func (l layout) laterSubject(id string) string { return l.ns + ".later." + id }

func (l layout) dueSubject(x *engine.Execution) string {
	return strings.Join([]string{l.ns, "due", x.Queue, x.Task, x.ID}, ".")
}

func (l layout) dueOf(id string) string    { return l.ns + ".due.*.*." + id }
func (l layout) dueIn(queue string) string { return l.ns + ".due." + queue + ".>" }

// These messages start the check of a tree. The = shows that they are no executions.
func (l layout) lookLater(root string) string     { return l.laterSubject("=expire." + root) }
func (l layout) lookSubject(root string) string   { return l.ns + ".due.=expire." + root }
func (l layout) closureSubject(id string) string  { return l.ns + ".closure." + id }
func (l layout) cancelSubject(id string) string   { return l.ns + ".cancel." + id }
func (l layout) endedSubject(id string) string    { return l.ns + ".ended." + id }
func (l layout) queueSubject(queue string) string { return l.ns + ".queue." + queue }
func (l layout) rollSubject() string              { return l.ns + ".executor.roll" }
func (l layout) recordPrefix() string             { return "$KV." + l.bucket() + "." }
func (l layout) recordSubject(id string) string   { return l.recordPrefix() + id }
func (l layout) namespaceKey() string             { return "=namespace" }
func (l layout) namespaceSubject() string         { return l.recordPrefix() + l.namespaceKey() }
func (l layout) overdueSubject() string           { return l.recordPrefix() + "=overdue" }
func (l layout) spawnsPrefix(id, n string) string { return l.recordSubject(id) + ".=" + n }

// The key of a message that is set aside has its stream, its sequence and its time: a stream
// that is created anew counts from 1 again.
func (l layout) asidePrefix() string   { return l.recordPrefix() + "=aside." }
func (l layout) asideSubjects() string { return l.asidePrefix() + ">" }
func (l layout) asideSubject(stream string, sequence uint64, ms int64) string {
	return fmt.Sprintf("%s%s.%d-%d", l.asidePrefix(), stream, sequence, ms)
}

// split returns the kind of message that a subject stands for, and the rest of the subject. The
// kind is empty if the subject does not belong to the namespace.
func (l layout) split(subject string) (kind, rest string) {
	rest, ok := strings.CutPrefix(subject, l.ns+".")
	if !ok {
		return "", subject
	}
	kind, rest, _ = strings.Cut(rest, ".")
	return kind, rest
}

// idIn returns the id of the execution that a message with this subject concerns, valid or not.
func (l layout) idIn(subject string) string {
	kind, id := l.split(subject)
	if root, look := strings.CutPrefix(id, "=expire."); look {
		return root
	}
	if kind == "ready" || kind == "due" {
		tokens := strings.SplitN(id, ".", 3)
		id = tokens[len(tokens)-1]
	}
	return id
}

// rootToLookAt returns the root from the subject of a due check.
func (l layout) rootToLookAt(subject string) (string, error) {
	root := strings.TrimPrefix(subject, l.lookSubject(""))
	if err := engine.ValidateID(root); err != nil || root != engine.RootOf(root) {
		return "", fmt.Errorf("subject %q: want %s", subject, l.lookSubject("<root>"))
	}
	return root, nil
}

// blobSubject returns the subject of a payload that is kept below the root of id's tree.
func (l layout) blobSubject(id string, sum [sha256.Size]byte) string {
	return l.recordSubject(engine.RootOf(id)) + ".=blob." + hex.EncodeToString(sum[:])
}

// execution returns the queue, task and id in the subject of a ready or due message. Only a
// root's id may be followed by a path, as a token of its own.
func (l layout) execution(subject string) (engine.Execution, error) {
	kind, rest := l.split(subject)
	if kind != "ready" && kind != "due" {
		return engine.Execution{}, fmt.Errorf("subject %.300q: want %s.ready.<queue>.<task>.<id>", subject, l.ns)
	}
	tokens := strings.SplitN(rest, ".", 3)
	if len(tokens) < 3 {
		return engine.Execution{}, fmt.Errorf("subject %.300q: want %s.%s.<queue>.<task>.<id>", subject, l.ns, kind)
	}
	x := engine.Execution{Queue: tokens[0], Task: tokens[1], ID: tokens[2]}
	for _, err := range []error{engine.ValidateQueue(x.Queue), engine.ValidateTask(x.Task), engine.ValidateID(x.ID)} {
		if err != nil {
			return x, fmt.Errorf("subject %.300q: %w", subject, err)
		}
	}
	return x, nil
}

// streams returns the configurations of a namespace's streams. Each description says what the
// stream is for.
func (l layout) streams(c Config) []jetstream.StreamConfig {
	list := []jetstream.StreamConfig{
		{
			Name: l.ready(), Subjects: []string{l.ns + ".ready.>"},
			Description: "durable: executions that are due",
			Retention:   jetstream.WorkQueuePolicy,
			// One message a subject; the second is refused: an id that is queued or running
			// can't be enqueued again.
			MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true,
			MaxMsgs: c.MaxReady,
			// Neither rollup nor schedules: with them, the right to publish to one
			// subject is the right to empty the stream.
			AllowDirect: true, AllowAtomicPublish: true,
		},
		{
			Name: l.timers(), Subjects: []string{l.ns + ".later.>", l.ns + ".due.>"},
			Description:       "durable: executions that are due later",
			Retention:         jetstream.WorkQueuePolicy,
			AllowMsgSchedules: true, AllowRollup: true, AllowMsgTTL: true,
			AllowDirect: true,
		},
		{
			Name: l.control(), Subjects: []string{l.ns + ".closure.>", l.ns + ".cancel.>"},
			Description: "durable: closures and cancellations",
			Retention:   jetstream.WorkQueuePolicy,
			AllowDirect: true, AllowAtomicPublish: true,
		},
		{
			// A key-value bucket. It is created here because the client's own call can't set
			// all of these options.
			Name: l.records(), Subjects: []string{l.recordPrefix() + ">"},
			Description:       "durable: executions",
			MaxMsgsPerSubject: revisions, Discard: jetstream.DiscardNew,
			AllowRollup: true, DenyDelete: true, AllowDirect: true, AllowMsgTTL: true, AllowAtomicPublish: true,
		},
	}
	for i := range list {
		list[i].Storage = jetstream.FileStorage
		list[i].Replicas = c.Replicas
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
func (l layout) consumer(name, filter string, c Config) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: name, FilterSubject: filter,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: c.Lease,
		MaxAckPending: -1, MaxDeliver: -1,
	}
}

// A source is a consumer of one of the streams.
type source struct {
	stream, consumer, filter string
	limited                  *atomic.Bool // stores whether the consumer has a limit; may be nil
}

// queue returns the queue that the consumer belongs to; empty for a consumer of the namespace.
func (s source) queue() string {
	queue, ok := strings.CutPrefix(s.consumer, queueConsumer)
	if !ok {
		return ""
	}
	return queue
}

const queueConsumer = "queue-"

// queueSources returns the consumers of a queue. Only the first can have a limit.
func (l layout) queueSources(queue string) []source {
	return []source{
		{stream: l.ready(), consumer: queueConsumer + queue, filter: l.readyIn(queue)},
		{stream: l.timers(), consumer: queueConsumer + queue, filter: l.dueIn(queue)},
	}
}

func (l layout) closureSource() source {
	return source{stream: l.control(), consumer: "closures", filter: l.closureSubject(">")}
}

func (l layout) expirySource() source {
	return source{stream: l.timers(), consumer: "expiries", filter: l.lookSubject(">")}
}

func (l layout) cancelSource() source {
	return source{stream: l.control(), consumer: "cancels", filter: l.cancelSubject(">")}
}
