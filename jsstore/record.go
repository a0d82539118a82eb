package jsstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/message"
	"github.com/durable-execution/durable/jsstore/internal/rpc"
)

// Update implements [engine.Store].
func (s *Store) Update(ctx context.Context, x engine.Execution, at engine.Revision) (engine.Revision, error) {
	if err := s.keepPayloads(ctx, &x); err != nil {
		return 0, err
	}
	if err := s.keepSpawns(ctx, &x); err != nil {
		return 0, err
	}
	buffer := rpc.TakeBuffer()
	data, err := engine.EncodeRecordIn(*buffer, &x)
	if err != nil {
		return 0, err
	}
	if most := int(s.rpc.Conn.MaxPayload()) - 1024; len(data) > most {
		return 0, fmt.Errorf("%w: record of %d bytes, the limit is %d", engine.ErrTooLarge, len(data), most)
	}
	m := &nats.Msg{Subject: s.layout.RecordSubject(x.ID), Data: data, Header: nats.Header{}}
	if d, ends := x.TimeToLive(s.Limits()); ends {
		m.Header.Set(jetstream.MsgTTLHeader, message.Seconds(d))
	}
	revision, err := s.putOver(ctx, m, at, &x)
	if err == nil { // otherwise the message may still be on its way
		rpc.GiveBack(buffer, data)
	}
	return revision, err
}

// Get implements [engine.Store].
func (s *Store) Get(ctx context.Context, id string) (engine.Record, error) {
	r, err := s.ns.Record(ctx, id)
	if !errors.Is(err, engine.ErrNotFound) {
		return r, err
	}
	gone := r // from an earlier life, unless a queued message says otherwise
	r, err = s.queued(ctx, id)
	switch {
	case errors.Is(err, engine.ErrNotFound):
		return s.ns.Record(ctx, id)
	case gone.ID != "" && gone.SameLife(&r.Execution):
		return gone, nil // the queued message led to this record and is not acknowledged yet
	}
	return r, err
}

// GetMany implements [engine.Store]. It asks the leader for records that the replica does not
// have, or shows as unfinished, and for records that the answer had no room for.
func (s *Store) GetMany(ctx context.Context, ids []string) ([]engine.Record, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	subjects := make([]string, len(ids))
	for i, id := range ids {
		if err := engine.ValidateID(id); err != nil {
			return nil, err
		}
		subjects[i] = s.layout.RecordSubject(id)
	}
	found := make(map[string]engine.Record, len(ids))
	for m, err := range s.rpc.LastOf(ctx, s.layout.Records(), subjects) {
		if err != nil {
			return nil, err
		}
		r, err := s.ns.DecodeRecord(m)
		if errors.Is(err, engine.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found[r.ID] = r
	}
	list := make([]engine.Record, len(ids))
	var missing []error
	for i, id := range ids {
		r, ok := found[id]
		if !ok || !r.Status.Finished() {
			var err error
			if r, err = s.Get(ctx, id); err != nil {
				missing = append(missing, err)
			}
		}
		list[i] = r
	}
	if len(missing) > 0 {
		return nil, errors.Join(missing...)
	}
	return list, nil
}
