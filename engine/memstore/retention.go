package memstore

import (
	"context"
	"time"

	"github.com/durable-execution/durable/engine"
)

// vanish removes a record after d, if it is still at the given revision.
func (s *Store) vanish(id string, at engine.Revision, d time.Duration) {
	time.AfterFunc(d, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.records[id].revision == at {
			delete(s.records, id)
		}
	})
}

// expire schedules the expiry of a tree. It replaces an earlier expiry of the same root that is
// not due yet: in JetStream, too, a root has a single timer.
func (s *Store) expire(e engine.Expire) {
	at, ends := e.LookAt(s.Limits())
	if !ends {
		return
	}
	root := e.Execution.Root()
	if m := s.expiryOf[root]; m != nil && m.state == waiting {
		m.remove()
	}
	m := s.expiries.put(at, "expiries", root, func(b *baton[engine.ExpiryMessage]) engine.ExpiryMessage {
		return engine.ExpiryMessage{Baton: b, Root: root, Deliveries: b.delivery}
	})
	s.expiryOf[root] = m
	m.removed = func() {
		if s.expiryOf[root] == m {
			delete(s.expiryOf, root)
		}
	}
}

// Delete implements [engine.Store].
func (s *Store) Delete(ctx context.Context, root string, at engine.Revision) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if s.records[root].revision != at && (at != 0 || !s.gone(root)) {
		return engine.ErrConflict
	}
	s.removeTree(root)
	return nil
}

func (s *Store) removeTree(root string) {
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
}

// gone reports whether an execution's record counts as removed: see [engine.Execution.Gone]. A
// record that vanishes by itself does not count as removed before that.
func (s *Store) gone(id string) bool {
	x, err := engine.DecodeRecord(s.records[id].data)
	if err != nil || !x.Gone(s.Limits(), time.Now()) {
		return false
	}
	if _, vanishes := x.TimeToLive(s.Limits()); vanishes {
		return false
	}
	for _, queued := range s.ready[id] {
		y, err := engine.DecodeRecord(queued.data)
		if err == nil && !queued.message.recorded && x.SameLife(&y) {
			return false
		}
	}
	return true
}

// makesRoom removes the tree of an earlier execution with x's id if that execution is gone. It
// reports whether it did.
func (s *Store) makesRoom(x engine.Execution) bool {
	earlier, err := engine.DecodeRecord(s.records[x.ID].data)
	if err != nil || !s.gone(x.ID) || earlier.SameLife(&x) {
		return false
	}
	s.removeTree(x.ID)
	return true
}
