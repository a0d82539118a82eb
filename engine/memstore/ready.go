package memstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/durable-execution/durable/engine"
)

// A ready is the ready message of an execution: due, delayed or claimed. An id has one for each
// task and queue that it was enqueued with. If there are several, the first one counts.
type ready struct {
	task, queue string
	name        string // of the message
	data        []byte // as it was enqueued
	message     *message[*engine.Delivery]
}

// Enqueue implements [engine.Store].
func (s *Store) Enqueue(ctx context.Context, due ...engine.Due) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	var errs []error
	for i, d := range due {
		if err := s.enqueue(d); err != nil {
			errs = append(errs, &engine.EnqueueError{Index: i, ID: d.ID, Err: err})
		}
	}
	return errors.Join(errs...)
}

// enqueue accepts a new root, if its queue has room.
func (s *Store) enqueue(d engine.Due) error {
	q := s.queue(d.Queue)
	if limit := s.config.QueueLimit; limit > 0 && len(q.all) >= limit && s.find(d.Execution) == nil {
		return fmt.Errorf("%w: queue %s holds %d, its limit", engine.ErrQueueFull, d.Queue, limit)
	}
	return s.accept(d)
}

// accept puts an execution into its queue, even if the queue is full: a spawned execution is a
// part of work that was already accepted.
func (s *Store) accept(d engine.Due) error {
	x := d.Execution
	err := errors.Join(engine.ValidateID(x.ID), engine.ValidateTask(x.Task), engine.ValidateQueue(x.Queue), s.fits("input", x.Input.Data))
	if err != nil {
		return err
	}
	if s.find(x) != nil {
		return engine.ErrExists
	}
	q := s.queue(x.Queue)
	r := &ready{task: x.Task, queue: x.Queue, name: strconv.Itoa(s.enqueued + 1)}
	if r.data, err = encode(x); err != nil {
		return err
	}
	s.enqueued++
	delayed := x.StartAt.After(time.Now())
	r.message = q.put(x.StartAt, "queue "+x.Queue, x.ID, func(b *baton[*engine.Delivery]) *engine.Delivery {
		now := &engine.Delivery{Baton: b, Message: r.name, Deliveries: b.delivery, Hint: b.message.recorded}
		now.First = b.delivery == 1
		now.Fresh = now.First && !d.Exclusive && !delayed
		now.Execution, now.Invalid = engine.DecodeRecord(bytes.Clone(r.data))
		now.Unsettled, now.Given = d.Unsettled, d.Given
		if now.Hint {
			now.Execution = engine.Execution{ID: x.ID, Queue: x.Queue, Task: x.Task, Sleeping: x.Sleeping}
			now.Unsettled, now.Given = false, nil
		}
		return now
	})
	s.ready[x.ID] = append(s.ready[x.ID], r)
	r.message.removed = func() { s.forget(x.ID, r) }
	return nil
}

// find returns the ready message of x; nil if there is none.
func (s *Store) find(x engine.Execution) *ready {
	for _, r := range s.ready[x.ID] {
		if r.task == x.Task && r.queue == x.Queue {
			return r
		}
	}
	return nil
}

func (s *Store) forget(id string, r *ready) {
	left := slices.DeleteFunc(s.ready[id], func(other *ready) bool { return other == r })
	if s.ready[id] = left; len(left) == 0 {
		delete(s.ready, id)
	}
}

func (s *Store) queue(name string) *queue[*engine.Delivery] {
	q := s.queues[name]
	if q == nil {
		q = newQueue[*engine.Delivery](s)
		s.queues[name] = q
	}
	return q
}
