package engine

import (
	"fmt"
	"time"

	"github.com/durable-execution/durable/codec"
)

// Version is the latest version of the wire that this program knows. What is
// stored or sent says which version who reads it must know at least in order to
// act on it, and a program writes the least that will do: an older one of the same
// fleet carries on with all that needs nothing new, and leaves the rest, untouched,
// to those who know it.
//
// What follows for whoever adds to the wire: a field of a record that an older
// program may keep without knowing it, as it keeps every field of the map's first
// level, needs no new version; anything else does, a new status, a field within a
// field and another meaning of an old one among them.
const Version = 1

// maxSpawned is more children than a parent can have: a million of them take
// minutes and hundreds of megabytes to spawn.
const maxSpawned = 10_000_000

// record is an [Execution] as it is stored: see codec/WIRE.md and encode.go. Times are
// milliseconds since the epoch, durations are milliseconds, zero is left out.
type record struct {
	Version        int            `json:"v"` // see [Version]
	ID             string         `json:"executionId"`
	Parent         string         `json:"parentId,omitempty"`
	Index          int            `json:"index,omitempty"`
	Only           bool           `json:"only,omitempty"`
	IsFinalize     bool           `json:"isFinalize,omitempty"`
	RetryOf        string         `json:"retryOf,omitempty"`
	Task           string         `json:"taskId"`
	Queue          string         `json:"queue"`
	Policy         *policy        `json:"policy,omitempty"`
	Input          []byte         `json:"input,omitempty"`
	InputType      codec.Type     `json:"inputType,omitempty"`
	InputFrom      string         `json:"inputFrom,omitempty"`
	Validated      bool           `json:"validated,omitempty"`
	Metadata       Metadata       `json:"metadata,omitempty"`
	Sleeping       bool           `json:"sleeping,omitempty"`
	Status         Status         `json:"status"`
	Closed         bool           `json:"isClosed,omitempty"`
	Attempt        int            `json:"attempt,omitempty"`
	Polls          int            `json:"polls,omitempty"`
	Crashes        int            `json:"crashes,omitempty"`
	Executor       string         `json:"executor,omitempty"`
	Message        string         `json:"claimedBy,omitempty"`
	Delivery       int            `json:"claimedDelivery,omitempty"`
	CreatedAt      int64          `json:"createdAt,omitempty"`
	StartAt        int64          `json:"startAt,omitempty"`
	StartedAt      int64          `json:"startedAt,omitempty"`
	ExpiresAt      int64          `json:"expiresAt,omitempty"`
	ChangedAt      int64          `json:"changedAt,omitempty"`
	FinishedAt     int64          `json:"finishedAt,omitempty"`
	Output         []byte         `json:"output,omitempty"`
	OutputType     codec.Type     `json:"outputType,omitempty"`
	Gathers        bool           `json:"gathers,omitempty"`
	OutputOf       string         `json:"outputOf,omitempty"`
	Failure        *failure       `json:"error,omitempty"`
	Spawned        int            `json:"children,omitempty"`
	Spawns         []spawn        `json:"spawns,omitempty"`
	SpawnsAt       string         `json:"spawnsAt,omitempty"`
	Sequence       int            `json:"sequence,omitempty"`
	Steps          []spawn        `json:"steps,omitempty"`
	Ended          []byte         `json:"ended,omitempty"`
	ChildFailures  []ChildFailure `json:"childrenTasksErrors,omitempty"`
	Finalize       *spawn         `json:"finalize,omitempty"`
	ParentFinished bool           `json:"parentFinished,omitempty"`
	History        []attempt      `json:"history,omitempty"`
}

type policy struct {
	Timeout        int64       `json:"timeoutMs,omitempty"`
	MaxRetries     int         `json:"maxRetries,omitempty"`
	BaseDelay      int64       `json:"baseDelayMs,omitempty"`
	Multiplier     float64     `json:"delayMultiplier,omitempty"`
	MaxDelay       int64       `json:"maxDelayMs,omitempty"`
	Jitter         float64     `json:"jitter,omitempty"`
	Delay          int64       `json:"sleepMsBeforeRun,omitempty"`
	OnChildFailure ChildPolicy `json:"onChildFailure,omitempty"`
	Retention      *int64      `json:"retentionMs,omitempty"` // 0 is for ever
}

type failure struct {
	Kind    FailureKind `json:"kind"`
	Message string      `json:"message,omitempty"`
	Stack   string      `json:"stack,omitempty"`
}

type spawn struct {
	Task      string     `json:"taskId"`
	Queue     string     `json:"queue"`
	Policy    *policy    `json:"policy,omitempty"`
	Input     []byte     `json:"input,omitempty"`
	InputType codec.Type `json:"inputType,omitempty"`
	InputFrom string     `json:"inputFrom,omitempty"`
	Validated bool       `json:"validated,omitempty"`
	Metadata  Metadata   `json:"metadata,omitempty"`
	Sleeping  bool       `json:"sleeping,omitempty"`
}

