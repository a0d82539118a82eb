package memstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
)

// A record is an encoded execution, so that callers share no memory.
type record struct {
	data     []byte
	revision engine.Revision
}

// Get implements [engine.Store].
func (s *Store) Get(ctx context.Context, id string) (engine.Record, error) {
	if err := s.lock(ctx); err != nil {
		return engine.Record{}, err
	}
	defer s.mu.Unlock()
	return s.get(id)
}

// GetMany implements [engine.Store].
func (s *Store) GetMany(ctx context.Context, ids []string) ([]engine.Record, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	records := make([]engine.Record, len(ids))
	errs := make([]error, len(ids))
	for i, id := range ids {
		records[i], errs[i] = s.get(id)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return records, nil
}

func (s *Store) get(id string) (engine.Record, error) {
	r, recorded := s.records[id]
	name := ""
	if recorded && s.gone(id) {
		r, recorded = record{}, false
	}
	for _, queued := range s.ready[id] {
		// Ignore a message that is only a hint: without the record there is no execution.
		if !recorded && !queued.message.recorded {
			r.data, name, recorded = queued.data, queued.name, true
		}
	}
	if !recorded {
		return engine.Record{}, fmt.Errorf("get %s: %w", id, engine.ErrNotFound)
	}
	x, err := engine.DecodeRecord(bytes.Clone(r.data))
	return engine.Record{Execution: x, Revision: r.revision, Queued: name}, err
}

// Update implements [engine.Store].
func (s *Store) Update(ctx context.Context, x engine.Execution, at engine.Revision) (engine.Revision, error) {
	if err := s.lock(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	if s.records[x.ID].revision != at && (at != 0 || !s.makesRoom(x)) {
		return 0, engine.ErrConflict
	}
	if err := errors.Join(s.fits("input", x.Input.Data), s.fits("output", x.Output.Data)); err != nil {
		return 0, err
	}
	list, err := engine.EncodeSpawns(x.Spawns)
	if err != nil {
		return 0, fmt.Errorf("encode children of %s: %w", x.ID, err)
	}
	long := len(list) > s.config.Payload
	if long {
		x.Spawns, x.SpawnsAt = nil, x.ID // the id is enough: an execution spawns only once
	}
	data, err := encode(x)
	if err != nil {
		return 0, err
	}
	if long {
		s.spawns[x.SpawnsAt] = list
	}
	s.revision++
	s.records[x.ID] = record{data, s.revision}
	if d, ends := x.TimeToLive(s.Limits()); ends {
		s.vanish(x.ID, s.revision, d)
	}
	return s.revision, nil
}

// Spawns implements [engine.Store].
func (s *Store) Spawns(ctx context.Context, x engine.Execution) ([]engine.Spawn, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	return s.children(x)
}

func (s *Store) children(x engine.Execution) ([]engine.Spawn, error) {
	if x.SpawnsAt == "" {
		return x.Spawns, nil
	}
	list, ok := s.spawns[x.SpawnsAt]
	if !ok {
		return nil, fmt.Errorf("children of %s: %w", x.ID, engine.ErrNotFound)
	}
	return engine.DecodeSpawns(list)
}

// Load implements [engine.Store]. It returns p: this store keeps payloads in the records.
func (s *Store) Load(ctx context.Context, _ string, p codec.Payload) (codec.Payload, error) {
	if err := s.lock(ctx); err != nil {
		return codec.Payload{}, err
	}
	defer s.mu.Unlock()
	return p, nil
}

// List implements [engine.Store]. It yields the executions that exist when it begins.
func (s *Store) List(ctx context.Context, f engine.Filter) iter.Seq2[engine.Record, error] {
	return func(yield func(engine.Record, error) bool) {
		ids, err := s.ids(ctx)
		if err != nil {
			yield(engine.Record{}, err)
			return
		}
		for _, id := range ids {
			r, err := s.Get(ctx, id)
			if errors.Is(err, engine.ErrNotFound) || err == nil && !f.Matches(r.Execution) {
				continue
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

func (s *Store) ids(ctx context.Context) ([]string, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	ids := make([]string, 0, len(s.records))
	for id := range s.records {
		ids = append(ids, id)
	}
	for id := range s.ready {
		if _, recorded := s.records[id]; !recorded {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
