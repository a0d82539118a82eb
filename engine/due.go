package engine

import (
	"fmt"
	"sync"

	"github.com/durable-execution/durable/codec"
)

// dueMark begins the message of an execution that is due, as a program writes it that
// has the task's definition. No MessagePack and no JSON begins so: what anybody else
// enqueues is an input, and headers say the rest, which cost everybody more.
const dueMark = 0xc1

// due is an [Execution] as the message that it waits in: see codec/WIRE.md. Its id, task
// and queue are in the message's subject, and the names are those of a record.
type due struct {
	Version    int        `json:"v,omitempty"` // see [Version]
	Parent     string     `json:"parentId,omitempty"`
	Index      int        `json:"index,omitempty"`
	Only       bool       `json:"only,omitempty"`
	IsFinalize bool       `json:"isFinalize,omitempty"`
	RetryOf    string     `json:"retryOf,omitempty"`
	Policy     *policy    `json:"policy,omitempty"`
	Input      []byte     `json:"input,omitempty"`
	InputType  codec.Type `json:"inputType,omitempty"`
	InputFrom  string     `json:"inputFrom,omitempty"`
	Validated  bool       `json:"validated,omitempty"`
	Metadata   Metadata   `json:"metadata,omitempty"`
	Sleeping   bool       `json:"sleeping,omitempty"`
	CreatedAt  int64      `json:"createdAt,omitempty"`
}

// scratch is what messages are written in until their length is known; a longer one
// than maxScratch is not kept.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

const maxScratch = 16 << 10

// EncodeDue returns the message that x waits in, ready, until somebody records more of
// it. Its subject is to say the id, the task and the queue.
func EncodeDue(x *Execution) []byte {
	var p policy
	w := due{
		Parent: x.Parent, Index: x.Index, Only: x.Only, IsFinalize: x.IsFinalize, RetryOf: x.RetryOf, Policy: x.Policy.wire(&p),
		Input: x.Input.Data, InputType: wireType(x.Input), InputFrom: x.InputFrom, Validated: x.Validated,
		Metadata: x.Metadata, Sleeping: x.Sleeping, CreatedAt: millis(x.CreatedAt),
	}
	buffer := scratch.Get().(*[]byte)
	body := w.encode(*buffer)
	data := make([]byte, 1+len(body))
	data[0] = dueMark
	copy(data[1:], body)
	if cap(body) <= maxScratch {
		*buffer = body
		scratch.Put(buffer)
	}
	return data
}

// IsDue reports whether a message is one that [EncodeDue] has written.
func IsDue(data []byte) bool { return len(data) > 0 && data[0] == dueMark }

// DecodeDue is the reverse of [EncodeDue]: it sets what a message says of x. The input
// lies in data, which must not change any more. The error is ErrDamaged for what is no
// such message, and ErrNewer, with what is understood of it, for one that a later version
// has written.
func DecodeDue(data []byte, x *Execution) error {
	if !IsDue(data) {
		return fmt.Errorf("decode message: %w", ErrDamaged)
	}
	var w due
	if w.decode(data[1:]) {
		return w.describe(x)
	}
	// What is unknown is not kept: in a record it could say what no message may.
	var other due // which reflection has on the heap
	if err := codec.Unmarshal(data[1:], &other); err != nil {
		return fmt.Errorf("decode message: %w: %w", ErrDamaged, err)
	}
	return other.describe(x)
}

func (w *due) describe(x *Execution) error {
	x.Parent, x.Index, x.Only, x.IsFinalize, x.RetryOf, x.Policy = w.Parent, w.Index, w.Only, w.IsFinalize, w.RetryOf, w.Policy.policy()
	x.Input, x.InputFrom, x.Validated = payload(w.Input, w.InputType), w.InputFrom, w.Validated
	x.Metadata, x.Sleeping, x.CreatedAt = w.Metadata, w.Sleeping, instant(w.CreatedAt)
	if err := CheckVersion(w.Version); err != nil {
		return fmt.Errorf("decode message: %w", err)
	}
	return nil
}