type attempt struct {
	Number    int      `json:"attempt,omitempty"`
	Executor  string   `json:"executor,omitempty"`
	StartedAt int64    `json:"startedAt,omitempty"`
	EndedAt   int64    `json:"endedAt,omitempty"`
	Failure   *failure `json:"error,omitempty"`
}

// EncodeRecord returns the stored form of x.
func EncodeRecord(x Execution) ([]byte, error) { return EncodeRecordIn(nil, &x) }

// EncodeRecordIn is EncodeRecord into a buffer, from its beginning, or into another if
// it is too small: for who encodes many and keeps none.
func EncodeRecordIn(buffer []byte, x *Execution) ([]byte, error) {
	var p policy
	r := record{
		Version: leastVersion,
		ID:      x.ID, Parent: x.Parent, Index: x.Index, Only: x.Only, IsFinalize: x.IsFinalize, RetryOf: x.RetryOf,
		Task: x.Task, Queue: x.Queue, Policy: x.Policy.wire(&p),
		Input: x.Input.Data, InputType: wireType(x.Input), InputFrom: x.InputFrom, Validated: x.Validated,
		Metadata: x.Metadata, Sleeping: x.Sleeping,
		Status: x.Status, Closed: x.Closed, Attempt: x.Attempt, Polls: x.Polls, Crashes: x.Crashes,
		Executor: x.Executor, Message: x.Message, Delivery: x.Delivery,
		CreatedAt: millis(x.CreatedAt), StartAt: millis(x.StartAt), StartedAt: millis(x.StartedAt),
		ExpiresAt: millis(x.ExpiresAt), ChangedAt: millis(x.ChangedAt), FinishedAt: millis(x.FinishedAt),
		Output: x.Output.Data, OutputType: wireType(x.Output), Gathers: x.Gathers, OutputOf: x.OutputOf,
		Failure: x.Failure.wire(),
		Spawned: x.Spawned, Spawns: wireSpawns(x.Spawns), SpawnsAt: x.SpawnsAt,
		Sequence: x.Sequence, Steps: wireSpawns(x.Steps), Ended: x.Ended,
		ChildFailures: x.ChildFailures, ParentFinished: x.ParentFinished,
	}
	if x.Finalize != nil {
		r.Finalize = &wireSpawns([]Spawn{*x.Finalize})[0]
	}
	for _, a := range x.History {
		r.History = append(r.History, attempt{
			Number: a.Number, Executor: a.Executor,
			StartedAt: millis(a.StartedAt), EndedAt: millis(a.EndedAt), Failure: a.Failure.wire(),
		})
	}
	data, err := r.encode(buffer, x.Unknown)
	if err != nil {
		return nil, fmt.Errorf("encode record %s: %w", x.ID, err)
	}
	return data, nil
}

// leastVersion is that of a program that may write the record again.
const leastVersion = 1

// DecodeRecord is the reverse of [EncodeRecord]. Payloads lie in data, which must not
// change any more. The error is ErrDamaged for what is no record, and ErrNewer, with what
// is understood of it, for a record that this program may not write again.
func DecodeRecord(data []byte) (Execution, error) {
	var r record
	if r.decode(data) {
		return r.execution(nil)
	}
	var other record // which reflection has on the heap
	rest, err := codec.UnmarshalKeeping(data, &other)
	if err != nil {
		return Execution{}, fmt.Errorf("decode record: %w: %w", ErrDamaged, err)
	}
	return other.execution(rest)
}

func (r *record) execution(rest []byte) (Execution, error) {
	var err error
	switch {
	case r.Version < 1, r.ID == "", r.Spawned < 0, r.Spawned > maxSpawned, r.Version <= Version && !r.Status.Valid():
		return Execution{}, fmt.Errorf("decode record %q: %w: version %d, status %q, %d children", r.ID, ErrDamaged, r.Version, r.Status, r.Spawned)
	case r.Version > Version:
		err = fmt.Errorf("decode record %s: %w", r.ID, newer(r.Version))
	}
	x := Execution{
		ID: r.ID, Parent: r.Parent, Index: r.Index, Only: r.Only, IsFinalize: r.IsFinalize, RetryOf: r.RetryOf,
		Task: r.Task, Queue: r.Queue, Policy: r.Policy.policy(),
		Input: payload(r.Input, r.InputType), InputFrom: r.InputFrom, Validated: r.Validated,
		Metadata: r.Metadata, Sleeping: r.Sleeping,
		Status: r.Status, Closed: r.Closed, Attempt: r.Attempt, Polls: r.Polls, Crashes: r.Crashes,
		Executor: r.Executor, Message: r.Message, Delivery: r.Delivery,
		CreatedAt: instant(r.CreatedAt), StartAt: instant(r.StartAt), StartedAt: instant(r.StartedAt),
		ExpiresAt: instant(r.ExpiresAt), ChangedAt: instant(r.ChangedAt), FinishedAt: instant(r.FinishedAt),
		Output: payload(r.Output, r.OutputType), Gathers: r.Gathers, OutputOf: r.OutputOf,
		Failure: r.Failure.failure(),
		Spawned: r.Spawned, Spawns: spawns(r.Spawns), SpawnsAt: r.SpawnsAt,
		Sequence: r.Sequence, Steps: spawns(r.Steps), Ended: r.Ended,
		ChildFailures: r.ChildFailures, ParentFinished: r.ParentFinished,
		Unknown: rest,
	}
	if r.Finalize != nil {
		x.Finalize = &spawns([]spawn{*r.Finalize})[0]
	}
	for _, a := range r.History {
		x.History = append(x.History, Attempt{
			Number: a.Number, Executor: a.Executor,
			StartedAt: instant(a.StartedAt), EndedAt: instant(a.EndedAt), Failure: a.Failure.failure(),
		})
	}
	return x, err
}

