package memstore

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/durable-execution/durable/engine"
)

// A deadLetter is a message that was set aside.
type deadLetter struct {
	engine.Aside
	until time.Time // when it is removed; zero means never
}

// SetAside implements [engine.Baton].
func (b *baton[M]) SetAside(ctx context.Context, reason string) error {
	return b.act(ctx, func(m *message[M]) {
		if m.state == removed {
			return
		}
		s := m.queue.store
		a := deadLetter{Aside: m.about}
		a.Name, a.Reason = fmt.Sprintf("=aside.%d", len(s.aside)), reason
		if d := s.config.Retention; d != engine.Forever {
			a.until = time.Now().Add(d)
		}
		s.aside = append(s.aside, a)
		m.remove()
	})
}

// Aside implements [engine.Store]. It lists messages only: this store can read all its records.
func (s *Store) Aside(ctx context.Context) iter.Seq2[engine.Aside, error] {
	return func(yield func(engine.Aside, error) bool) {
		if err := s.lock(ctx); err != nil {
			yield(engine.Aside{}, err)
			return
		}
		list := slices.Clone(s.aside)
		s.mu.Unlock()
		for _, a := range list {
			if !a.until.IsZero() && !time.Now().Before(a.until) {
				continue
			}
			if !yield(a.Aside, nil) {
				return
			}
		}
	}
}
