package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
)

// schemaWait is how long executors are waited for that say what they know of a
// task: less than for a view, since a script may enqueue often.
const schemaWait = 250 * time.Millisecond

// schemas are those of a task's input or output, one for each form that executors have it in.
// None judges nothing.
type schemas []*codec.Schema

// check returns why no executor takes p; nil if one does.
func (l schemas) check(p codec.Payload) error {
	if p.IsZero() {
		p = codec.Payload{Type: codec.JSON, Data: []byte("null")}
	}
	var refusal error
	for _, s := range l {
		err := s.ValidatePayload(p)
		if err == nil {
			return nil
		}
		if refusal == nil {
			refusal = err
		}
	}
	return refusal
}

// schemas asks the executors for what they know of a task, chooses its queue if none was
// named, and notes on stderr why the input is not judged, or who will not run it.
func (e *enqueuing) schemas(ctx context.Context, s *store, task string) (schemas, error) {
	if e.unchecked {
		return nil, nil
	}
	if s.own {
		e.note("nobody executes in this store now: what is enqueued starts when somebody does")
		return nil, nil
	}
	answers, err := s.RollCall(ctx, engine.RollCall{Schemas: true, For: schemaWait})
	if err != nil {
		return nil, err
	}
	b := boundBy(answers, task)
	if len(b.executors) == 0 {
		if err := e.unboundTask(answers, task); err != nil {
			return nil, err
		}
		e.note("no executor that has task %s has answered: the input is enqueued unchecked", task)
		return nil, nil
	}
	if e.queue == "" {
		e.queue = b.queue()
	}
	if !slices.ContainsFunc(b.executors, func(a engine.Answer) bool { return a.Serves(e.queue) }) {
		e.note("no executor that has task %s serves queue %s; they serve %s", task, e.queue, strings.Join(b.served(), ", "))
	}
	return b.schemas(func(t engine.BoundTask) json.RawMessage { return t.InputSchema }), nil
}

// unboundTask refuses a task that no executor has which says what it has.
func (e *enqueuing) unboundTask(answers []engine.Answer, task string) error {
	var names []string
	for _, a := range answers {
		if a.Cut && len(a.Tasks) == 0 { // it may have the task, and had no room to say so
			return nil
		}
		for _, t := range a.Tasks {
			if !isFinalize(t.ID) {
				names = append(names, t.ID)
			}
		}
	}
	if len(answers) == 0 || e.force {
		return nil
	}
	return &exitError{exitNotFound, fmt.Errorf("no executor that answers has task %s: nothing was enqueued", task),
		meant(task, "", names, e.command("tasks")+" shows those that they have.") + " --force enqueues it for an executor to come"}
}

// A bound is what executors say of a task that they have.
type bound struct {
	executors []engine.Answer
	tasks     []engine.BoundTask // what each says
}

func boundBy(answers []engine.Answer, task string) (b bound) {
	for _, a := range answers {
		for _, t := range a.Tasks {
			if t.ID == task {
				b.executors, b.tasks = append(b.executors, a), append(b.tasks, t)
			}
		}
	}
	return b
}

// served are the queues that the executors serve.
func (b bound) served() []string {
	var list []string
	for _, a := range b.executors {
		list = slices.AppendSeq(list, maps.Keys(a.Queues))
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// queue is where the task goes: to the queue of its definition or, where the executors are
// of versions that do not tell it, to one that they serve, the default one if they do.
// Where definitions differ one is taken whose queue is served.
func (b bound) queue() string {
	served := b.served()
	var told []string
	for _, t := range b.tasks {
		if t.Queue != "" {
			told = append(told, t.Queue)
		}
	}
	slices.Sort(told)
	for _, q := range told {
		if slices.Contains(served, q) {
			return q
		}
	}
	switch {
	case len(told) > 0:
		return told[0]
	case slices.Contains(served, engine.DefaultQueue) || len(served) == 0:
		return engine.DefaultQueue
	}
	return served[0]
}

// schemas are those of the input, or of the output; none where an executor takes whatever its
// type takes.
func (b bound) schemas(of func(engine.BoundTask) json.RawMessage) schemas {
	var found schemas
	for _, t := range b.tasks {
		schema, err := codec.ParseSchema(string(of(t)))
		if err != nil { // it has none, or one that only a later version can read
			return nil
		}
		found = append(found, schema)
	}
	return found
}

// isFinalize reports whether a task is one that parents enqueue by themselves.
func isFinalize(task string) bool { return strings.HasSuffix(task, "-finalize") }

// judgeOutput refuses p as the output of an execution if executors know its task and none of
// them takes p for an output of it.
func judgeOutput(ctx context.Context, s *store, id string, p codec.Payload) error {
	if s.own {
		return nil // there is nobody to ask
	}
	x, err := engine.NewClient(s).Get(ctx, id)
	if err != nil {
		return err
	}
	answers, err := s.RollCall(ctx, engine.RollCall{Schemas: true, For: schemaWait})
	if err != nil {
		return err
	}
	outputs := boundBy(answers, x.Task).schemas(func(t engine.BoundTask) json.RawMessage { return t.OutputSchema })
	if refusal := outputs.check(p); refusal != nil {
		return fmt.Errorf("wake %s: %w of task %q: %w", id, engine.ErrInvalidOutput, x.Task, refusal)
	}
	return nil
}
