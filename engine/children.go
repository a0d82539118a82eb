package engine

import (
	"errors"
	"fmt"
)

// Children collects the executions that a parent's run function spawns. They
// are stored when the function has returned without error, all of them or none.
type Children struct {
	spawns []Spawn
	client *Client  // whose limits, codec and definitions count; nil in tests of task functions
	layers []string // that the parent's input came in: the children's are in no less
	err    error
}

// Len returns how many have been spawned.
func (c *Children) Len() int { return len(c.spawns) }

// Spawn adds an execution of t to the children of a parent. What is wrong with
// the input or an option is kept, and fails the parent, without retry and with
// none of its children created, when its function returns. The [Child] tells
// several children of one task apart.
func (t Task[In, Out]) Spawn(c *Children, in In, opts ...Option) Child[Out] {
	i := len(c.spawns)
	s, err := t.spawn(c, in, opts)
	if err != nil {
		c.err = errors.Join(c.err, fmt.Errorf("spawn child %d, task %q: %w", i, t.def.ID, err))
	}
	c.spawns = append(c.spawns, s)
	return Child[Out]{Index: i}
}

func (t Task[In, Out]) spawn(c *Children, in In, opts []Option) (Spawn, error) {
	o, err := t.def.options.withoutID(opts)
	if err != nil {
		return Spawn{}, err
	}
	if c.client != nil {
		if err := c.client.Know(t.def); err != nil {
			return Spawn{}, err
		}
	}
	o.encoding.Layers = append(c.client.layersOf(o.encoding), c.layers...)
	input, err := t.encode(c.client, in, o.encoding)
	if err != nil {
		return Spawn{}, err
	}
	s := t.def.spawn(o)
	s.Input, s.Validated = input, true
	return s, nil
}

// A Child points to one child. It may be part of the output of the parent's run
// function, so that the finalize finds the child by it.
type Child[Out any] struct {
	Index int `json:"index"`
}

// Of returns how the child ended.
func (c Child[Out]) Of(e Ended) Result[Out] {
	if c.Index < 0 || c.Index >= len(e) {
		return Result[Out]{err: &ChildError{Index: -1, Message: fmt.Sprintf("no child %d among %d", c.Index, len(e))}}
	}
	return result[Out](e[c.Index])
}
