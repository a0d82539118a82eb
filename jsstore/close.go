package jsstore

import (
	"slices"
	"time"

	"github.com/durable-execution/durable/engine"
)

// Close ends the store's subscriptions, and its connection if Connect made it. Every
// call returns [engine.ErrClosed] from then on; executors that run on it end with that.
// Feeds are closed first by whoever opened them.
func (s *Store) Close() error {
	s.nc.RemoveStatusListener(s.status)
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
	s.requests.close()
	s.errands.end() // their calls have failed
	if s.ownsConn {
		s.nc.Close()
	}
	return nil
}

// drainTime is how long Close may wait for the server.
const drainTime = time.Second

// drain ends what closed feeds have asked for: what the server has sent by then is
// handed back, where it would wait for its lease if the connection closed first. The
// client waits with timers of its own, which a bubble of synctest can't share, so
// this is for connections that are this package's.
func drain(pullers []*puller) {
	for _, p := range pullers {
		_ = p.sub.Drain() // fails only where there is no connection, and nothing to drain
	}
	for end := time.Now().Add(drainTime); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if !slices.ContainsFunc(pullers, func(p *puller) bool { return p.sub.IsValid() }) {
			return
		}
	}
}
