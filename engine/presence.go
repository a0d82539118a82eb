package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/durable-execution/durable/codec"
)

// DefaultRollCall is how long a roll call waits for answers. Executors answer from memory,
// so this time is for the network.
const DefaultRollCall = 500 * time.Millisecond

// A RollCall asks all executors of a store to report their state.
type RollCall struct {
	// Schemas asks for the JSON Schemas of the tasks too.
	Schemas bool
	// For is how long to wait for answers. Zero means DefaultRollCall. NoAnswers waits for none.
	For time.Duration
	// Await ends the call once these executors have answered. If it is empty, the call lasts for
	// the whole time. Await is not sent.
	Await []string
	// Missing names executors that did not answer the previous call. The answers say since when
	// they have been missed: see [Presence.Missed].
	Missing []string
	// Missed names executors that did not answer two calls. The receivers remember since when.
	Missed []string
}

// NoAnswers as RollCall.For makes a call that only informs the executors.
const NoAnswers time.Duration = -1

// A Presence is an executor's answer to a roll call.
type Presence struct {
	// Executor is its name, the same as in records.
	Executor string
	Host     string
	PID      int
	// Program is the path and version of the main module of its program, and Version the
	// version of this module in that program. Both are empty if the build does not say.
	Program string
	Version string
	// RecordVersion is the highest version of records that it can act on: its [Version].
	RecordVersion int
	StartedAt     time.Time
	// Now is the time of its clock.
	Now time.Time
	// Lease is how long its claims last, as far as it knows: it renews at a third of it.
	Lease time.Duration
	// Queues are the queues that it serves, with their weights.
	Queues map[string]int
	Tasks  []BoundTask
	// Slots is the most attempts that it runs at once, Running how many it runs now.
	Slots, Running int
	// InHand is the number of messages that it holds. Held is the number of executions among
	// them, by queue. Held is nil in the answer of an earlier version.
	InHand int
	Held   map[string]int
	// Strays is the number of attempts that have ended although their code still runs.
	Strays int
	// Failures counts the failures of background work since the executor started, by
	// kind. Failing has the kinds that are failing now, and since when.
	Failures map[string]int
	Failing  map[string]time.Time
	// Stopping says that it claims no more executions.
	Stopping bool
	// Missed says since when callers have missed the executors in the call's Missing, by the
	// clock of this executor.
	Missed map[string]time.Time
	// Cut says that the answer did not fit into a message: the schemas are missing or, if
	// that was not enough, the tasks too.
	Cut bool
}

// NoKey is the prefix of the kinds in Failing that name a key, or a layer of payloads, which
// executions of this executor's queues need and it lacks.
const NoKey = "open payloads: no "

// Serves reports whether the executor takes executions of the queue.
func (p Presence) Serves(queue string) bool {
	_, ok := p.Queues[queue]
	return ok && !p.Stopping
}

// Binds reports whether the executor has code for the task.
func (p Presence) Binds(task string) bool {
	for _, t := range p.Tasks {
		if t.ID == task {
			return true
		}
	}
	return false
}

// A BoundTask is a task that an executor has a binding for.
type BoundTask struct {
	ID string `json:"taskId"`
	// Queue is the default queue of the task. It is empty if the executor's version does
	// not report it.
	Queue string `json:"queue,omitempty"`
	// Fingerprint is equal for two tasks if their inputs and outputs look the same on the wire.
	Fingerprint string `json:"fingerprint"`
	// Input and Output are the Go types.
	Input  string `json:"inputType"`
	Output string `json:"outputType"`
	// InputSchema and OutputSchema are JSON Schemas. They are nil if the call did not ask
	// for them, or if the types can't be described.
	InputSchema  json.RawMessage `json:"inputSchema,omitempty"`
	OutputSchema json.RawMessage `json:"outputSchema,omitempty"`
}

// Bound describes the task, with its schemas.
func (d *Definition) Bound() BoundTask {
	t := BoundTask{
		ID: d.ID, Queue: d.options.queue, Input: d.in.String(), Output: d.out.String(),
		InputSchema: schemaText(d.schema()), OutputSchema: schemaText(codec.SchemaOf(d.out)),
	}
	in, out := shape(t.InputSchema, t.Input), shape(t.OutputSchema, t.Output)
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s%s", len(in), in, out))
	t.Fingerprint = hex.EncodeToString(sum[:8])
	return t
}

func schemaText(s *codec.Schema) json.RawMessage {
	if s == nil {
		return nil
	}
	text, err := s.MarshalJSON()
	if err != nil {
		return nil
	}
	return text
}

// shape identifies a type by its schema, which describes its values on the wire, or by its name
// if there is no schema.
func shape(schema json.RawMessage, name string) string {
	if len(schema) > 0 {
		return string(schema)
	}
	return name
}

// An Answer is a presence, with the time of the call by the caller's clock and the time
// that the answer took.
type Answer struct {
	Presence
	CalledAt time.Time
	Took     time.Duration
}

// Offset returns how far the executor's clock is ahead of the caller's, and by how much that
// may be wrong: the executor answered at an unknown time during the round trip, and it reports
// its clock in whole milliseconds.
func (a Answer) Offset() (ahead, give time.Duration) {
	return a.Now.Sub(a.CalledAt.Add(a.Took / 2)), a.Took/2 + time.Millisecond
}

