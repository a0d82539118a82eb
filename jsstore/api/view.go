package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
)

// An Execution is the JSON form of an execution. The names are those of the stored record where
// it has the same field. Times are milliseconds since the epoch, in UTC, and left out if there
// is none.
type Execution struct {
	ID         string        `json:"executionId"`
	Parent     string        `json:"parentId,omitempty"`
	Index      int           `json:"index"`
	IsFinalize bool          `json:"isFinalize"`
	Task       string        `json:"taskId"`
	Queue      string        `json:"queue"`
	Status     engine.Status `json:"status"`
	// Display is the status in words for people: see [engine.Execution.Display].
	Display    string                `json:"display"`
	RetryOf    string                `json:"retryOf,omitempty"`
	Metadata   engine.Metadata       `json:"metadata,omitempty"`
	Sleeping   bool                  `json:"sleeping,omitempty"`
	Polls      int                   `json:"polls,omitempty"`
	Attempt    int                   `json:"attempt"`
	MaxRetries int                   `json:"maxRetries"`
	TimeoutMS  int64                 `json:"timeoutMs"`
	Crashes    int                   `json:"crashes"`
	Executor   string                `json:"executor,omitempty"`
	CreatedAt  int64                 `json:"createdAt"`
	StartAt    int64                 `json:"startAt,omitempty"`
	StartedAt  int64                 `json:"startedAt,omitempty"`
	ExpiresAt  int64                 `json:"expiresAt,omitempty"`
	FinishedAt int64                 `json:"finishedAt,omitempty"`
	Error      *Failure              `json:"error,omitempty"`
	Failures   []engine.ChildFailure `json:"childrenTasksErrors,omitempty"`
	Spawned    int                   `json:"childrenCount"`
	Ended      int                   `json:"childrenEnded"`
	// Lost is the executor that runs it, if that does not answer.
	Lost *LostExecutor `json:"lostExecutor,omitempty"`

	// The following fields are set for a request about one execution, but not in lists.

	// Closed says that a finished execution has told its parent and cancelled everything below
	// it.
	Closed  *bool           `json:"isClosed,omitempty"`
	Input   json.RawMessage `json:"input,omitempty"`
	Output  json.RawMessage `json:"output,omitempty"`
	History []Attempt       `json:"history,omitempty"`
	// Omitted names the payloads that are too long for an answer: input, output.
	Omitted []string `json:"omitted,omitempty"`
}

// A Failure says why an attempt or an execution did not complete.
type Failure struct {
	Kind    engine.FailureKind `json:"kind"`
	Message string             `json:"message"`
	Stack   string             `json:"stack,omitempty"`
}

// An Attempt is an entry of the history.
type Attempt struct {
	Attempt   int      `json:"attempt"`
	Executor  string   `json:"executor"`
	StartedAt int64    `json:"startedAt"`
	EndedAt   int64    `json:"endedAt"`
	Error     *Failure `json:"error,omitempty"`
}

// View returns an execution in the form of lists: without its input, output and history.
func View(x engine.Execution) Execution {
	return Execution{
		ID: x.ID, Parent: x.Parent, Index: x.Index, IsFinalize: x.IsFinalize,
		Task: x.Task, Queue: x.Queue, Status: x.Status, Display: x.Display(time.Now(), false), RetryOf: x.RetryOf, Metadata: x.Metadata, Sleeping: x.Sleeping, Polls: x.Polls,
		Attempt: x.Attempt, MaxRetries: x.Policy.Retry.MaxRetries, TimeoutMS: x.Policy.Timeout.Milliseconds(),
		Crashes: x.Crashes, Executor: x.Executor,
		CreatedAt: millis(x.CreatedAt), StartAt: millis(x.StartAt), StartedAt: millis(x.StartedAt),
		ExpiresAt: millis(x.ExpiresAt), FinishedAt: millis(x.FinishedAt),
		Error: failure(x.Failure), Failures: x.ChildFailures, Spawned: x.Spawned, Ended: x.Ended.Len(),
	}
}

// Lose notes in the view of x that its executor is lost, if it is.
func (v *Execution) Lose(x engine.Execution, lost engine.LostExecutors) {
	if l := lost.Of(x); l != nil {
		v.Lost, v.Display = LostView(l), x.Display(time.Now(), true)
	}
}

