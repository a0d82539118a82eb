package engine

import (
	"fmt"

	"github.com/durable-execution/durable/codec"
)

// Joined is the input of a finalize: the parent's input, the output of the parent's run
// function, and the outcome of each child, in the order of spawning.
type Joined[In, Mid any] struct {
	Input    In    `json:"input"`
	Output   Mid   `json:"output"`
	Children Ended `json:"childrenTasksOutputs"`
}

// join decodes the parts of a Joined, each from its own encoding. If parentInput is not nil, it
// decodes the input.
func (j *Joined[In, Mid]) join(parts Joined[codec.Payload, codec.Payload], parentInput func(codec.Payload, any) error) error {
	j.Children = parts.Children
	if parentInput == nil {
		parentInput = codec.Payload.Decode
	}
	if err := parentInput(parts.Input, &j.Input); err != nil {
		return fmt.Errorf("input of the parent: %w", err)
	}
	if err := parts.Output.Decode(&j.Output); err != nil {
		return fmt.Errorf("output of the parent: %w", err)
	}
	return nil
}

// Gathered is the output of a parent without a finalize: the output of its run
// function, and the outcome of each child, in the order of spawning.
type Gathered[Mid any] struct {
	Output   Mid   `json:"output"`
	Children Ended `json:"childrenOutputs"`
}

// Ended lists children that have finished, in the order of spawning.
type Ended []EndedChild

// An EndedChild is the outcome of one child. Its output is not decoded yet.
type EndedChild struct {
	Index   int           `json:"index"`
	Task    string        `json:"taskId"`
	ID      string        `json:"executionId"`
	Status  Status        `json:"status"`
	Output  codec.Payload `json:"output"`
	Message string        `json:"error,omitempty"` // why the child did not complete
}

// Decode decodes the child's output into the value that v points to. It returns
// a *[ChildError] if the child did not complete.
func (e EndedChild) Decode(v any) error {
	if e.Status != Completed {
		return &ChildError{Index: e.Index, ID: e.ID, Task: e.Task, Status: e.Status, Message: e.Message}
	}
	if err := e.Output.Decode(v); err != nil {
		return fmt.Errorf("output of child %d, %s: %w", e.Index, e.ID, err)
	}
	return nil
}

// Any returns the child's output as maps, slices and scalars.
func (e EndedChild) Any() (v any, err error) { err = e.Decode(&v); return v, err }

// A Result is the outcome of a child of a known task, with its output decoded.
type Result[Out any] struct {
	// Child is the outcome before decoding.
	Child EndedChild
	out   Out
	err   error
}

// Get returns the child's output, or a *[ChildError] if it did not complete.
func (r Result[Out]) Get() (Out, error) { return r.out, r.err }

func result[Out any](e EndedChild) Result[Out] {
	r := Result[Out]{Child: e}
	r.err = e.Decode(&r.out)
	return r
}

// Results returns the outcomes of all children that are executions of t, in the order
// of spawning.
func (t Task[In, Out]) Results(e Ended) []Result[Out] {
	var list []Result[Out]
	for _, c := range e {
		if c.Task == t.def.ID {
			list = append(list, result[Out](c))
		}
	}
	return list
}

// Result returns the outcome of the only child that is an execution of t. Its Get
// returns a *[ChildError] if there is no such child, or more than one.
func (t Task[In, Out]) Result(e Ended) Result[Out] {
	var found []EndedChild
	for _, c := range e {
		if c.Task == t.def.ID {
			found = append(found, c)
		}
	}
	if len(found) != 1 {
		return Result[Out]{err: &ChildError{Index: -1, Task: t.def.ID,
			Message: fmt.Sprintf("%s among %d children, want exactly one", plural(len(found), "execution", "executions"), len(e))}}
	}
	return result[Out](found[0])
}