// newer is what is refused that asks for version n.
func newer(n int) error {
	return fmt.Errorf("%w: version %d, this program knows up to %d", ErrNewer, n, Version)
}

// CheckVersion returns an error that wraps ErrNewer if n is a later version than
// this program knows. Zero, where nothing is said, is the first.
func CheckVersion(n int) error {
	if n > Version {
		return newer(n)
	}
	return nil
}

// EncodeSpawns returns the stored form of a list of children.
func EncodeSpawns(s []Spawn) ([]byte, error) { return codec.Marshal(wireSpawns(s)) }

// DecodeSpawns is the reverse of [EncodeSpawns].
func DecodeSpawns(data []byte) ([]Spawn, error) {
	var w []spawn
	if err := codec.Unmarshal(data, &w); err != nil {
		return nil, fmt.Errorf("decode children: %w: %w", ErrDamaged, err)
	}
	return spawns(w), nil
}

// wire returns the policy's wire form, in w, or nil for the zero policy: what is encoded
// and forgotten need not be on the heap.
func (p *Policy) wire(w *policy) *policy {
	*w = policy{
		Timeout: p.Timeout.Milliseconds(), MaxRetries: p.Retry.MaxRetries,
		BaseDelay: p.Retry.BaseDelay.Milliseconds(), Multiplier: p.Retry.Multiplier,
		MaxDelay: p.Retry.MaxDelay.Milliseconds(), Jitter: p.Retry.Jitter,
		Delay: p.Delay.Milliseconds(), OnChildFailure: p.OnChildFailure,
	}
	if p.Retention != 0 {
		w.Retention = new(int64)
		if p.Retention != Forever {
			*w.Retention = p.Retention.Milliseconds()
		}
	}
	if *w == (policy{}) {
		return nil
	}
	return w
}

func (w *policy) policy() Policy {
	if w == nil {
		return Policy{}
	}
	p := Policy{
		Timeout: duration(w.Timeout), Delay: duration(w.Delay), OnChildFailure: w.OnChildFailure,
		Retry: Retry{
			MaxRetries: w.MaxRetries, BaseDelay: duration(w.BaseDelay), Multiplier: w.Multiplier,
			MaxDelay: duration(w.MaxDelay), Jitter: w.Jitter,
		},
	}
	if w.Retention != nil {
		if p.Retention = duration(*w.Retention); p.Retention == 0 {
			p.Retention = Forever
		}
	}
	return p
}

func (f *Failure) wire() *failure {
	if f == nil {
		return nil
	}
	return &failure{Kind: f.Kind, Message: f.Message, Stack: f.Stack}
}

func (w *failure) failure() *Failure {
	if w == nil {
		return nil
	}
	return &Failure{Kind: w.Kind, Message: w.Message, Stack: w.Stack}
}

func wireSpawns(list []Spawn) []spawn {
	if len(list) == 0 {
		return nil
	}
	w, policies := make([]spawn, len(list)), make([]policy, len(list))
	for i := range list {
		s := &list[i]
		w[i] = spawn{
			Task: s.Task, Queue: s.Queue, Policy: s.Policy.wire(&policies[i]),
			Input: s.Input.Data, InputType: wireType(s.Input), InputFrom: s.InputFrom, Validated: s.Validated,
			Metadata: s.Metadata, Sleeping: s.Sleeping,
		}
	}
	return w
}

func spawns(w []spawn) []Spawn {
	if len(w) == 0 {
		return nil
	}
	list := make([]Spawn, len(w))
	for i, s := range w {
		list[i] = Spawn{
			Task: s.Task, Queue: s.Queue, Policy: s.Policy.policy(),
			Input: payload(s.Input, s.InputType), InputFrom: s.InputFrom, Validated: s.Validated,
			Metadata: s.Metadata, Sleeping: s.Sleeping,
		}
	}
	return list
}

// wireType leaves out the type that records mean where they give none. A payload
// means another by none: see [codec.JSON].
func wireType(p codec.Payload) codec.Type {
	switch {
	case p.Type == codec.MsgPack, p.IsZero():
		return ""
	case p.Type == "":
		return codec.JSON
	}
	return p.Type
}

func payload(data []byte, t codec.Type) codec.Payload {
	if len(data) == 0 {
		return codec.Payload{}
	}
	if t == "" {
		t = codec.MsgPack
	}
	return codec.Payload{Type: t, Data: data}
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func instant(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func duration(ms int64) time.Duration {
	d, _ := codec.Millis(ms)
	return d
}
