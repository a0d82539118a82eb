package jsstore

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/layout"
	"github.com/durable-execution/durable/jsstore/internal/message"
	"github.com/durable-execution/durable/jsstore/internal/rpc"
)

// NoLimit lets a queue have as many executions in hand as the executors have slots.
const NoLimit = 0

// LimitQueue limits how many executions of a queue the whole fleet has in hand at once: running
// attempts, executions that wait in an executor for a slot, and retries that are due in less
// than a second. NoLimit removes the limit. Executors need no restart, and executions in hand
// continue when the limit is lowered. The server stores the limit in the queue's consumer,
// which is created if it does not exist.
//
// With a limit, a delayed execution is stored once more when its time comes: a queue has one
// consumer for ready messages and one for due timers, and only the first has the limit.
func (s *Store) LimitQueue(ctx context.Context, queue string, n int) error {
	switch err := engine.ValidateQueue(queue); {
	case err != nil:
		return fmt.Errorf("limit queue: %w", err)
	case n < 0:
		return fmt.Errorf("limit queue %s: %d executions: negative", queue, n)
	case n == NoLimit:
		n = -1
	}
	err := s.changeConsumer(ctx, s.layout.QueueSources(queue)[0], func(c *jetstream.ConsumerConfig) { c.MaxAckPending = n })
	if err != nil {
		return fmt.Errorf("limit queue %s: %w", queue, err)
	}
	return s.rpc.Conn.Publish(s.layout.QueueSubject(queue), nil) // an executor that misses it reads the limit when it reconnects
}

// PauseQueue stops the delivery of a queue's executions until a time; the zero time resumes it.
// Executions in hand continue, and newly enqueued ones wait.
func (s *Store) PauseQueue(ctx context.Context, queue string, until time.Time) error {
	if err := engine.ValidateQueue(queue); err != nil {
		return fmt.Errorf("pause queue: %w", err)
	}
	for _, src := range s.layout.QueueSources(queue) {
		err := s.makeConsumer(ctx, src)
		switch {
		case err != nil:
		case until.IsZero():
			err = s.resume(ctx, src)
		default:
			_, err = s.pause(ctx, src, until)
		}
		if err != nil {
			return fmt.Errorf("pause queue %s: %w", queue, err)
		}
	}
	return nil
}

// pauseReason is the key of the reason in the metadata of a queue's consumers.
const pauseReason = "durable.pause-reason"

// ExplainPause stores why a queue is paused or will be; an empty reason removes it. The reason
// is shown while the queue is paused: see [api.Queue].
func (s *Store) ExplainPause(ctx context.Context, queue, reason string) error {
	if err := engine.ValidateQueue(queue); err != nil {
		return fmt.Errorf("explain the pause of a queue: %w", err)
	}
	for _, src := range s.layout.QueueSources(queue) {
		err := s.changeConsumer(ctx, src, func(c *jetstream.ConsumerConfig) {
			c.Metadata = maps.Clone(c.Metadata)
			delete(c.Metadata, pauseReason)
			if reason != "" {
				if c.Metadata == nil {
					c.Metadata = map[string]string{}
				}
				c.Metadata[pauseReason] = reason
			}
		})
		if err != nil {
			return fmt.Errorf("explain the pause of queue %s: %w", queue, err)
		}
	}
	return nil
}

func (s *Store) pause(ctx context.Context, src layout.Source, until time.Time) (p *jetstream.ConsumerPauseResponse, err error) {
	err = s.rpc.Manage(ctx, func(ctx context.Context) (err error) {
		p, err = s.rpc.JS.PauseConsumer(ctx, src.Stream, src.Consumer, until.UTC())
		return err
	})
	return p, err
}

// soon is how much longer a pause lasts that is being ended.
const soon = 100 * time.Millisecond

// resume lets a pause expire. If the pause were removed, nats-server (2.15.2,
// consumer.updatePauseState) would not serve waiting pulls until the next message or the next
// pull. The server's clock counts, and may differ from ours: if it is behind, its answer says
// how far; if it is ahead, resume requests longer pauses until one lies in the future.
func (s *Store) resume(ctx context.Context, src layout.Source) error {
	for ahead := soon; ahead < time.Hour; ahead *= 4 {
		until := time.Now().Add(ahead)
		p, err := s.pause(ctx, src, until)
		if err != nil {
			return err
		}
		if p.Paused && p.PauseRemaining > 2*soon {
			p, err = s.pause(ctx, src, until.Add(soon-p.PauseRemaining))
		}
		if err != nil || p.Paused {
			return err
		}
	}
	_, err := s.pause(ctx, src, time.Time{})
	return err
}

// watchLimit makes a feed of a queue follow changes of the limit. The feed has read the first
// limit from its consumer.
func (s *Store) watchLimit(queue string, ready layout.Source) (stop func(), err error) {
	sub, err := s.rpc.Conn.Subscribe(s.layout.QueueSubject(queue), func(*nats.Msg) {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), rpc.Patience)
			defer cancel()
			_ = s.makeConsumer(ctx, ready) // this reads the limit; if it fails, the feed reads it when it reconnects
		}()
	})
	if err != nil {
		return nil, err
	}
	return func() { _ = sub.Unsubscribe() }, nil // fails only if the connection is closed already
}

// move stores a message that came from the timers in the ready stream, whose consumer has the
// queue's limit. If that fails now, the message is redelivered.
func (s *Store) move(m *nats.Msg, b *baton) {
	s.errands.run(func() {
		if err := s.moveToReady(context.Background(), m, b); err != nil {
			_ = s.nak(m, engine.ForeignDelay(b.deliveries))
		}
	})
}

// moveToReady fails with ErrExists as long as the execution's last message is in the ready
// stream: its holder may be about to acknowledge it, and then no message would lead to the
// execution.
func (s *Store) moveToReady(ctx context.Context, m *nats.Msg, b *baton) error {
	moved := &nats.Msg{Subject: s.layout.ReadySubject(b.execution), Header: message.OwnHeaders(m.Header), Data: m.Data}
	moved.Header.Set(codec.HeaderDeliveries, strconv.Itoa(b.deliveries))
	message.Exclusive(moved) // the timers may fire twice
	sequence, err := s.rpc.Publish(ctx, moved, nil)
	if err != nil {
		return err
	}
	if err := s.settle(ctx, b.execution, sequence); err != nil {
		return err
	}
	return b.Done(ctx)
}
