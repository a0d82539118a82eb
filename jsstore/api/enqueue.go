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

// enqueueRequest asks for an execution. The task's definition decides everything that it leaves
// out.
type enqueueRequest struct {
	Task   string          `json:"taskId"`
	Input  json.RawMessage `json:"input"`
	ID     *string         `json:"executionId"`
	Queue  *string         `json:"queue"`
	Policy policy          `json:"policy"`
	// Metadata is added to the definition's metadata.
	Metadata engine.Metadata `json:"metadata"`
}

// policy has the settings that a request asks for, with the names that the record uses.
type policy struct {
	Timeout        *int64   `json:"timeoutMs"`
	MaxRetries     *int     `json:"maxRetries"`
	BaseDelay      *int64   `json:"baseDelayMs"`
	Multiplier     *float64 `json:"delayMultiplier"`
	MaxDelay       *int64   `json:"maxDelayMs"`
	Jitter         *float64 `json:"jitter"`
	Delay          *int64   `json:"sleepMsBeforeRun"`
	OnChildFailure *string  `json:"onChildFailure"`
	Retention      *int64   `json:"retentionMs"`
}

type enqueueAnswer struct {
	ID string `json:"executionId"`
}

func (s *Service) enqueue(ctx context.Context, q enqueueRequest) (enqueueAnswer, error) {
	r, err := q.request()
	if err != nil {
		return enqueueAnswer{}, err
	}
	id, err := s.Client.Enqueue(ctx, r)
	return enqueueAnswer{id}, err
}

type enqueueManyRequest struct {
	Executions []enqueueRequest `json:"executions"`
}

type enqueueManyAnswer struct {
	Executions []enqueuedOne `json:"executions"`
}

// enqueuedOne has either an id or an error.
type enqueuedOne struct {
	ID    string `json:"executionId,omitempty"`
	Error *Error `json:"error,omitempty"`
}

func (s *Service) enqueueMany(ctx context.Context, q enqueueManyRequest) (enqueueManyAnswer, error) {
	a := enqueueManyAnswer{make([]enqueuedOne, len(q.Executions))}
	var good []engine.Request
	var index []int
	for i, one := range q.Executions {
		r, err := one.request()
		if err != nil {
			a.Executions[i].Error = errorOf(err)
			continue
		}
		good, index = append(good, r), append(index, i)
	}
	ids, errs := s.Client.EnqueueMany(ctx, good)
	for k, i := range index {
		if a.Executions[i].ID = ids[k]; errs[k] != nil {
			a.Executions[i].Error = errorOf(errs[k])
		}
	}
	return a, nil
}

func (q enqueueRequest) request() (engine.Request, error) {
	if q.Task == "" {
		return engine.Request{}, invalid(errors.New("taskId is missing"))
	}
	opts, err := q.Policy.options()
	if err != nil {
		return engine.Request{}, invalid(err)
	}
	if q.ID != nil {
		opts = append(opts, engine.ID(*q.ID))
	}
	if q.Queue != nil {
		opts = append(opts, engine.Queue(*q.Queue))
	}
	if len(q.Metadata) > 0 {
		opts = append(opts, q.Metadata)
	}
	return engine.Request{Task: q.Task, Input: payload(q.Input), Options: opts}, nil
}

// payload returns a value of a request as a payload.
func payload(data json.RawMessage) codec.Payload {
	if len(data) == 0 {
		data = json.RawMessage("null")
	}
	return codec.Payload{Type: codec.JSON, Data: data}
}

// options returns the options that p asks for.
func (p policy) options() ([]engine.Option, error) {
	var list []engine.Option
	var err error
	duration := func(name string, ms *int64) time.Duration {
		if ms == nil {
			return 0
		}
		d, fits := codec.Millis(*ms)
		if !fits {
			err = errors.Join(err, fmt.Errorf("policy: %s: %d milliseconds are more than 292 years", name, *ms))
		}
		return d
	}
	if p.Timeout != nil {
		list = append(list, engine.Timeout(duration("timeoutMs", p.Timeout)))
	}
	if p.Delay != nil {
		list = append(list, engine.Delay(duration("sleepMsBeforeRun", p.Delay)))
	}
	if p.Retention != nil {
		list = append(list, engine.Retention(duration("retentionMs", p.Retention)))
	}
	if p.OnChildFailure != nil {
		list = append(list, engine.ChildPolicy(*p.OnChildFailure))
	}
	retry := engine.Retry{BaseDelay: duration("baseDelayMs", p.BaseDelay), MaxDelay: duration("maxDelayMs", p.MaxDelay)}
	if p.Multiplier != nil {
		retry.Multiplier = *p.Multiplier
	}
	if p.Jitter != nil {
		retry.Jitter = *p.Jitter
	}
	switch {
	case p.MaxRetries != nil:
		retry.MaxRetries = *p.MaxRetries
		list = append(list, retry)
	case p.BaseDelay != nil || p.MaxDelay != nil || p.Multiplier != nil || p.Jitter != nil:
		err = errors.Join(err, errors.New("policy: baseDelayMs, maxDelayMs, delayMultiplier and jitter need maxRetries"))
	}
	return list, err
}
