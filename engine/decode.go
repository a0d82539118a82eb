package engine

import "github.com/durable-execution/durable/codec"

// What is written field by field is read so, too: by reflection it takes four times as
// long. A decode reports whether it has read all that data says; what it does not know,
// or is not as encode writes it, is then left to reflection. Bytes lie in data. Fuzz tests
// hold each against reflection.

func (r *record) decode(data []byte) bool {
	m := codec.NewMapReader(data)
	for name, ok := m.Next(); ok; name, ok = m.Next() {
		switch string(name) {
		case "v":
			r.Version = int(m.Int())
		case "executionId":
			r.ID = m.String()
		case "parentId":
			r.Parent = m.String()
		case "index":
			r.Index = int(m.Int())
		case "only":
			r.Only = m.Bool()
		case "isFinalize":
			r.IsFinalize = m.Bool()
		case "retryOf":
			r.RetryOf = m.String()
		case "taskId":
			r.Task = m.String()
		case "queue":
			r.Queue = m.String()
		case "policy":
			the(&m, &r.Policy).decode(&m)
		case "input":
			r.Input = m.Binary()
		case "inputType":
			r.InputType = typeOf(m.Text())
		case "inputFrom":
			r.InputFrom = m.String()
		case "validated":
			r.Validated = m.Bool()
		case "metadata":
			firstOf(&m, r.Metadata == nil)
			r.Metadata = m.Strings()
		case "sleeping":
			r.Sleeping = m.Bool()
		case "status":
			r.Status = statusOf(m.Text())
		case "isClosed":
			r.Closed = m.Bool()
		case "attempt":
			r.Attempt = int(m.Int())
		case "polls":
			r.Polls = int(m.Int())
		case "crashes":
			r.Crashes = int(m.Int())
		case "executor":
			r.Executor = m.String()
		case "claimedBy":
			r.Message = m.String()
		case "claimedDelivery":
			r.Delivery = int(m.Int())
		case "createdAt":
			r.CreatedAt = m.Int()
		case "startAt":
			r.StartAt = m.Int()
		case "startedAt":
			r.StartedAt = m.Int()
		case "expiresAt":
			r.ExpiresAt = m.Int()
		case "changedAt":
			r.ChangedAt = m.Int()
		case "finishedAt":
			r.FinishedAt = m.Int()
		case "output":
			r.Output = m.Binary()
		case "outputType":
			r.OutputType = typeOf(m.Text())
		case "gathers":
			r.Gathers = m.Bool()
		case "outputOf":
			r.OutputOf = m.String()
		case "error":
			the(&m, &r.Failure).decode(&m)
		case "children":
			r.Spawned = int(m.Int())
		case "spawns":
			firstOf(&m, r.Spawns == nil)
			for range m.Len() {
				r.Spawns = append(r.Spawns, spawn{})
				r.Spawns[len(r.Spawns)-1].decode(&m)
			}
		case "spawnsAt":
			r.SpawnsAt = m.String()
		case "sequence":
			r.Sequence = int(m.Int())
		case "steps":
			firstOf(&m, r.Steps == nil)
			for range m.Len() {
				r.Steps = append(r.Steps, spawn{})
				r.Steps[len(r.Steps)-1].decode(&m)
			}
		case "ended":
			r.Ended = m.Binary()
		case "childrenTasksErrors":
			firstOf(&m, r.ChildFailures == nil)
			for range m.Len() {
				r.ChildFailures = append(r.ChildFailures, ChildFailure{})
				r.ChildFailures[len(r.ChildFailures)-1].decode(&m)
			}
		case "finalize":
			the(&m, &r.Finalize).decode(&m)
		case "parentFinished":
			r.ParentFinished = m.Bool()
		case "history":
			firstOf(&m, r.History == nil)
			for range m.Len() {
				r.History = append(r.History, attempt{})
				r.History[len(r.History)-1].decode(&m)
			}
		default:
			return false
		}
	}
	return m.OK()
}

func (w *closure) decode(data []byte) bool {
	m := codec.NewMapReader(data)
	for name, ok := m.Next(); ok; name, ok = m.Next() {
		switch string(name) {
		case "v":
			w.Version = int(m.Int())
		case "parentId":
			w.Parent = m.String()
		case "executionId":
			w.ID = m.String()
		case "taskId":
			w.Task = m.String()
		case "index":
			w.Index = int(m.Int())
		case "isFinalize":
			w.IsFinalize = m.Bool()
		case "isWake":
			w.IsWake = m.Bool()
		case "again":
			w.Again = m.Bool()
		case "status":
			w.Status = statusOf(m.Text())
		case "error":
			w.Message = m.String()
		case "output":
			w.Output = m.Binary()
		case "outputType":
			w.OutputType = typeOf(m.Text())
		case "outputOf":
			w.OutputOf = m.String()
		default:
			return false
		}
	}
	return m.OK()
}

