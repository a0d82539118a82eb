package memstore

import (
	"context"
	"time"

	"github.com/durable-execution/durable/engine"
)

// vanish removes a record in d, unless it is at another revision by then.
func (s *Store) vanish(id string, at engine.Revision, d time.Duration) {
	time.AfterFunc(d, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.records[id].revision == at {
			delete(s.records, id)
		}
	})
}

// expire has a tree looked at. Of one root there is one look to come, the latest
// that was asked for, as there is one timer for it in JetStream.
func (s *Store) expire(e engine.Expire) {
	at, ends := e.LookAt(s.Limits())
	if !ends {
		return
	}
	root := e.Execution.Root()
	if m := s.looks[root]; m != nil && m.place == waiting {
		m.remove()
	}
	m := s.expiries.put(at, "expiries", root, func(h *hand[engine.ExpiryMessage]) engine.ExpiryMessage {
		return engine.ExpiryMessage{Baton: h, Root: root, Deliveries: h.delivery}
	})
	s.looks[root] = m
	m.removed = func() {
		if s.looks[root] == m {
			delete(s.looks, root)
		}
	}
}

// Delete implements [engine.Store].
func (s *Store) Delete(ctx context.Context, root string, at engine.Revision) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if s.records[root].revision != at {
		return engine.ErrConflict
	}
	for id := range s.records {
		if engine.RootOf(id) == root {
			delete(s.records, id)
		}
	}
	for id := range s.spawns {
		if engine.RootOf(id) == root {
			delete(s.spawns, id)
		}
	}
	return nil
}
