package engine

import (
	"context"
	"fmt"

	"github.com/durable-execution/durable/codec"
)

// Output returns the output of a completed execution. That of a parent without
// a finalize is put together here, from the records of its children.
func Output(ctx context.Context, s Store, x Execution) (codec.Payload, error) {
	for x.OutputOf != "" {
		r, err := s.Get(ctx, x.OutputOf)
		if err != nil {
			return codec.Payload{}, err
		}
		x = r.Execution
	}
	if !x.Gathers {
		return x.Output, nil
	}
	children, err := ended(ctx, s, x)
	if err != nil {
		return codec.Payload{}, err
	}
	return codec.Encode(Gathered[codec.Payload]{Output: x.Output, Children: children})
}

// An Input is what a run function is given: an encoded value or, in a finalize,
// the parts of a [Joined], each as it was encoded.
type Input struct {
	codec.Payload
	Joined *Joined[codec.Payload, codec.Payload]
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

// InputOf returns what the run function of x is given.
func InputOf(ctx context.Context, s Store, x Execution) (Input, error) {
	if x.InputFrom != "" {
		r, err := s.Get(ctx, x.InputFrom)
		if err != nil {
			return Input{}, fmt.Errorf("input of %s: %w", x.ID, err)
		}
		p, err := Output(ctx, s, r.Execution)
		return Input{Payload: p}, err
	}
	if !x.IsFinalize {
		return Input{Payload: x.Input}, nil
	}
	parent, err := s.Get(ctx, x.Parent)
	if err != nil {
		return Input{}, fmt.Errorf("parent of finalize %s: %w", x.ID, err)
	}
	children, err := ended(ctx, s, parent.Execution)
	if err != nil {
		return Input{}, fmt.Errorf("children of %s: %w", parent.ID, err)
	}
	// The parent may be a finalize itself, with an input of the same kind.
	above, err := InputOf(ctx, s, parent.Execution)
	if err == nil && above.Joined != nil {
		above.Payload, err = codec.EncodeAs(above.contentType(), *above.Joined)
	}
	return Input{Joined: &Joined[codec.Payload, codec.Payload]{
		Input: above.Payload, Output: parent.Output, Children: children,
	}}, err
}

// readBatch is how many children are read at a time. A direct get answers 1,024
// at most.
const readBatch = 512

func ended(ctx context.Context, s Store, parent Execution) (Ended, error) {
	list := make(Ended, 0, parent.Spawned)
	for first := 0; first < parent.Spawned; first += readBatch {
		var ids []string
		for i := first; i < min(first+readBatch, parent.Spawned); i++ {
			ids = append(ids, childID(parent.ID, i))
		}
		records, err := s.GetMany(ctx, ids)
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			c, err := endedChild(ctx, s, r.Execution)
			if err != nil {
				return nil, err
			}
			list = append(list, c)
		}
	}
	return list, nil
}

func endedChild(ctx context.Context, s Store, x Execution) (EndedChild, error) {
	c := EndedChild{Index: x.Index, Task: x.Task, ID: x.ID, Status: x.Status}
	if x.Failure != nil {
		c.Message = x.Failure.Message
	}
	if x.Status != Completed {
		return c, nil
	}
	var err error
	c.Output, err = Output(ctx, s, x)
	return c, err
}