func (w *failure) decode(m *codec.MapReader) {
	outer := m.Open()
	for name, ok := m.Next(); ok; name, ok = m.Next() {
		switch string(name) {
		case "kind":
			w.Kind = FailureKind(m.String())
		case "message":
			w.Message = m.String()
		case "stack":
			w.Stack = m.String()
		default:
			m.Stop()
		}
	}
	m.Close(outer)
}

func (w *spawn) decode(m *codec.MapReader) {
	outer := m.Open()
	for name, ok := m.Next(); ok; name, ok = m.Next() {
		switch string(name) {
		case "taskId":
			w.Task = m.String()
		case "queue":
			w.Queue = m.String()
		case "policy":
			the(m, &w.Policy).decode(m)
		case "input":
			w.Input = m.Binary()
		case "inputType":
			w.InputType = typeOf(m.Text())
		case "inputFrom":
			w.InputFrom = m.String()
		case "validated":
			w.Validated = m.Bool()
		case "metadata":
			firstOf(m, w.Metadata == nil)
			w.Metadata = m.Strings()
		case "sleeping":
			w.Sleeping = m.Bool()
		default:
			m.Stop()
		}
	}
	m.Close(outer)
}

func (w *attempt) decode(m *codec.MapReader) {
	outer := m.Open()
	for name, ok := m.Next(); ok; name, ok = m.Next() {
		switch string(name) {
		case "attempt":
			w.Number = int(m.Int())
		case "executor":
			w.Executor = m.String()
		case "startedAt":
			w.StartedAt = m.Int()
		case "endedAt":
			w.EndedAt = m.Int()
		case "error":
			the(m, &w.Failure).decode(m)
		default:
			m.Stop()
		}
	}
	m.Close(outer)
}

func (c *ChildFailure) decode(m *codec.MapReader) {
	outer := m.Open()
	for name, ok := m.Next(); ok; name, ok = m.Next() {
		switch string(name) {
		case "index":
			c.Index = int(m.Int())
		case "executionId":
			c.ID = m.String()
		case "taskId":
			c.Task = m.String()
		case "status":
			c.Status = statusOf(m.Text())
		case "error":
			c.Message = m.String()
		default:
			m.Stop()
		}
	}
	m.Close(outer)
}

// decode reads a message as the record that it is a part of, and takes what it may say.
func (w *due) decode(data []byte) bool {
	var r record
	ok := r.decode(data)
	*w = due{
		Version: r.Version, Parent: r.Parent, Index: r.Index, Only: r.Only, IsFinalize: r.IsFinalize, RetryOf: r.RetryOf, Policy: r.Policy,
		Input: r.Input, InputType: r.InputType, InputFrom: r.InputFrom, Validated: r.Validated,
		Metadata: r.Metadata, Sleeping: r.Sleeping, CreatedAt: r.CreatedAt,
	}
	return ok
}

func (w *policy) decode(m *codec.MapReader) {
	outer := m.Open()
	for name, ok := m.Next(); ok; name, ok = m.Next() {
		switch string(name) {
		case "timeoutMs":
			w.Timeout = m.Int()
		case "maxRetries":
			w.MaxRetries = int(m.Int())
		case "baseDelayMs":
			w.BaseDelay = m.Int()
		case "delayMultiplier":
			w.Multiplier = m.Float()
		case "maxDelayMs":
			w.MaxDelay = m.Int()
		case "jitter":
			w.Jitter = m.Float()
		case "sleepMsBeforeRun":
			w.Delay = m.Int()
		case "onChildFailure":
			w.OnChildFailure = ChildPolicy(m.String())
		case "retentionMs":
			w.Retention = new(m.Int())
		default:
			m.Stop()
		}
	}
	m.Close(outer)
}

// firstOf stops at a field that is there a second time.
func firstOf(m *codec.MapReader, first bool) {
	if !first {
		m.Stop()
	}
}

// the returns what a field that may be there once is to be read into.
func the[T any](m *codec.MapReader, p **T) *T {
	firstOf(m, *p == nil)
	*p = new(T)
	return *p
}

// statusOf and typeOf make no new text of one that is known.
func statusOf(text []byte) Status {
	for _, s := range statuses {
		if string(text) == string(s) {
			return s
		}
	}
	return Status(text)
}

func typeOf(text []byte) codec.Type {
	switch {
	case string(text) == string(codec.JSON):
		return codec.JSON
	case string(text) == string(codec.MsgPack):
		return codec.MsgPack
	}
	return codec.Type(text)
}
