package engine

import (
	"errors"
	"fmt"
)

// Children collects the executions that a parent's run function spawns. The engine
// stores them once the function has returned without error: all of them or none.
type Children struct {
	spawns []Spawn
	client *Client  // its limits, codec and definitions apply; nil in tests of task functions
	layers []string // the layers of the parent's input: the children's inputs get them too
	err    error
}

// Len returns the number of children spawned so far.
func (c *Children) Len() int { return len(c.spawns) }

// Spawn adds an execution of t to the children of a parent. If the input or an option
// is invalid, the parent fails when its function returns, without a retry and without any
// children. The returned [Child] distinguishes several children of one task.
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

// A Child refers to one child. The parent's run function may return it as part of its
// output, so that the finalize can find the child.
type Child[Out any] struct {
	Index int `json:"index"`
}

// Of returns the outcome of the child, which e must contain.
func (c Child[Out]) Of(e Ended) Result[Out] {
	if c.Index < 0 || c.Index >= len(e) {
		return Result[Out]{err: &ChildError{Index: -1, Message: fmt.Sprintf("no child %d among %d", c.Index, len(e))}}
	}
	return result[Out](e[c.Index])
}
