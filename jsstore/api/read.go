package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/durable-execution/durable/engine"
)

type getRequest struct {
	ID string `json:"executionId"`
}

func (s *Service) get(ctx context.Context, q getRequest) (Execution, error) {
	if err := checkID(q.ID); err != nil {
		return Execution{}, err
	}
	x, err := s.Client.Get(ctx, q.ID)
	if err != nil {
		return Execution{}, err
	}
	v, err := s.whole(ctx, x)
	v.Closed = &x.Closed
	return v, err
}

// How long a wait request waits by default, and at most.
const (
	defaultWait = 10 * time.Second
	longestWait = 10 * time.Minute
)

type waitRequest struct {
	ID      string `json:"executionId"`
	Timeout *int64 `json:"timeoutMs"`
}

// wait returns the execution once it has finished. If the time ends first, or this instance
// stops, it returns the execution as it is then.
func (s *Service) wait(ctx context.Context, q waitRequest) (Execution, error) {
	if err := checkID(q.ID); err != nil {
		return Execution{}, err
	}
	wait := defaultWait
	if q.Timeout != nil {
		if *q.Timeout < 0 || *q.Timeout > longestWait.Milliseconds() {
			return Execution{}, invalid(fmt.Errorf("timeoutMs: %d: want 0 to %d", *q.Timeout, longestWait.Milliseconds()))
		}
		wait = time.Duration(*q.Timeout) * time.Millisecond
	}
	waiting, cancel := context.WithTimeoutCause(ctx, wait, errWaited)
	defer cancel()
	defer context.AfterFunc(s.serving, cancel)()
	x, err := s.Client.Wait(waiting, q.ID)
	if err != nil && (errors.Is(context.Cause(waiting), errWaited) || s.serving.Err() != nil) && !errors.Is(err, engine.ErrNotFound) {
		x, err = s.Client.Get(ctx, q.ID)
	}
	if err != nil {
		return Execution{}, err
	}
	return s.whole(ctx, x)
}

// errWaited is the cause that ends a wait whose execution has not finished in time.
var errWaited = errors.New("the time to wait is over")
