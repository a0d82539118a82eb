package engine

import (
	"fmt"
	"time"

	"github.com/durable-execution/durable/codec"
)

// Version is the latest version of the wire format that this program knows. Each record and
// message names the lowest version that a reader must know before it may act on it, and a
// writer names the lowest version that suffices. So an older program of the same fleet keeps
// working on records and messages that use no new feature, and leaves the others to newer
// programs.
//
// A change of the wire format needs a new version, with one exception: a new field at the
// first level of a record that an older program may keep without knowing it, because every
// program keeps unknown fields of that level. A new status, a field within a field, or a new
// meaning of an old field needs a new version.
const Version = 1

// leastVersion is the lowest version whose programs may rewrite a record.
const leastVersion = 1

// maxSpawned is more children than any parent can have: a million children already take
// minutes and hundreds of megabytes to spawn.
const maxSpawned = 10_000_000

// record lists the fields of a record: see codec/WIRE.md. Times are milliseconds since the
// epoch, durations are milliseconds, and a zero is left out.
func (x *Execution) record(f *fields) (version int) {
	if f.writes {
		version = leastVersion
	}
	f.anyInt("v", &version)
	f.anyString("executionId", &x.ID)
	x.place(f)
	f.anyString("taskId", &x.Task)
	f.anyString("queue", &x.Queue)
	x.work(f)
	f.status(&x.Status)
	f.bool("isClosed", &x.Closed)
	f.int("attempt", &x.Attempt)
	f.int("polls", &x.Polls)
	f.int("crashes", &x.Crashes)
	f.string("executor", &x.Executor)
	f.string("claimedBy", &x.Message)
	f.int("claimedDelivery", &x.Delivery)
	f.moment("createdAt", &x.CreatedAt)
	f.moment("startAt", &x.StartAt)
	f.moment("startedAt", &x.StartedAt)
	f.moment("expiresAt", &x.ExpiresAt)
	f.moment("changedAt", &x.ChangedAt)
	f.moment("finishedAt", &x.FinishedAt)
	f.payload("output", "outputType", &x.Output)
	f.bool("gathers", &x.Gathers)
	f.string("outputOf", &x.OutputOf)
	failureField(f, &x.Failure)
	f.int("children", &x.Spawned)
	spawnsField(f, "spawns", &x.Spawns)
	f.string("spawnsAt", &x.SpawnsAt)
	f.int("sequence", &x.Sequence)
	spawnsField(f, "steps", &x.Steps)
	f.binary("ended", (*[]byte)(&x.Ended))
	x.childFailures(f)
	if outer, ok := optional(f, "finalize", &x.Finalize); ok {
		x.Finalize.fields(f)
		f.close(outer)
	}
	f.bool("parentFinished", &x.ParentFinished)
	x.attempts(f)
	return version
}

// place lists the fields for the position of an execution in its tree.
func (x *Execution) place(f *fields) {
	f.string("parentId", &x.Parent)
	f.int("index", &x.Index)
	f.bool("only", &x.Only)
	f.bool("isFinalize", &x.IsFinalize)
	f.string("retryOf", &x.RetryOf)
}

// work lists the fields for what an execution has to do.
func (x *Execution) work(f *fields) {
	x.Policy.field(f)
	f.payload("input", "inputType", &x.Input)
	f.string("inputFrom", &x.InputFrom)
	f.bool("validated", &x.Validated)
	f.metadata(&x.Metadata)
	f.bool("sleeping", &x.Sleeping)
}

// due lists the fields of an execution in a ready message. The message's subject has the id,
// the task and the queue.
func (x *Execution) due(f *fields) (version int) {
	f.int("v", &version)
	x.place(f)
	x.work(f)
	f.moment("createdAt", &x.CreatedAt)
	return version
}

func (s *Spawn) fields(f *fields) {
	f.anyString("taskId", &s.Task)
	f.anyString("queue", &s.Queue)
	s.Policy.field(f)
	f.payload("input", "inputType", &s.Input)
	f.string("inputFrom", &s.InputFrom)
	f.bool("validated", &s.Validated)
	f.metadata(&s.Metadata)
	f.bool("sleeping", &s.Sleeping)
}

func (p *Policy) field(f *fields) {
	outer, ok := f.open("policy", true)
	if !ok {
		return
	}
	f.span("timeoutMs", &p.Timeout)
	f.int("maxRetries", &p.Retry.MaxRetries)
	f.span("baseDelayMs", &p.Retry.BaseDelay)
	f.float("delayMultiplier", &p.Retry.Multiplier)
	f.span("maxDelayMs", &p.Retry.MaxDelay)
	f.float("jitter", &p.Retry.Jitter)
	f.span("sleepMsBeforeRun", &p.Delay)
	word(f, "onChildFailure", &p.OnChildFailure)
	f.retention("retentionMs", &p.Retention)
	f.closeAny(outer)
}

func failureField(f *fields, failure **Failure) {
	outer, ok := optional(f, "error", failure)
	if !ok {
		return
	}
	e := *failure
	kind := string(e.Kind)
	f.anyString("kind", &kind)
	if !f.writes {
		e.Kind = FailureKind(kind)
	}
	f.string("message", &e.Message)
	f.string("stack", &e.Stack)
	f.close(outer)
}

func spawnsField(f *fields, name string, spawns *[]Spawn) {
	l, n := f.list(name, len(*spawns))
	grow(spawns, n)
	for i := range *spawns {
		if outer, ok := l.element(f, i); ok {
			(*spawns)[i].fields(f)
			f.close(outer)
		}
	}
	l.end(f)
}

