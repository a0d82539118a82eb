package api

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
)

// The requests that end executions, and that start them again.

type cancelRequest struct {
	ID     string `json:"executionId"`
	Reason string `json:"reason"`
}

type endAnswer struct {
	ID     string        `json:"executionId"`
	Status engine.Status `json:"status"`
}

func (s *Service) cancel(ctx context.Context, q cancelRequest) (endAnswer, error) {
	if err := checkID(q.ID); err != nil {
		return endAnswer{}, err
	}
	if q.Reason == "" {
		q.Reason = "cancelled through the API"
	}
	return endAnswer{q.ID, engine.Cancelled}, s.Client.Cancel(ctx, q.ID, q.Reason)
}

// wakeRequest has either an output or an error.
type wakeRequest struct {
	ID     string          `json:"executionId"`
	Output json.RawMessage `json:"output"`
	Error  *string         `json:"error"`
}

func (s *Service) wake(ctx context.Context, q wakeRequest) (endAnswer, error) {
	if err := checkID(q.ID); err != nil {
		return endAnswer{}, err
	}
	if (q.Output == nil) == (q.Error == nil) {
		return endAnswer{}, invalid(errors.New("want either output or error"))
	}
	if q.Error != nil {
		return endAnswer{q.ID, engine.Failed}, s.Client.WakeError(ctx, q.ID, *q.Error)
	}
	return endAnswer{q.ID, engine.Completed}, s.Client.Wake(ctx, q.ID, payload(q.Output))
}

// retryRequest asks to run a tree again. Without an input, the tree gets the same input.
type retryRequest struct {
	ID    string          `json:"executionId"`
	Input json.RawMessage `json:"input"`
	NewID *string         `json:"newExecutionId"`
}

type retryAnswer struct {
	ID      string `json:"executionId"`
	RetryOf string `json:"retryOf"`
}

func (s *Service) retry(ctx context.Context, q retryRequest) (retryAnswer, error) {
	if err := checkID(q.ID); err != nil {
		return retryAnswer{}, err
	}
	var input *codec.Payload
	if q.Input != nil {
		p := payload(q.Input)
		input = &p
	}
	var opts []engine.Option
	if q.NewID != nil {
		opts = append(opts, engine.ID(*q.NewID))
	}
	id, err := s.Client.Retry(ctx, q.ID, input, opts...)
	return retryAnswer{id, engine.RootOf(q.ID)}, err
}

type deleteRequest struct {
	ID string `json:"executionId"`
}

type deleteAnswer struct {
	ID      string `json:"executionId"`
	Deleted bool   `json:"deleted"`
}

func (s *Service) delete(ctx context.Context, q deleteRequest) (deleteAnswer, error) {
	if err := checkID(q.ID); err != nil {
		return deleteAnswer{}, err
	}
	return deleteAnswer{q.ID, true}, s.Client.Delete(ctx, q.ID)
}
