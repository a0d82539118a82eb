package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/durable-execution/durable/codec"
)

// A Client enqueues, reads, waits for, cancels and deletes executions. It is safe for
// concurrent use.
type Client struct {
	store       Store
	codec       *codec.Codec
	closed      atomic.Bool
	definitions sync.Map                   // of task id to *Definition
	latest      atomic.Pointer[Definition] // the definition that Know accepted last
}

// A ClientOption configures a client.
type ClientOption func(*Client)

// WithCodec sets the client's codec: how it writes inputs, unless the task's [Encoding]
// says otherwise, and which payloads it can read. The default, also for nil, is the codec
// of the zero [codec.Config].
func WithCodec(c *codec.Codec) ClientOption {
	return func(client *Client) { client.codec = c }
}

// NewClient returns a client of s. It panics if s or an option is nil.
func NewClient(s Store, opts ...ClientOption) *Client {
	if s == nil {
		panic("engine: new client: the store is nil")
	}
	c := &Client{store: s}
	for i, opt := range opts {
		if opt == nil {
			panic(fmt.Sprintf("engine: new client: option %d is nil", i))
		}
		opt(c)
	}
	return c
}

// Close makes the client refuse to enqueue, with ErrShutdown. All other methods
// keep working, and the store stays open.
func (c *Client) Close() { c.closed.Store(true) }

// accepts returns an error if the client can't enqueue executions of d at all.
func (c *Client) accepts(d *Definition) error {
	if c.closed.Load() {
		return ErrShutdown
	}
	return c.Know(d)
}

// Know registers a definition with the client. It returns an error if the definition
// conflicts with a registered one (see [Definition.Conflict]) or asks for a layer that
// the client's codec lacks.
func (c *Client) Know(d *Definition) error {
	if c.latest.Load() == d {
		return nil
	}
	if err := c.codec.Has(d.options.encoding.Layers); err != nil {
		return fmt.Errorf("task %q, defined at %s: %w", d.ID, d.Place, err)
	}
	if known, loaded := c.definitions.LoadOrStore(d.ID, d); loaded {
		if err := known.(*Definition).Conflict(d); err != nil {
			return err
		}
	}
	c.latest.Store(d)
	return nil
}

// due fills x, which must be zero, with the execution to enqueue for input.
func (d *Definition) due(x *Due, o *options, input codec.Payload) {
	now := time.Now().UTC().Truncate(time.Millisecond)
	x.Task, x.Sleeping, x.Queue, x.Policy, x.Metadata = d.ID, d.sleeping, o.queue, o.policy, o.metadata
	x.Input, x.Validated = input, true
	x.Status, x.CreatedAt, x.StartAt, x.ChangedAt = Ready, now, now.Add(o.policy.Delay), now
	if o.id != nil {
		x.ID, x.Exclusive = string(*o.id), true
		return
	}
	x.ID = newID(now)
}

// typeOf returns the encoding that e asks for, or else the client's. The client is nil in
// tests of task functions, which store nothing.
func (c *Client) typeOf(e Encoding) codec.Type {
	switch {
	case e.Type != "":
		return e.Type
	case c == nil:
		return codec.MsgPack
	}
	return c.codec.Type()
}

// layersOf returns the layers that e asks for, or else the client's. The caller may
// change the list.
func (c *Client) layersOf(e Encoding) []string {
	switch {
	case e.Layers != nil:
		return slices.Clone(e.Layers)
	case c == nil:
		return []string{}
	}
	return c.codec.Layers()
}

// seal adds the layers to p, and refuses p if it is then too large.
func (c *Client) seal(what string, p codec.Payload, layers []string) (codec.Payload, error) {
	if c == nil {
		return p, nil
	}
	p, err := c.codec.Seal(p, layers)
	if err != nil {
		return codec.Payload{}, fmt.Errorf("%s: %w", what, err)
	}
	if n, limit := len(p.Data), c.store.Limits().Payload; limit > 0 && n > limit {
		return codec.Payload{}, fmt.Errorf("%w: %s of %d bytes, the limit is %d", ErrTooLarge, what, n, limit)
	}
	return p, nil
}

func (c *Client) enqueue(ctx context.Context, due Due) error { return c.enqueueOne(ctx, []Due{due}) }

// enqueueOne enqueues the only element of list, which comes from manyDues.
func (c *Client) enqueueOne(ctx context.Context, list []Due) error {
	due := &list[0]
	if !due.Exclusive {
		return c.store.Enqueue(ctx, list...)
	}
	// Check before: an execution with this id may have finished, or be queued under
	// another task. The queue itself detects neither.
	if known, err := c.same(ctx, due); known || err != nil {
		return err
	}
	if err := c.store.Enqueue(ctx, list...); err != nil && !errors.Is(err, ErrExists) {
		return err
	}
	// Check after: another caller may have enqueued this id first, with another input.
	_, err := c.same(ctx, due)
	return err
}

