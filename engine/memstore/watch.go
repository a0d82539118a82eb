package memstore

import (
	"bytes"
	"context"

	"github.com/durable-execution/durable/engine"
)

// A watcher calls fn with its notices, one after the other.
type watcher struct {
	store   *Store
	fn      func(engine.Notice)
	news    []engine.Notice
	calling bool
	stopped bool
}

// Watch implements [engine.Store]. Stop does not wait for a running call of fn. Fn may call the
// store, and stop.
func (s *Store) Watch(ctx context.Context, topic engine.Topic, fn func(engine.Notice)) (stop func(), err error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	w := &watcher{store: s, fn: fn}
	if s.watchers[topic] == nil {
		s.watchers[topic] = map[*watcher]bool{}
	}
	s.watchers[topic][w] = true
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		w.stopped = true
		delete(s.watchers[topic], w)
		if len(s.watchers[topic]) == 0 {
			delete(s.watchers, topic)
		}
	}, nil
}

func (w *watcher) tell(n engine.Notice) {
	w.news = append(w.news, n)
	if !w.calling {
		w.calling = true
		go w.call()
	}
}

func (w *watcher) call() {
	w.store.mu.Lock()
	for len(w.news) > 0 && !w.stopped {
		n := w.news[0]
		w.news = w.news[1:]
		w.store.mu.Unlock()
		w.fn(n)
		w.store.mu.Lock()
	}
	w.calling = false
	w.store.mu.Unlock()
}

func (s *Store) announceCancel(c engine.Cancel) {
	for w := range s.watchers[engine.Topic{}] {
		c := c // a copy for each watcher
		w.tell(engine.Notice{Cancel: &c})
	}
}

func (s *Store) announce(x engine.Execution) error {
	data, err := encode(x)
	if err != nil {
		return err
	}
	for w := range s.watchers[engine.Topic{Outcome: x.ID}] {
		// A notice is limited like a payload. A longer one has only the id, as on a real wire.
		finished := engine.Execution{ID: x.ID}
		if len(data) <= s.config.Payload {
			if finished, err = engine.DecodeRecord(bytes.Clone(data)); err != nil {
				return err
			}
		}
		w.tell(engine.Notice{Finished: &finished})
	}
	return nil
}

func (s *Store) announceClosed() {
	for _, list := range s.watchers {
		for w := range list {
			w.tell(engine.Notice{Closed: ErrClosed})
		}
	}
	clear(s.watchers)
}
