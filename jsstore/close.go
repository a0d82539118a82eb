package jsstore

import (
	"slices"
	"time"

	"github.com/durable-execution/durable/engine"
)

// Close ends the store's subscriptions, and closes its connection if Connect made it. Every
// call returns [engine.ErrClosed] from then on, and executors that run on the store end with
// that error. Close the feeds first.
func (s *Store) Close() error {
	s.rpc.Conn.RemoveStatusListener(s.status)
	s.shut(engine.ErrClosed)
	watchers, pullers := s.open()
	if s.ownsConn {
		drain(pullers)
	}
	for _, p := range pullers {
		p.unsubscribe()
	}
	for _, w := range watchers {
		w.stop()
	}
	s.rpc.Close()
	s.errands.end() // their calls have failed by now
	if s.ownsConn {
		s.rpc.Conn.Close()
	}
	return nil
}

// drainTime is how long Close may wait for the server.
const drainTime = time.Second

// drain completes the hand-backs of closed feeds: it returns the messages that the server has
// sent until then. If the connection closed first, these messages would wait for the end of
// their lease. The client waits with timers of its own, which don't work inside a synctest
// bubble, so drain is called only for connections that this package made.
func drain(pullers []*puller) {
	for _, p := range pullers {
		_ = p.sub.Drain() // fails only without a connection; then there is nothing to drain
	}
	for end := time.Now().Add(drainTime); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if !slices.ContainsFunc(pullers, func(p *puller) bool { return p.sub.IsValid() }) {
			return
		}
	}
}
