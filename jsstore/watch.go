package jsstore

import (
	"context"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/engine"
)

// A watcher is a subscription to notices. It calls fn for one notice at a time.
type watcher struct {
	s   *Store
	sub *nats.Subscription
	fn  func(engine.Notice)

	mu      sync.Mutex
	stopped bool
}

// Watch implements [engine.Store].
func (s *Store) Watch(ctx context.Context, topic engine.Topic, fn func(engine.Notice)) (func(), error) {
	if err := s.rpc.Usable(ctx); err != nil {
		return nil, err
	}
	w := &watcher{s: s, fn: fn}
	subject, notice := s.layout.CancelSubject(">"), cancelNotice
	if topic.Outcome != "" {
		subject, notice = s.layout.EndedSubject(topic.Outcome), endedNotice(topic.Outcome)
	}
	sub, err := s.rpc.Conn.Subscribe(subject, func(m *nats.Msg) {
		if n, ok := notice(m); ok {
			w.tell(n)
		}
	})
	if err != nil {
		return nil, s.rpc.ClosedOr(err)
	}
	w.sub = sub
	s.mu.Lock()
	s.watchers[w] = struct{}{}
	s.mu.Unlock()
	if err := s.rpc.Gone(); err != nil { // the store was closed in between, and nobody would tell this watcher
		w.stop()
		return nil, err
	}
	return w.stop, nil
}

func cancelNotice(m *nats.Msg) (engine.Notice, bool) {
	c, err := engine.DecodeCancel(m.Data)
	return engine.Notice{Cancel: &c}, err == nil
}

func endedNotice(id string) func(*nats.Msg) (engine.Notice, bool) {
	return func(m *nats.Msg) (engine.Notice, bool) {
		x, err := engine.DecodeRecord(m.Data)
		if err != nil || x.ID != id {
			x = engine.Execution{ID: id} // the execution is too long for a notice; read its record
		}
		return engine.Notice{Finished: &x}, true
	}
}

func (w *watcher) tell(n engine.Notice) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.stopped {
		w.fn(n)
	}
}

func (w *watcher) stop() {
	_ = w.sub.Unsubscribe() // fails only if the connection is closed already
	w.s.mu.Lock()
	delete(w.s.watchers, w)
	w.s.mu.Unlock()
	w.mu.Lock()
	w.stopped = true
	w.mu.Unlock()
}
