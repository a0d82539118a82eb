package jsstore

import (
	"context"
	"errors"
	"strconv"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/message"
	"github.com/durable-execution/durable/jsstore/internal/rpc"
)

// The parts of the package that its tests need. The tests are in another package because the
// servers for tests import this one.

var ErrNoAnswer = rpc.ErrNoAnswer

func (s *Store) RecordSubject(id string) string { return s.layout.RecordSubject(id) }

func (s *Store) Own(ctx context.Context, subject, write string, at engine.Revision, conflict error) (engine.Revision, error) {
	return s.ns.Own(ctx, subject, write, at, conflict)
}

func (s *Store) KeepIn(ctx context.Context, id string, p codec.Payload, size int) (codec.Payload, error) {
	return s.keepIn(ctx, id, p, size)
}

func (s *Store) Publish(ctx context.Context, m *nats.Msg) (uint64, error) {
	return s.rpc.Publish(ctx, m, nil)
}

func (s *Store) ReadyMessage(d engine.Due) *nats.Msg { return message.ReadyMessage(s.layout, &d) }

// Delivery reads a message as if it were delivered for the first time.
func (s *Store) Delivery(m *nats.Msg) (*engine.Delivery, bool) { return s.delivery(m, false, false) }

// GroupFrom makes the store group writes from this number on.
func (s *Store) GroupFrom(least int) {
	for _, g := range s.rpc.Groups {
		g.Least = least
	}
}

// Strays stores messages that can't be delivered to any executor.
func (s *Store) Strays(ctx context.Context, n int) error {
	ms := make([]*nats.Msg, n)
	for i := range ms {
		ms[i] = nats.NewMsg(s.layout.NS + ".ready.stray" + strconv.Itoa(i))
	}
	return errors.Join(s.rpc.PublishAll(ctx, ms, nil)...)
}

// LookForStrays scans once for messages that can't be delivered to any executor.
func (s *Store) LookForStrays(ctx context.Context) error {
	_, err := s.lookForStrays(ctx, 0)
	return err
}

var PubAck = rpc.PubAck