func (x *Execution) childFailures(f *fields) {
	l, n := f.list("childrenTasksErrors", len(x.ChildFailures))
	grow(&x.ChildFailures, n)
	for i := range x.ChildFailures {
		outer, ok := l.element(f, i)
		if !ok {
			continue
		}
		c := &x.ChildFailures[i]
		f.anyInt("index", &c.Index)
		f.anyString("executionId", &c.ID)
		f.anyString("taskId", &c.Task)
		f.status(&c.Status)
		f.string("error", &c.Message)
		f.close(outer)
	}
	l.end(f)
}

func (x *Execution) attempts(f *fields) {
	l, n := f.list("history", len(x.History))
	grow(&x.History, n)
	for i := range x.History {
		outer, ok := l.element(f, i)
		if !ok {
			continue
		}
		a := &x.History[i]
		f.int("attempt", &a.Number)
		f.string("executor", &a.Executor)
		f.moment("startedAt", &a.StartedAt)
		f.moment("endedAt", &a.EndedAt)
		failureField(f, &a.Failure)
		f.close(outer)
	}
	l.end(f)
}

// sizeOfFields is the room, in bytes, for all fields of a record that have a bounded length.
const sizeOfFields = 640

// EncodeRecord returns the stored form of x.
func EncodeRecord(x Execution) ([]byte, error) { return EncodeRecordIn(nil, &x) }

// EncodeRecordIn is EncodeRecord into a buffer, from its beginning, or into a new one if
// it is too small. It is for callers that encode many records and keep none.
func EncodeRecordIn(buffer []byte, x *Execution) ([]byte, error) {
	f := writing(buffer, sizeOfFields+len(x.Input.Data)+len(x.Output.Data)+len(x.Unknown))
	x.record(&f)
	if err := f.w.Fields(x.Unknown); err != nil {
		return nil, fmt.Errorf("encode record %s: %w", x.ID, err)
	}
	return f.w.Bytes(), nil
}

// DecodeRecord is the reverse of [EncodeRecord]. Payloads share the bytes of data, which must
// not change afterwards. The error is ErrDamaged if data is not a record, and ErrNewer,
// with the readable fields, if this program must not rewrite the record.
func DecodeRecord(data []byte) (Execution, error) {
	var x Execution
	f := readingInOrder(data)
	version := x.record(&f)
	if f.done() {
		return x.check(version)
	}
	var y Execution
	f, err := readingLoosely(data)
	if err == nil {
		version = y.record(&f)
		y.Unknown, err = f.loose.Rest(), f.err
	}
	if err != nil {
		return Execution{}, fmt.Errorf("decode record: %w: %w", ErrDamaged, err)
	}
	return y.check(version)
}

func (x Execution) check(version int) (Execution, error) {
	switch {
	case version < 1, x.ID == "", x.Spawned < 0, x.Spawned > maxSpawned, version <= Version && !x.Status.Valid():
		return Execution{}, fmt.Errorf("decode record %q: %w: version %d, status %q, %d children", x.ID, ErrDamaged, version, x.Status, x.Spawned)
	case version > Version:
		return x, fmt.Errorf("decode record %s: %w", x.ID, newer(version))
	}
	return x, nil
}

// newer returns the error for a record or message that needs version n.
func newer(n int) error {
	return fmt.Errorf("%w: version %d, this program knows up to %d", ErrNewer, n, Version)
}

// CheckVersion returns an error that wraps ErrNewer if n is a later version than this
// program knows. Zero, which means that no version was given, counts as 1.
func CheckVersion(n int) error {
	if n > Version {
		return newer(n)
	}
	return nil
}

// EncodeSpawns returns the stored form of a list of children.
func EncodeSpawns(s []Spawn) ([]byte, error) {
	size := 0
	for i := range s {
		size += s[i].Size()
	}
	f := fields{writes: true, w: *codec.NewList(size, len(s))}
	for i := range s {
		outer := f.w.Element()
		s[i].fields(&f)
		f.w.Close(outer)
	}
	return f.w.Bytes(), nil
}

// DecodeSpawns is the reverse of [EncodeSpawns]. Payloads share the bytes of data, which must
// not change afterwards.
func DecodeSpawns(data []byte) ([]Spawn, error) {
	if list, ok := spawnsInOrder(data); ok {
		return list, nil
	}
	elements, err := codec.SplitList(data)
	if err != nil {
		return nil, fmt.Errorf("decode children: %w: %w", ErrDamaged, err)
	}
	list := make([]Spawn, len(elements))
	for i, e := range elements {
		f, err := readingLoosely(e)
		if err == nil {
			list[i].fields(&f)
			err = f.err
		}
		if err != nil {
			return nil, fmt.Errorf("decode child %d: %w: %w", i, ErrDamaged, err)
		}
	}
	return list, nil
}

func spawnsInOrder(data []byte) (all []Spawn, ok bool) {
	r, n := codec.NewListReader(data)
	f := fields{r: r}
	var l list
	for i := range n {
		var s Spawn
		outer, _ := l.element(&f, i)
		s.fields(&f)
		f.close(outer)
		all = append(all, s)
	}
	return all, f.r.OK()
}

// wireType returns the type to store: empty for MessagePack, the default in records. In a
// payload itself an empty type means something else: see [codec.JSON].
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