// same reports whether the store has an execution with due's id. The error is
// ErrIDConflict if that execution has another task or another input, and wraps codec.ErrKey
// if this client can't read the input. Inputs are compared without their layers:
// encrypting the same bytes twice gives different bytes.
func (c *Client) same(ctx context.Context, due *Due) (bool, error) {
	r, err := c.store.Get(ctx, due.ID)
	if err == nil && r.Revision == 0 {
		// The store found a message and no record. Read again: if another message had
		// been first, and had run before the store looked, its record exists by now. If
		// there is still no record, the message found is the first.
		if recorded, err := c.store.Get(ctx, due.ID); err == nil && recorded.Revision > 0 {
			r = recorded
		}
	}
	switch {
	case errors.Is(err, ErrNotFound):
		return false, nil
	case err != nil && !errors.Is(err, ErrNewer): // with ErrNewer, task and input are still readable
		return false, err
	case r.Task != due.Task:
		return true, fmt.Errorf("%w: execution %s belongs to task %q", ErrIDConflict, due.ID, r.Task)
	case r.Input.Equal(due.Input):
		return true, nil
	}
	theirs, err := c.store.Load(ctx, due.ID, r.Input)
	if err == nil {
		theirs, err = c.codec.Open(theirs)
	}
	if err != nil {
		return true, fmt.Errorf("compare with the input of %s: %w", due.ID, err)
	}
	ours, err := c.codec.Open(due.Input)
	if err != nil {
		return true, fmt.Errorf("compare with the input of %s: %w", due.ID, err)
	}
	if !theirs.Same(ours) && !c.sameValue(due.Task, theirs, ours) {
		return true, fmt.Errorf("%w: execution %s has another input", ErrIDConflict, due.ID)
	}
	return true, nil
}

// sameValue reports whether two inputs decode to the same value of the task's input type,
// as far as the client knows the task. An earlier version of a program may have encoded
// the value differently.
func (c *Client) sameValue(task string, a, b codec.Payload) bool {
	d, known := c.definitions.Load(task)
	if !known {
		return false
	}
	var forms [2]codec.Payload
	for i, p := range [2]codec.Payload{a, b} {
		v := reflect.New(d.(*Definition).in).Interface()
		err := p.Decode(v)
		if err == nil {
			forms[i], err = codec.EncodeAs(codec.JSON, v)
		}
		if err != nil {
			return false
		}
	}
	return forms[0].Equal(forms[1])
}

// refused reports which of n executions were not enqueued according to err: all of them
// if err does not name any.
func refused(err error, n int) []bool {
	list := make([]bool, n)
	if err == nil {
		return list
	}
	errs := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok { // the joined error itself
		errs = joined.Unwrap()
	}
	for _, e := range errs {
		one := (*EnqueueError)(nil)
		if errors.As(e, &one) && one.Index < n {
			list[one.Index] = true
			continue
		}
		for i := range list {
			list[i] = true
		}
	}
	return list
}

// Get returns the current state of an execution, or ErrNotFound. If a later version of
// this module wrote the record, Get returns the fields that this version understands.
func (c *Client) Get(ctx context.Context, id string) (Execution, error) {
	if err := ValidateID(id); err != nil {
		return Execution{}, err
	}
	r, err := c.store.Get(ctx, id)
	if errors.Is(err, ErrNewer) {
		return r.Execution, nil
	}
	if err != nil {
		return Execution{}, err
	}
	x := r.Execution
	if x.Status.Finished() && !x.Closed {
		x.Closed, err = c.isClosed(ctx, x)
	}
	return x, err
}

// isClosed reports whether a finished execution has told its parent, and whether
// everything below it has finished. The execution's own record does not say: isClosed
// reads the records of the parent and of the executions below.
func (c *Client) isClosed(ctx context.Context, x Execution) (bool, error) {
	if x.tellsParent() {
		p, err := c.store.Get(ctx, x.Parent)
		if errors.Is(err, ErrNotFound) {
			return true, nil // the parent was deleted, and x soon will be
		}
		if err != nil {
			return false, err
		}
		told := p.Status.Finished() || (!x.IsFinalize && p.Ended.Has(x.Index))
		if !told {
			return false, nil
		}
	}
	for _, id := range x.Below() {
		b, err := c.store.Get(ctx, id)
		if errors.Is(err, ErrNotFound) {
			return false, nil
		}
		if err != nil || !b.Status.Finished() {
			return false, err
		}
	}
	return true, nil
}

// List returns the executions that match f, in no particular order.
func (c *Client) List(ctx context.Context, f Filter) iter.Seq2[Execution, error] {
	return func(yield func(Execution, error) bool) {
		for r, err := range c.store.List(ctx, f) {
			if !yield(r.Execution, err) {
				return
			}
		}
	}
}