func failure(f *engine.Failure) *Failure {
	if f == nil {
		return nil
	}
	return &Failure{Kind: f.Kind, Message: f.Message, Stack: f.Stack}
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// Whole returns an execution with all its details, however long, except whether it is closed.
// It reads the input and the output from s, gathers the output from the children if necessary,
// and formats both as [Shown] does. It shows a lost payload like one that can't be opened.
func Whole(ctx context.Context, s engine.Store, x engine.Execution) (Execution, error) {
	v := withHistory(x)
	var err error
	if v.Input, err = inputOf(ctx, s, x); err != nil {
		return v, fmt.Errorf("input of %s: %w", x.ID, err)
	}
	if v.Output, err = outputOf(ctx, s, x); err != nil {
		return v, fmt.Errorf("output of %s: %w", x.ID, err)
	}
	return v, nil
}

func withHistory(x engine.Execution) Execution {
	v := View(x)
	for _, a := range x.History {
		v.History = append(v.History, Attempt{
			Attempt: a.Number, Executor: a.Executor,
			StartedAt: millis(a.StartedAt), EndedAt: millis(a.EndedAt), Error: failure(a.Failure),
		})
	}
	return v
}

// inputOf returns the input as JSON; nil if there is none.
func inputOf(ctx context.Context, s engine.Store, x engine.Execution) (json.RawMessage, error) {
	if x.Input.IsZero() {
		return nil, nil
	}
	p, err := s.Load(ctx, x.ID, x.Input)
	if isLost(err) {
		return marshal(unread(x.Input, err))
	}
	if err != nil {
		return nil, err
	}
	return marshal(Shown(p))
}

// outputOf returns the output that others see, as JSON; nil if there is none. If the execution
// has not completed, that is at most what its own code has returned: its children may not even
// exist.
func outputOf(ctx context.Context, s engine.Store, x engine.Execution) (json.RawMessage, error) {
	if x.Status != engine.Completed {
		x.Gathers, x.OutputOf = false, ""
	}
	p, err := engine.OutputWith(ctx, s, x, func(p codec.Payload) (codec.Payload, error) { return Shown(p), nil })
	if isLost(err) {
		return marshal(unread(x.Output, err))
	}
	if err != nil || p.IsZero() {
		return nil, err
	}
	return marshal(p)
}

// whole is [Whole] without the payloads that don't fit into an answer.
func (s *Service) whole(ctx context.Context, x engine.Execution) (Execution, error) {
	v := withHistory(x)
	v.Lose(x, s.lost(ctx, []engine.Execution{x}))
	var err error
	if v.Input, err = s.input(ctx, x); err != nil {
		return v, fmt.Errorf("input of %s: %w", x.ID, err)
	}
	if v.Output, err = s.output(ctx, x); err != nil {
		return v, fmt.Errorf("output of %s: %w", x.ID, err)
	}
	// Clients wait for the output, so it stays if only one of the two fits.
	room := s.room()
	for _, part := range []struct {
		name string
		data *json.RawMessage
		is   bool
	}{{"output", &v.Output, !x.Output.IsZero() || x.OutputOf != ""}, {"input", &v.Input, !x.Input.IsZero()}} {
		switch n := len(*part.data); {
		case n > room-reserve:
			*part.data = nil
			fallthrough
		case n == 0 && part.is:
			v.Omitted = append(v.Omitted, part.name)
		default:
			room -= n
		}
	}
	return v, nil
}

// reserve is how many bytes of an answer an execution may need in addition to its input and
// output: two messages, a stack, a history and children's failures, all limited by the engine.
const reserve = 96 << 10

// mostGathered is up to how many children the output is gathered from for an answer.
const mostGathered = 1000

// input returns the input as JSON; nil if there is none or it can't fit into an answer.
func (s *Service) input(ctx context.Context, x engine.Execution) (json.RawMessage, error) {
	if s.tooLong(x.Input) {
		return nil, nil
	}
	return inputOf(ctx, s.Store, x)
}

func (s *Service) output(ctx context.Context, x engine.Execution) (json.RawMessage, error) {
	if s.tooLong(x.Output) || (x.Gathers && x.Spawned > mostGathered) {
		return nil, nil
	}
	return outputOf(ctx, s.Store, x)
}

// tooLong reports whether a payload is kept in several messages and is longer than an answer
// can be. Then it need not be read.
func (s *Service) tooLong(p codec.Payload) bool {
	if _, layer := p.Type.Unwrap(); layer != codec.Blob {
		return false
	}
	var sum string
	var size int
	if _, err := fmt.Sscan(string(p.Data), &sum, &size); err != nil {
		return false // reading the payload returns an error that says what is wrong
	}
	return size > s.room()
}

// Shown returns a payload in a form that JSON can hold: without its layers. If the payload
// can't be opened without a key, or does not match its type, Shown describes it in JSON:
// {"sealed": its content type, "bytes": its size, "error": the reason, unless a key is
// missing}.
func Shown(p codec.Payload) codec.Payload {
	if p.IsZero() {
		return p
	}
	opened, err := (*codec.Codec)(nil).Open(p)
	if err == nil {
		var v any
		if err = opened.Decode(&v); err == nil {
			if _, err = json.Marshal(opened); err == nil {
				return opened
			}
		}
	}
	return unread(p, err)
}

// isLost reports whether err says that a payload, or a part of it, no longer exists. Its
// execution still exists and is shown.
func isLost(err error) bool {
	return errors.Is(err, engine.ErrNotFound) || errors.Is(err, engine.ErrDamaged)
}

// unread describes a payload that can't be shown, and why.
func unread(p codec.Payload, why error) codec.Payload {
	about := map[string]any{"sealed": string(p.Type), "bytes": len(p.Data)}
	if !errors.Is(why, codec.ErrKey) {
		about["error"] = why.Error()
	}
	shown, err := codec.EncodeAs(codec.JSON, about)
	if err != nil {
		return codec.Payload{}
	}
	return shown
}
