package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/durable-execution/durable/codec"
)

// A Request asks for an execution of a task by name. It serves callers that lack the
// task's definition, for instance a program that enqueues for a client in another language.
type Request struct {
	Task string
	// Input is without layers. The zero Payload means null.
	Input codec.Payload
	// Options are added to those of the definition. Without a [Queue], the queue is the
	// definition's if the client knows the definition, and otherwise [DefaultQueue].
	Options []Option
}

// Enqueue is [Task.Enqueue] by name; it returns the id. If the client knows the task's
// definition (as an executor's client knows the bound tasks), it checks the input against
// the schema before anything is stored. The executor does all other checks; an input that
// it refuses fails the execution.
func (c *Client) Enqueue(ctx context.Context, r Request) (string, error) {
	due, err := c.requested(r)
	if err == nil {
		err = c.enqueue(ctx, due)
	}
	if err != nil {
		return "", fmt.Errorf("enqueue task %q: %w", r.Task, err)
	}
	return due.ID, nil
}

// exclusiveAtOnce is how many executions with a caller's [ID] EnqueueMany enqueues
// concurrently: each takes several round trips.
const exclusiveAtOnce = 64

// EnqueueMany is Enqueue for many requests, pipelined. Each request succeeds or fails
// independently. Both results are as long as the list; for each request either the id or the
// error is set.
func (c *Client) EnqueueMany(ctx context.Context, list []Request) (ids []string, errs []error) {
	dues := make([]Due, len(list))
	errs = make([]error, len(list))
	var plain []Due
	var index []int // index[k] is the position of plain[k] in the list
	var exclusive sync.WaitGroup
	free := make(chan struct{}, exclusiveAtOnce)
	for i, r := range list {
		if dues[i], errs[i] = c.requested(r); errs[i] != nil {
			continue
		}
		if !dues[i].Exclusive {
			plain, index = append(plain, dues[i]), append(index, i)
			continue
		}
		free <- struct{}{}
		exclusive.Go(func() {
			errs[i] = c.enqueue(ctx, dues[i])
			<-free
		})
	}
	err := c.store.Enqueue(ctx, plain...)
	for k, no := range refused(err, len(plain)) {
		if no {
			errs[index[k]] = errorOf(err, k)
		}
	}
	exclusive.Wait()
	ids = make([]string, len(list))
	for i := range list {
		if errs[i] != nil {
			errs[i] = fmt.Errorf("enqueue task %q: %w", list[i].Task, errs[i])
			continue
		}
		ids[i] = dues[i].ID
	}
	return ids, errs
}

// errorOf returns the error of the k-th execution from err, the error of an EnqueueMany.
func errorOf(err error, k int) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			one := (*EnqueueError)(nil)
			if errors.As(e, &one) && one.Index == k {
				return one.Err
			}
		}
	}
	return err
}

// requested returns the execution that a request asks for.
func (c *Client) requested(r Request) (Due, error) {
	if err := ValidateTask(r.Task); err != nil {
		return Due{}, fmt.Errorf("%w: %w", ErrInvalidOption, err)
	}
	if c.closed.Load() {
		return Due{}, ErrShutdown
	}
	d := &Definition{ID: r.Task, options: options{queue: DefaultQueue}}
	known, ok := c.definitions.Load(r.Task)
	if ok {
		d = known.(*Definition)
	}
	o, err := d.options.with(r.Options)
	if err != nil {
		return Due{}, err
	}
	input := r.Input
	if input.IsZero() {
		input = codec.Payload{Type: codec.JSON, Data: []byte("null")}
	}
	if ok {
		if err := d.judge(input); err != nil {
			return Due{}, err
		}
	}
	if input, err = c.seal("input", input, c.layersOf(o.encoding)); err != nil {
		return Due{}, err
	}
	var due Due
	d.due(&due, &o, input)
	due.Validated = false // only a program with the types has the validator
	if !ok {
		due.Unsettled, due.Given = true, given(r.Options)
	}
	return due, nil
}

// given returns the options that an executor, which has the definition, must still apply.
func given(list []Option) []Option {
	return slices.DeleteFunc(slices.Clone(list), func(o Option) bool {
		switch o.(type) {
		case ID, Queue, Encoding:
			return true
		}
		return false
	})
}
