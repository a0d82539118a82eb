package engine

import "github.com/durable-execution/durable/codec"

// The records and messages that every execution costs are written field by field:
// by reflection they took a tenth of its processor time. A test compares each with
// what codec.Marshal makes of it.

// sizeOfFields is enough for the fields of a record, without those that may be long.
const sizeOfFields = 640

func (r *record) encode(buffer, rest []byte) ([]byte, error) {
	if size := sizeOfFields + len(r.Input) + len(r.Output) + len(rest); cap(buffer) < size {
		buffer = make([]byte, 0, size)
	}
	m := codec.NewMapIn(buffer)
	m.AnyInt("v", int64(r.Version))
	m.AnyString("executionId", r.ID)
	m.String("parentId", r.Parent)
	m.Int("index", int64(r.Index))
	m.Bool("only", r.Only)
	m.Bool("isFinalize", r.IsFinalize)
	m.String("retryOf", r.RetryOf)
	m.AnyString("taskId", r.Task)
	m.AnyString("queue", r.Queue)
	r.Policy.encode(m)
	m.Binary("input", r.Input)
	m.String("inputType", string(r.InputType))
	m.String("inputFrom", r.InputFrom)
	m.Bool("validated", r.Validated)
	m.Strings("metadata", r.Metadata)
	m.Bool("sleeping", r.Sleeping)
	m.AnyString("status", string(r.Status))
	m.Bool("isClosed", r.Closed)
	m.Int("attempt", int64(r.Attempt))
	m.Int("polls", int64(r.Polls))
	m.Int("crashes", int64(r.Crashes))
	m.String("executor", r.Executor)
	m.String("claimedBy", r.Message)
	m.Int("claimedDelivery", int64(r.Delivery))
	m.Int("createdAt", r.CreatedAt)
	m.Int("startAt", r.StartAt)
	m.Int("startedAt", r.StartedAt)
	m.Int("expiresAt", r.ExpiresAt)
	m.Int("changedAt", r.ChangedAt)
	m.Int("finishedAt", r.FinishedAt)
	m.Binary("output", r.Output)
	m.String("outputType", string(r.OutputType))
	m.Bool("gathers", r.Gathers)
	m.String("outputOf", r.OutputOf)
	r.Failure.encode(m)
	m.Int("children", int64(r.Spawned))
	m.List("spawns", len(r.Spawns))
	for i := range r.Spawns {
		r.Spawns[i].encode(m)
	}
	m.String("spawnsAt", r.SpawnsAt)
	m.Int("sequence", int64(r.Sequence))
	m.List("steps", len(r.Steps))
	for i := range r.Steps {
		r.Steps[i].encode(m)
	}
	m.Binary("ended", r.Ended)
	m.List("childrenTasksErrors", len(r.ChildFailures))
	for i := range r.ChildFailures {
		r.ChildFailures[i].encode(m)
	}
	if r.Finalize != nil {
		r.Finalize.encodeIn(m, m.Open("finalize"))
	}
	m.Bool("parentFinished", r.ParentFinished)
	m.List("history", len(r.History))
	for i := range r.History {
		r.History[i].encode(m)
	}
	if err := m.Fields(rest); err != nil {
		return nil, err
	}
	return m.Bytes(), nil
}

func (w *policy) encode(m *codec.Map) {
	if w == nil {
		return
	}
	outer := m.Open("policy")
	m.Int("timeoutMs", w.Timeout)
	m.Int("maxRetries", int64(w.MaxRetries))
	m.Int("baseDelayMs", w.BaseDelay)
	m.Float("delayMultiplier", w.Multiplier)
	m.Int("maxDelayMs", w.MaxDelay)
	m.Float("jitter", w.Jitter)
	m.Int("sleepMsBeforeRun", w.Delay)
	m.String("onChildFailure", string(w.OnChildFailure))
	if w.Retention != nil {
		m.AnyInt("retentionMs", *w.Retention)
	}
	m.Close(outer)
}

func (w *failure) encode(m *codec.Map) {
	if w == nil {
		return
	}
	outer := m.Open("error")
	m.AnyString("kind", string(w.Kind))
	m.String("message", w.Message)
	m.String("stack", w.Stack)
	m.Close(outer)
}

func (w *spawn) encode(m *codec.Map) { w.encodeIn(m, m.Element()) }

func (w *spawn) encodeIn(m *codec.Map, outer codec.Outer) {
	m.AnyString("taskId", w.Task)
	m.AnyString("queue", w.Queue)
	w.Policy.encode(m)
	m.Binary("input", w.Input)
	m.String("inputType", string(w.InputType))
	m.String("inputFrom", w.InputFrom)
	m.Bool("validated", w.Validated)
	m.Strings("metadata", w.Metadata)
	m.Bool("sleeping", w.Sleeping)
	m.Close(outer)
}

func (w *attempt) encode(m *codec.Map) {
	outer := m.Element()
	m.Int("attempt", int64(w.Number))
	m.String("executor", w.Executor)
	m.Int("startedAt", w.StartedAt)
	m.Int("endedAt", w.EndedAt)
	w.Failure.encode(m)
	m.Close(outer)
}

func (w *closure) encode() []byte {
	m := codec.NewMap(128 + len(w.Output))
	m.Int("v", int64(w.Version))
	m.AnyString("parentId", w.Parent)
	m.AnyString("executionId", w.ID)
	m.AnyString("taskId", w.Task)
	m.Int("index", int64(w.Index))
	m.Bool("isFinalize", w.IsFinalize)
	m.Bool("isWake", w.IsWake)
	m.Bool("again", w.Again)
	m.AnyString("status", string(w.Status))
	m.String("error", w.Message)
	m.Binary("output", w.Output)
	m.String("outputType", string(w.OutputType))
	m.String("outputOf", w.OutputOf)
	return m.Bytes()
}

func (w *due) encode(buffer []byte) []byte {
	if size := sizeOfFields + len(w.Input); cap(buffer) < size {
		buffer = make([]byte, 0, size)
	}
	m := codec.NewMapIn(buffer)
	m.Int("v", int64(w.Version))
	m.String("parentId", w.Parent)
	m.Int("index", int64(w.Index))
	m.Bool("only", w.Only)
	m.Bool("isFinalize", w.IsFinalize)
	m.String("retryOf", w.RetryOf)
	w.Policy.encode(m)
	m.Binary("input", w.Input)
	m.String("inputType", string(w.InputType))
	m.String("inputFrom", w.InputFrom)
	m.Bool("validated", w.Validated)
	m.Strings("metadata", w.Metadata)
	m.Bool("sleeping", w.Sleeping)
	m.Int("createdAt", w.CreatedAt)
	return m.Bytes()
}
