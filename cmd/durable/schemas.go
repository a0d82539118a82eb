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

// schemaWait is how long to wait for executors to say what they know about a task. It is
// shorter than for a view, because a script may enqueue often.
const schemaWait = 250 * time.Millisecond

// schemas are the schemas of a task's input or output, one for each form that executors
// have. An empty list accepts everything.
type schemas []*codec.Schema

// check returns nil if one of the schemas accepts p, and otherwise the first refusal.
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

// schemas asks the executors what they know about a task. It chooses the queue if the user
// named none, and notes on stderr if the input can't be checked, or if no executor that has
// the task serves the queue.
func (e *enqueuing) schemas(ctx context.Context, s *store, task string) (schemas, error) {
	if e.unchecked {
		return nil, nil
	}
	if s.own {
		e.note("no executor is running in this store: the execution starts once one runs")
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
		e.note("no executor with task %s answered: its input is not checked", task)
		return nil, nil
	}
	if e.queue == "" {
		e.queue = b.queue()
	}
	if !slices.ContainsFunc(b.executors, func(a engine.Answer) bool { return a.Serves(e.queue) }) {
		e.note("no executor with task %s serves queue %s: those executors serve %s", task, e.queue, strings.Join(b.served(), ", "))
	}
	return b.schemas(func(t engine.BoundTask) json.RawMessage { return t.InputSchema }), nil
}

// unboundTask returns an error for a task that no executor has, unless no executor answered,
// one that answered may have it, or the user gave --force.
func (e *enqueuing) unboundTask(answers []engine.Answer, task string) error {
	var names []string
	for _, a := range answers {
		if a.Cut && len(a.Tasks) == 0 { // its answer had no room for its tasks, so it may have this one
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
	return &exitError{exitNotFound, fmt.Errorf("no executor that answered has task %s: nothing was enqueued", task),
		meant(task, "", names, e.command("tasks")+" lists the tasks that they have.") + " --force enqueues it for a later executor"}
}

// A bound holds the executors that have a task, and the task as each of them reports it.
type bound struct {
	executors []engine.Answer
	tasks     []engine.BoundTask // by the index in executors
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

// served returns the queues that the executors serve, sorted.
func (b bound) served() []string {
	var list []string
	for _, a := range b.executors {
		list = slices.AppendSeq(list, maps.Keys(a.Queues))
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// queue returns the queue to enqueue the task to: the one in its definition. If definitions
// differ, it prefers one whose queue is served. Executors of earlier versions don't report
// the queue: then it is the default queue if they serve it, or else one that they serve.
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

// schemas returns the schemas of the input or the output, as of selects. It returns none if
// an executor has no schema, because that executor may accept anything.
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

// isFinalize reports whether a task is the finalize of another task. Users never enqueue it by
// name.
func isFinalize(task string) bool { return strings.HasSuffix(task, "-finalize") }

// judgeOutput returns an error if executors have the task of the execution, and the output
// schemas of all of them refuse p.
func judgeOutput(ctx context.Context, s *store, id string, p codec.Payload) error {
	if s.own {
		return nil // no executor can be running, so there is none to ask
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
