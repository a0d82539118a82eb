package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/durable-execution/durable/codec"
)

// Output returns the output of a completed execution, out of its layers. That of a
// parent without a finalize is put together here, from the records of its
// children. An error that wraps codec.ErrKey says that the client's codec lacks a
// key; nothing is lost.
func (c *Client) Output(ctx context.Context, x Execution) (codec.Payload, error) {
	return OutputWith(ctx, c.store, x, c.codec.Open)
}

// OutputWith is [Client.Output] with each stored part of it as open returns it: for views,
// which show what they can't open.
func OutputWith(ctx context.Context, s Store, x Execution, open func(codec.Payload) (codec.Payload, error)) (codec.Payload, error) {
	r := reader{store: s, unwrap: open}
	return r.output(ctx, x)
}

// An Input is what a run function is given: an encoded value or, in a finalize,
// the parts of a [Joined], each as it was encoded; without their layers.
type Input struct {
	codec.Payload
	Joined *Joined[codec.Payload, codec.Payload]
	// Layers are those that any part of it came in.
	Layers []string
}

// contentType is how the one who enqueued encodes, and how it is answered.
func (in Input) contentType() codec.Type {
	t := in.Type
	if in.Joined != nil {
		t = in.Joined.Input.Type
	}
	if t == "" {
		t = codec.MsgPack
	}
	return t
}

// InputOf returns what the run function of x is given. Of a finalize that takes its
// parent's record, which is not read if it is among those known to the caller, as it
// was when the finalize was made. An error that wraps
// codec.ErrKey says that the client's codec lacks a key; ErrInvalidInput, that what
// is stored is damaged, past a limit of the codec, not there, or can't be put together: none
// of which will pass.
func (c *Client) InputOf(ctx context.Context, x Execution, known ...Record) (Input, error) {
	r := reader{store: c.store, unwrap: c.codec.Open, known: known}
	in, err := r.input(ctx, x)
	if errors.Is(err, ErrDamaged) || errors.Is(err, ErrNotFound) {
		err = Permanent(fmt.Errorf("%w: %w", ErrInvalidInput, err))
	}
	in.Layers = r.layers
	return in, err
}

// A reader reads stored payloads and notes the layers that they come in.
type reader struct {
	store  Store
	unwrap func(codec.Payload) (codec.Payload, error)
	known  []Record
	layers []string
}

// parent returns the parent of a finalize.
func (r *reader) parent(ctx context.Context, x Execution) (Record, error) {
	for _, p := range r.known {
		// It is this finalize's, and not that of another life of its id: see Spawn.execution.
		if p.ID == x.Parent && p.Status == WaitingForFinalize && p.ChangedAt.Equal(x.CreatedAt) {
			return p, nil
		}
	}
	return r.store.Get(ctx, x.Parent)
}

// open returns a payload of the execution with the given id, from wherever it is,
// without its layers.
func (r *reader) open(ctx context.Context, what, id string, p codec.Payload) (codec.Payload, error) {
	p, err := r.store.Load(ctx, id, p)
	if err != nil {
		return codec.Payload{}, fmt.Errorf("%s of %s: %w", what, id, err)
	}
	for _, layer := range p.Type.Layers() {
		if !slices.Contains(r.layers, layer) {
			r.layers = append(r.layers, layer)
		}
	}
	opened, err := r.unwrap(p)
	switch {
	case errors.Is(err, codec.ErrKey):
		return codec.Payload{}, fmt.Errorf("%s of %s: %w", what, id, err)
	case err != nil:
		return codec.Payload{}, fmt.Errorf("%s of %s: %w: %w", what, id, ErrDamaged, err)
	}
	return opened, nil
}

func (r *reader) output(ctx context.Context, x Execution) (codec.Payload, error) {
	for x.OutputOf != "" {
		of, err := r.store.Get(ctx, x.OutputOf)
		if err != nil {
			return codec.Payload{}, fmt.Errorf("output of %s: %w", x.ID, err)
		}
		x = of.Execution
	}
	own, err := r.open(ctx, "output", x.ID, x.Output)
	if err != nil || !x.Gathers {
		return own, err
	}
	children, err := r.ended(ctx, x)
	if err != nil {
		return codec.Payload{}, fmt.Errorf("children of %s: %w", x.ID, err)
	}
	t := own.Type // as the parent answers, whatever the children do
	if own.IsZero() {
		t = codec.MsgPack
	}
	p, err := codec.EncodeAs(t, &Gathered[codec.Payload]{Output: own, Children: children})
	if err != nil {
		return codec.Payload{}, fmt.Errorf("output of %s: %w: %w", x.ID, ErrDamaged, err)
	}
	return p, nil
}

func (r *reader) input(ctx context.Context, x Execution) (Input, error) {
	if x.InputFrom != "" && x.Input.IsZero() {
		from, err := r.store.Get(ctx, x.InputFrom)
		if err != nil {
			return Input{}, fmt.Errorf("input of %s: %w", x.ID, err)
		}
		p, err := r.output(ctx, from.Execution)
		return Input{Payload: p}, err
	}
	if !x.IsFinalize {
		p, err := r.open(ctx, "input", x.ID, x.Input)
		return Input{Payload: p}, err
	}
	parent, err := r.parent(ctx, x)
	if err != nil {
		return Input{}, fmt.Errorf("parent of finalize %s: %w", x.ID, err)
	}
	children, err := r.ended(ctx, parent.Execution)
	if err != nil {
		return Input{}, fmt.Errorf("children of %s: %w", parent.ID, err)
	}
	output, err := r.open(ctx, "output", parent.ID, parent.Output)
	if err != nil {
		return Input{}, err
	}
	// The parent may be a finalize itself, with an input of the same kind.
	above, err := r.input(ctx, parent.Execution)
	if err == nil && above.Joined != nil {
		above.Payload, err = codec.EncodeAs(above.contentType(), above.Joined)
		if err != nil {
			err = fmt.Errorf("input of %s: %w: %w", parent.ID, ErrDamaged, err)
		}
	}
	return Input{Joined: &Joined[codec.Payload, codec.Payload]{
		Input: above.Payload, Output: output, Children: children,
	}}, err
}

// readBatch is how many children are read at a time. A direct get answers 1,024
// at most.
const readBatch = 512

func (r *reader) ended(ctx context.Context, parent Execution) (Ended, error) {
	list := make(Ended, 0, parent.Spawned)
	for first := 0; first < parent.Spawned; first += readBatch {
		var ids []string
		for i := first; i < min(first+readBatch, parent.Spawned); i++ {
			ids = append(ids, childID(parent.ID, i))
		}
		records, err := r.store.GetMany(ctx, ids)
		if err != nil {
			return nil, err
		}
		for _, child := range records {
			c, err := r.endedChild(ctx, child.Execution)
			if err != nil {
				return nil, err
			}
			list = append(list, c)
		}
	}
	return list, nil
}

func (r *reader) endedChild(ctx context.Context, x Execution) (EndedChild, error) {
	c := EndedChild{Index: x.Index, Task: x.Task, ID: x.ID, Status: x.Status}
	if x.Failure != nil {
		c.Message = x.Failure.Message
	}
	if x.Status != Completed {
		return c, nil
	}
	var err error
	c.Output, err = r.output(ctx, x)
	return c, err
}
