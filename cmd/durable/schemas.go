package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
)

// schemaWait is how long executors are waited for that say what they know of a
// task: less than for a view, since a script may enqueue often.
const schemaWait = 250 * time.Millisecond

// schemas are those of a task's input, one for each form that executors have it in.
// None judges nothing.
type schemas []*codec.Schema

// check returns why no executor takes p as an input; nil if one does.
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

// schemas asks the executors for what they know of a task, and notes on stderr why
// the input is not judged, or who will not run it.
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
	var found schemas
	var queues []string
	bound, judged, served := false, true, false
	for _, a := range answers {
		for _, t := range a.Tasks {
			if t.ID != task {
				continue
			}
			bound = true
			served = served || a.Serves(e.queue)
			for q := range a.Queues {
				queues = append(queues, q)
			}
			schema, err := codec.ParseSchema(string(t.InputSchema))
			if err != nil { // it has none, or one that only a later version can read
				judged = false
				continue
			}
			found = append(found, schema)
		}
	}
	slices.Sort(queues)
	switch {
	case !bound:
		e.note("no executor that has task %s has answered: the input is enqueued unchecked", task)
	case !served:
		e.note("no executor that has task %s serves queue %s; they serve %s", task, e.queue, strings.Join(slices.Compact(queues), ", "))
	}
	if !judged { // an executor takes whatever its type takes
		return nil, nil
	}
	return found, nil
}
