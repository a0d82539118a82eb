package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/durable-execution/durable/codec"
)

// Output returns the output of a completed execution, without its layers. For a
// parent without a finalize, Output reads the children's records and assembles the
// output from them. An error that wraps codec.ErrKey says that the client's codec lacks a
// key; the output itself is intact.
func (c *Client) Output(ctx context.Context, x Execution) (codec.Payload, error) {
	return OutputWith(ctx, c.store, x, c.codec.Open)
}

// OutputWith is [Client.Output], but passes each stored part to open instead of removing
// its layers. A user interface can so show parts that it has no key for.
func OutputWith(ctx context.Context, s Store, x Execution, open func(codec.Payload) (codec.Payload, error)) (codec.Payload, error) {
	r := reader{store: s, unwrap: open}
	return r.output(ctx, x)
}

// An Input is the input of a run function, without its layers: an encoded value or,
// for a finalize, the parts of a [Joined], each in its own encoding.
type Input struct {
	codec.Payload
	Joined *Joined[codec.Payload, codec.Payload]
	// Layers lists the layers that any part of the input was stored in.
	Layers []string

	parentValidated bool // the input in Joined passed the parent's validator when it was enqueued
}

// contentType returns the encoding of the input. The output is encoded in the same way.
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

// InputOf returns the input of x's run function. For a finalize it needs the record of the
// parent that created the finalize. If the caller passes this record in known, InputOf uses
// it; otherwise it reads the record. An error that wraps codec.ErrKey says that the client's
// codec lacks a key. ErrInvalidInput says that the stored input is damaged, missing, beyond a
// limit of the codec, or can't be assembled; it is permanent.
func (c *Client) InputOf(ctx context.Context, x Execution, known ...Record) (Input, error) {
	r := reader{store: c.store, unwrap: c.codec.Open, known: known}
	in, err := r.input(ctx, x)
	if errors.Is(err, ErrDamaged) || errors.Is(err, ErrNotFound) {
		err = Permanent(fmt.Errorf("%w: %w", ErrInvalidInput, err))
	}
	in.Layers = r.layers
	return in, err
}

// A reader reads stored payloads and notes the layers that they were stored in.
type reader struct {
	store  Store
	unwrap func(codec.Payload) (codec.Payload, error)
	known  []Record
	layers []string
}

// parent returns the parent of a finalize.
func (r *reader) parent(ctx context.Context, x Execution) (Record, error) {
	for _, p := range r.known {
		// This record created the finalize. The record of an earlier execution with the same id
		// has another time: see Spawn.execution.
		if p.ID == x.Parent && p.Status == WaitingForFinalize && p.ChangedAt.Equal(x.CreatedAt) {
			return p, nil
		}
	}
	return r.store.Get(ctx, x.Parent)
}

// open loads a payload of execution id, from wherever the store keeps it, and removes
// its layers.
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
	t := own.Type // the parent's encoding, even if the children use another
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
	// The parent may itself be a finalize, whose input is a Joined too.
	above, err := r.input(ctx, parent.Execution)
	if err == nil && above.Joined != nil {
		above.Payload, err = codec.EncodeAs(above.contentType(), above.Joined)
		if err != nil {
			err = fmt.Errorf("input of %s: %w: %w", parent.ID, ErrDamaged, err)
		}
	}
	return Input{Joined: &Joined[codec.Payload, codec.Payload]{
		Input: above.Payload, Output: output, Children: children,
	}, parentValidated: parent.Validated}, err
}

// readBatch is the number of children read at a time. The server answers at most
// 1,024 messages to one direct get.
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
