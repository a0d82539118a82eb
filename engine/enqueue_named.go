package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/durable-execution/durable/codec"
)

// A Request asks for an execution of a task by its name: for who enqueues without
// the task's definition, on behalf of a client in another language for instance.
type Request struct {
	Task string
	// Input is not in layers. Zero is null.
	Input codec.Payload
	// Options are added to those of the definition. Without a [Queue] it is the
	// definition's, if the client knows that, or else [DefaultQueue].
	Options []Option
}

// Enqueue is [Task.Enqueue] by name; it returns the id. If the client has met the
// task's definition - that of an executor has met those of its tasks - the input is
// judged by the schema before anything is stored; the rest, or all of it, is left to
// the executor, and an input that it refuses fails the execution.
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

// exclusiveAtOnce is how many executions with ids of their own EnqueueMany enqueues
// at a time: each of them takes a few requests, one after the other.
const exclusiveAtOnce = 64

// EnqueueMany is Enqueue for many requests at once, pipelined. Each is accepted, or
// not, by itself: both results have the length of the list, and for each request one
// of them is zero.
func (c *Client) EnqueueMany(ctx context.Context, list []Request) (ids []string, errs []error) {
	dues := make([]Due, len(list))
	errs = make([]error, len(list))
	var plain []Due
	var index []int // of plain in the list
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

// errorOf returns what err, of an enqueue of many, says of the k-th.
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

// requested makes the execution that a request asks for.
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
	due.Validated = false // the validator needs the types
	if !ok {
		due.Unsettled, due.Given = true, given(r.Options)
	}
	return due, nil
}

// given are the options that whoever has the definition adds to it.
func given(list []Option) []Option {
	return slices.DeleteFunc(slices.Clone(list), func(o Option) bool {
		switch o.(type) {
		case ID, Queue, Encoding:
			return true
		}
		return false
	})
}