// rollCall and presence are the JSON forms of a [RollCall] and a [Presence]: see
// codec/WIRE.md.
type rollCall struct {
	Schemas bool     `json:"schemas,omitempty"`
	Missing []string `json:"missing,omitempty"`
	Missed  []string `json:"missed,omitempty"`
}

type presence struct {
	Executor      string           `json:"executor"`
	Host          string           `json:"host,omitempty"`
	PID           int              `json:"pid,omitempty"`
	Program       string           `json:"program,omitempty"`
	Version       string           `json:"durableVersion,omitempty"`
	RecordVersion int              `json:"recordVersion"`
	StartedAt     int64            `json:"startedAt,omitempty"`
	Now           int64            `json:"now"`
	Lease         int64            `json:"leaseMs,omitempty"`
	Queues        map[string]int   `json:"queues"`
	Tasks         []BoundTask      `json:"tasks"`
	Slots         int              `json:"slots"`
	Running       int              `json:"running"`
	InHand        int              `json:"inHand"`
	Held          map[string]int   `json:"inHandByQueue,omitzero"`
	Strays        int              `json:"strays,omitempty"`
	Failures      map[string]int   `json:"failures,omitempty"`
	Failing       map[string]int64 `json:"failing,omitempty"`
	Stopping      bool             `json:"isStopping,omitempty"`
	Missed        map[string]int64 `json:"missed,omitempty"`
	Cut           bool             `json:"isCut,omitempty"`
}

// EncodeRollCall returns c as a message.
func EncodeRollCall(c RollCall) ([]byte, error) {
	return json.Marshal(rollCall{Schemas: c.Schemas, Missing: c.Missing, Missed: c.Missed})
}

// DecodeRollCall is the reverse of [EncodeRollCall]. For unreadable data it returns the zero
// RollCall.
func DecodeRollCall(data []byte) RollCall {
	var w rollCall
	if json.Unmarshal(data, &w) != nil {
		return RollCall{}
	}
	return RollCall{Schemas: w.Schemas, Missing: w.Missing, Missed: w.Missed}
}

// EncodePresence returns p as a message of at most limit bytes: see [Presence.Cut].
func EncodePresence(p Presence, limit int) ([]byte, error) {
	data, err := json.Marshal(p.wire())
	for _, cut := range []func([]BoundTask) []BoundTask{WithoutSchemas, func([]BoundTask) []BoundTask { return nil }} {
		if err != nil || len(data) <= limit {
			break
		}
		p.Tasks, p.Cut = cut(p.Tasks), true
		data, err = json.Marshal(p.wire())
	}
	if err != nil {
		return nil, fmt.Errorf("encode presence of %s: %w", p.Executor, err)
	}
	return data, nil
}

// WithoutSchemas returns a copy of the list without schemas.
func WithoutSchemas(list []BoundTask) []BoundTask {
	bare := make([]BoundTask, len(list))
	for i, t := range list {
		t.InputSchema, t.OutputSchema = nil, nil
		bare[i] = t
	}
	return bare
}

func (p Presence) wire() presence {
	w := presence{
		Executor: p.Executor, Host: p.Host, PID: p.PID, Program: p.Program, Version: p.Version, RecordVersion: p.RecordVersion,
		StartedAt: millis(p.StartedAt), Now: millis(p.Now), Lease: p.Lease.Milliseconds(),
		Queues: p.Queues, Tasks: p.Tasks, Slots: p.Slots, Running: p.Running, InHand: p.InHand, Held: p.Held, Strays: p.Strays,
		Failures: p.Failures, Failing: times(p.Failing), Missed: times(p.Missed), Stopping: p.Stopping, Cut: p.Cut,
	}
	if w.Tasks == nil {
		w.Tasks = []BoundTask{} // JSON distinguishes an empty list from null
	}
	return w
}

// DecodePresence is the reverse of [EncodePresence]. It returns an error if data is not a presence.
func DecodePresence(data []byte) (Presence, error) {
	var w presence
	err := json.Unmarshal(data, &w)
	if err == nil && (w.Executor == "" || w.Now == 0) {
		err = fmt.Errorf("executor %q, clock %d", w.Executor, w.Now)
	}
	if err != nil {
		return Presence{}, fmt.Errorf("decode presence: %w", err)
	}
	p := Presence{
		Executor: w.Executor, Host: w.Host, PID: w.PID, Program: w.Program, Version: w.Version, RecordVersion: w.RecordVersion,
		StartedAt: instant(w.StartedAt), Now: instant(w.Now), Lease: duration(w.Lease),
		Queues: w.Queues, Tasks: w.Tasks, Slots: w.Slots, Running: w.Running, InHand: w.InHand, Held: w.Held, Strays: w.Strays,
		Failures: w.Failures, Failing: instants(w.Failing), Missed: instants(w.Missed), Stopping: w.Stopping, Cut: w.Cut,
	}
	return p, nil
}

// times and instants convert maps of times to and from milliseconds.
func times(list map[string]time.Time) map[string]int64 {
	out := map[string]int64{}
	for what, at := range list {
		out[what] = millis(at)
	}
	return out
}

func instants(list map[string]int64) map[string]time.Time {
	if len(list) == 0 {
		return nil
	}
	out := map[string]time.Time{}
	for what, at := range list {
		out[what] = instant(at)
	}
	return out
}
