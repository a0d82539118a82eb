package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/durable-execution/durable/engine"
)

// An endpoint answers one kind of request, at <namespace>.api.<name>.
type endpoint struct {
	name, about string
	handle      func(ctx context.Context, body []byte) (any, error)
	slots       chan struct{}
	// patient requests wait for a slot; other requests are refused if no slot is free.
	patient bool
	limit   time.Duration
}

// The time-outs of requests. A wait request has its own time, plus some to read the result.
const (
	shortTime = 30 * time.Second
	scanTime  = 2 * time.Minute
)

func (s *Service) endpoints() []endpoint {
	short := func(name, about string, handle func(context.Context, []byte) (any, error)) endpoint {
		return endpoint{name, about, handle, s.short, true, shortTime}
	}
	scan := func(name, about string, handle func(context.Context, []byte) (any, error)) endpoint {
		return endpoint{name, about, handle, s.scans, false, scanTime}
	}
	return []endpoint{
		short("enqueue", "enqueue an execution", request(s.enqueue)),
		short("enqueue-many", "enqueue many executions; each is accepted or refused by itself", request(s.enqueueMany)),
		short("get", "an execution in its current state", request(s.get)),
		{"wait", "an execution once it has finished, or its state when the time-out ends", request(s.wait), s.waits, false, longestWait + shortTime},
		short("cancel", "end an execution and everything below it", request(s.cancel)),
		short("wake", "end a sleeping execution with an output or an error", request(s.wake)),
		short("retry", "run a tree that did not complete once more", request(s.retry)),
		short("delete", "delete a finished tree before its retention ends", request(s.delete)),
		scan("list", "executions, the newest first, a page at a time", request(s.list)),
		scan("tree", "the executions of a tree, the oldest first, a page at a time", request(s.tree)),
		short("tasks", "the tasks that executors have code for, with their JSON Schemas", request(s.tasks)),
		short("queues", "the queues, and how many executions wait in them", request(s.queues)),
		short("executors", "the executors, and what they are doing", request(s.executors)),
	}
}

// request makes a handler from a function with its own types of request and answer. An empty
// body is a request without fields.
func request[Q, A any](fn func(context.Context, Q) (A, error)) func(context.Context, []byte) (any, error) {
	return func(ctx context.Context, body []byte) (any, error) {
		var q Q
		if len(bytes.TrimSpace(body)) > 0 {
			if err := unmarshal(body, &q); err != nil {
				return nil, invalid(fmt.Errorf("request: %w", err))
			}
		}
		return fn(ctx, q)
	}
}

// unmarshal decodes one JSON value. It refuses unknown fields: the client would not get what it
// wanted if they were ignored.
func unmarshal(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("more than one value")
	}
	return nil
}

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// checkID refuses an invalid id before the store is asked for it.
func checkID(id string) error {
	if err := engine.ValidateID(id); err != nil {
		return invalid(err)
	}
	return nil
}
