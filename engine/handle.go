package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// A Handle refers to one execution of a task.
type Handle[Out any] struct {
	c    *Client
	id   string
	task string
}

// ID returns the execution's id.
func (h Handle[Out]) ID() string { return h.id }

// Get returns the current state of the execution, or ErrNotFound. It returns
// ErrIDConflict if the execution with this id belongs to another task.
func (h Handle[Out]) Get(ctx context.Context) (Execution, error) {
	x, err := h.c.Get(ctx, h.id)
	if err != nil {
		return x, err
	}
	return x, h.check(x)
}

func (h Handle[Out]) check(x Execution) error {
	if x.Task != h.task {
		return fmt.Errorf("%w: %s is an execution of task %q, not %q", ErrIDConflict, h.id, x.Task, h.task)
	}
	return nil
}

// Wait returns the output once the execution has completed. It returns an
// *[ExecutionError] if the execution finished otherwise, and ctx's cause if ctx ends
// first; the execution then continues. An error that wraps codec.ErrKey says that the
// client's codec lacks a key to read the output.
func (h Handle[Out]) Wait(ctx context.Context) (Out, error) {
	var out Out
	x, err := h.WaitExecution(ctx)
	if err == nil {
		err = x.Err()
	}
	if err != nil {
		return out, err
	}
	p, err := h.c.Output(ctx, x)
	if err != nil {
		return out, err
	}
	if err := p.Decode(&out); err != nil {
		return out, fmt.Errorf("output of %s: %w", h.id, err)
	}
	return out, nil
}

// WaitExecution returns the execution once it has finished, with any status. It returns
// ctx's cause if ctx ends first; the execution then continues. It also returns the errors of
// [Handle.Get].
func (h Handle[Out]) WaitExecution(ctx context.Context) (Execution, error) {
	x, err := h.c.Wait(ctx, h.id)
	if err != nil {
		return x, err
	}
	return x, h.check(x)
}

// Children returns the executions that this one has spawned: see [Client.Children].
func (h Handle[Out]) Children(ctx context.Context) ([]Execution, error) {
	return h.c.Children(ctx, h.id)
}

// Cancel ends the execution and everything below it: see [Client.Cancel].
func (h Handle[Out]) Cancel(ctx context.Context, reason string) error {
	return h.c.Cancel(ctx, h.id, reason)
}

// Children returns the existing children of an execution in the order of spawning (the
// steps, if it is a sequence), and its finalize last. It does not return grandchildren.
// The error is ErrNotFound if the store has no execution with this id.
func (c *Client) Children(ctx context.Context, id string) ([]Execution, error) {
	if _, err := c.Get(ctx, id); err != nil {
		return nil, err
	}
	var list []Execution
	for r, err := range c.store.List(ctx, Filter{Parent: id}) {
		if err != nil {
			return nil, fmt.Errorf("children of %s: %w", id, err)
		}
		list = append(list, r.Execution)
	}
	place := func(x Execution) int {
		if x.IsFinalize {
			return math.MaxInt
		}
		return x.Index
	}
	slices.SortFunc(list, func(a, b Execution) int { return cmp.Compare(place(a), place(b)) })
	return list, nil
}

// Err returns an *[ExecutionError] if x has finished without completing, and nil
// otherwise.
func (x Execution) Err() error {
	if !x.Status.Finished() || x.Status == Completed {
		return nil
	}
	cause := x.Failure
	if cause == nil {
		cause = &Failure{Kind: KindError, Message: "no reason recorded"}
	}
	return &ExecutionError{ID: x.ID, Task: x.Task, Status: x.Status, Cause: cause, Children: x.ChildFailures}
}

// A waiter learns of the end by a notice, which may get lost. So it also reads the record:
// after firstPoll, and then at intervals that double up to lastPoll.
const (
	firstPoll = 2 * time.Second
	lastPoll  = 30 * time.Second
)

// Wait returns the execution once it has finished, with any status. It returns ctx's cause
// if ctx ends first, and ErrNotFound if the store has no execution with this id.
// Once it has found the execution, it keeps waiting while the store is unavailable; it
// returns ErrClosed if the store is closed, and ErrDamaged if the record can't be read.
func (c *Client) Wait(ctx context.Context, id string) (Execution, error) {
	if err := ValidateID(id); err != nil {
		return Execution{}, err
	}
	news := make(chan Notice, 1)
	// Subscribe before reading, so that an end in between is noticed.
	stop, err := c.store.Watch(ctx, Topic{Outcome: id}, func(n Notice) {
		select {
		case news <- n:
		default: // one unread notice is enough to make it read
		}
	})
	if err != nil {
		return Execution{}, waitError(ctx, id, err)
	}
	defer stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	found := false
	for poll := firstPoll; ; poll = min(2*poll, lastPoll) {
		r, err := c.store.Get(ctx, id)
		if errors.Is(err, ErrNewer) {
			err = nil // the status of a newer record is still readable
		}
		if err != nil && (!found || errors.Is(err, ErrNotFound) || errors.Is(err, ErrDamaged) || errors.Is(err, ErrClosed)) {
			return Execution{}, waitError(ctx, id, err)
		}
		if err == nil && r.Status.Finished() {
			return r.Execution, nil
		}
		found = true
		timer.Reset(poll)
		select {
		case n := <-news:
			if x := n.Finished; x != nil && x.Status.Finished() {
				return *x, nil
			}
		case <-timer.C:
		case <-ctx.Done():
			return Execution{}, context.Cause(ctx)
		}
	}
}

func waitError(ctx context.Context, id string, err error) error {
	if ctx.Err() != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrUnavailable) {
		return context.Cause(ctx)
	}
	return fmt.Errorf("wait for %s: %w", id, err)
}
