package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/api"
)

// A view is an execution as --json prints it. The names are those of the stored
// record where it has them; times are milliseconds since the epoch, in UTC, and
// left out where there is none.
type view struct {
	ID         string                `json:"executionId"`
	Parent     string                `json:"parentId,omitempty"`
	Index      int                   `json:"index"`
	IsFinalize bool                  `json:"isFinalize"`
	Task       string                `json:"taskId"`
	Queue      string                `json:"queue"`
	Status     engine.Status         `json:"status"`
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
	Error      *failureView          `json:"error,omitempty"`
	Failures   []engine.ChildFailure `json:"childrenTasksErrors,omitempty"`
	Spawned    int                   `json:"childrenCount"`
	Ended      int                   `json:"childrenEnded"`
	// What follows is printed where one execution is asked for, not in lists.
	// Closed says that a finished execution has told its parent and cancelled what
	// was below. Only get asks for it.
	Closed   *bool          `json:"isClosed,omitempty"`
	Input    *codec.Payload `json:"input,omitempty"`
	Output   *codec.Payload `json:"output,omitempty"`
	History  []attemptView  `json:"history,omitempty"`
	Children []*view        `json:"children,omitempty"`
}

type failureView struct {
	Kind    engine.FailureKind `json:"kind"`
	Message string             `json:"message"`
	Stack   string             `json:"stack,omitempty"`
}

type attemptView struct {
	Attempt   int          `json:"attempt"`
	Executor  string       `json:"executor"`
	StartedAt int64        `json:"startedAt"`
	EndedAt   int64        `json:"endedAt"`
	Error     *failureView `json:"error,omitempty"`
}

// viewOf is an execution as lists show it.
func viewOf(x engine.Execution) *view {
	return &view{
		ID: x.ID, Parent: x.Parent, Index: x.Index, IsFinalize: x.IsFinalize,
		Task: x.Task, Queue: x.Queue, Status: x.Status, RetryOf: x.RetryOf, Metadata: x.Metadata, Sleeping: x.Sleeping, Polls: x.Polls,
		Attempt: x.Attempt, MaxRetries: x.Policy.Retry.MaxRetries, TimeoutMS: x.Policy.Timeout.Milliseconds(),
		Crashes: x.Crashes, Executor: x.Executor,
		CreatedAt: millis(x.CreatedAt), StartAt: millis(x.StartAt), StartedAt: millis(x.StartedAt),
		ExpiresAt: millis(x.ExpiresAt), FinishedAt: millis(x.FinishedAt),
		Error: viewOfFailure(x.Failure), Failures: x.ChildFailures, Spawned: x.Spawned, Ended: x.Ended.Len(),
	}
}

// fullViewOf is an execution with all that is known of it. The output is the one
// that others see, which may have to be gathered from its children.
func fullViewOf(ctx context.Context, s engine.Store, x engine.Execution) (*view, error) {
	v := viewOf(x)
	if !x.Input.IsZero() {
		input, err := s.Load(ctx, x.ID, x.Input)
		if err != nil {
			return nil, fmt.Errorf("its input: %w", err)
		}
		input = api.Shown(input)
		v.Input = &input
	}
	output := x.Output
	var err error
	if x.Status == engine.Completed {
		output, err = engine.OutputWith(ctx, s, x, func(p codec.Payload) (codec.Payload, error) { return api.Shown(p), nil })
	} else if output, err = s.Load(ctx, x.ID, output); err == nil {
		output = api.Shown(output)
	}
	if err != nil {
		return nil, err
	}
	if !output.IsZero() {
		v.Output = &output
	}
	for _, a := range x.History {
		v.History = append(v.History, attemptView{
			Attempt: a.Number, Executor: a.Executor,
			StartedAt: millis(a.StartedAt), EndedAt: millis(a.EndedAt), Error: viewOfFailure(a.Failure),
		})
	}
	return v, nil
}

func viewOfFailure(f *engine.Failure) *failureView {
	if f == nil {
		return nil
	}
	return &failureView{Kind: f.Kind, Message: f.Message, Stack: f.Stack}
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// printJSON prints v on a line.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
