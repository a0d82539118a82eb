package engine

import (
	"fmt"

	"github.com/durable-execution/durable/codec"
)

// closure and cancel are a [Closure] and a [Cancel] as messages: see codec/WIRE.md.
// Their version is left out while it is the first: see [Version].
type closure struct {
	Version    int        `json:"v,omitempty"`
	Parent     string     `json:"parentId"`
	ID         string     `json:"executionId"`
	Task       string     `json:"taskId"`
	Index      int        `json:"index,omitempty"`
	IsFinalize bool       `json:"isFinalize,omitempty"`
	IsWake     bool       `json:"isWake,omitempty"`
	Again      bool       `json:"again,omitempty"`
	Status     Status     `json:"status"`
	Message    string     `json:"error,omitempty"`
	Output     []byte     `json:"output,omitempty"`
	OutputType codec.Type `json:"outputType,omitempty"`
	OutputOf   string     `json:"outputOf,omitempty"`
}

type cancel struct {
	Version int    `json:"v,omitempty"`
	ID      string `json:"executionId"`
	At      int64  `json:"at,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Parent  string `json:"parentId,omitempty"`
}

// EncodeClosure returns the message that c is sent as.
func EncodeClosure(c Closure) ([]byte, error) {
	return c.wire().encode(), nil
}

func (c Closure) wire() *closure {
	return &closure{
		Parent: c.Parent, ID: c.ID, Task: c.Task, Index: c.Index, IsFinalize: c.IsFinalize, IsWake: c.IsWake, Again: c.Again,
		Status: c.Status, Message: cut(c.Message, maxMessage),
		Output: c.Output.Data, OutputType: wireType(c.Output), OutputOf: c.OutputOf,
	}
}

// DecodeClosure is the reverse of [EncodeClosure]. The output lies in data, which must not
// change any more. It refuses what is no closure, and what only a later version
// understands with ErrNewer.
func DecodeClosure(data []byte) (Closure, error) {
	var w closure
	if w.decode(data) {
		return w.closure()
	}
	var other closure
	if err := codec.Unmarshal(data, &other); err != nil {
		return Closure{}, fmt.Errorf("decode closure: %w", err)
	}
	return other.closure()
}

func (w *closure) closure() (Closure, error) {
	err := CheckVersion(w.Version)
	if err == nil && (w.Parent == "" || !w.Status.Finished()) {
		err = fmt.Errorf("parent %q, status %q", w.Parent, w.Status)
	}
	if err != nil {
		return Closure{}, fmt.Errorf("decode closure: %w", err)
	}
	return Closure{
		Parent: w.Parent, ID: w.ID, Task: w.Task, Index: w.Index, IsFinalize: w.IsFinalize, IsWake: w.IsWake, Again: w.Again,
		Status: w.Status, Message: w.Message,
		Output: payload(w.Output, w.OutputType), OutputOf: w.OutputOf,
	}, nil
}

// EncodeCancel returns the message that c is sent as.
func EncodeCancel(c Cancel) ([]byte, error) {
	return codec.Marshal(cancel{
		ID: c.ID, At: millis(c.At), Reason: bounded(c.Reason), Parent: c.Parent,
	})
}

// DecodeCancel is the reverse of [EncodeCancel]. It refuses what is no cancel,
// and what only a later version understands with ErrNewer.
func DecodeCancel(data []byte) (Cancel, error) {
	var w cancel
	err := codec.Unmarshal(data, &w)
	if err == nil {
		err = CheckVersion(w.Version)
	}
	if err == nil {
		err = ValidateID(w.ID)
	}
	if err != nil {
		return Cancel{}, fmt.Errorf("decode cancel: %w", err)
	}
	return Cancel{ID: w.ID, At: instant(w.At), Reason: w.Reason, Parent: w.Parent}, nil
}

// CancelsBelow returns the cancellations that a finished parent asks for.
func (x Execution) CancelsBelow() []Cancel {
	ids := x.Below()
	list := make([]Cancel, len(ids))
	for i, id := range ids {
		list[i] = Cancel{
			ID: id, At: x.FinishedAt, Parent: x.ID,
			Reason: fmt.Sprintf("parent %s: %s", x.ID, x.Status),
		}
	}
	return list
}

// Unborn returns the child or finalize of x with the given id, made of spawns,
// x's list of children: what a cancellation finds that comes before the spawn.
// It reports false if x never had such a child to spawn.
func (x Execution) Unborn(id string, spawns []Spawn) (Execution, bool) {
	for _, c := range x.Children(spawns) {
		if c.ID == id {
			return c, true
		}
	}
	if x.Finalize != nil && finalizeID(x.ID) == id {
		return x.FinalizeExecution(), true
	}
	return Execution{}, false
}
