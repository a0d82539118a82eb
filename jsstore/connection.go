package jsstore

import (
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/engine"
)

// A lost connection is logged at once, again after firstReminder, and then every reminder until
// it is restored.
const (
	firstReminder = 10 * time.Second
	reminder      = time.Minute
)

// followConnection logs the state of the connection, and passes it on to the requests, the
// pullers and the watchers.
//
// The client drops a status that does not fit into the channel. So for each status this asks
// the connection itself whether it is closed: if the status CLOSED was dropped, the channel
// still holds others.
func (s *Store) followConnection() {
	defer close(s.stopped)
	var lost time.Time // zero while there is a connection
	var lines engine.Spells
	remind := time.NewTimer(0)
	<-remind.C
	defer remind.Stop()
	for {
		select {
		case status, open := <-s.status:
			switch {
			case s.rpc.Conn.IsClosed():
				err := s.rpc.ClosedForGood()
				if s.shut(err) {
					s.log.Error("connection to NATS is closed for good", "error", err)
				}
				s.rpc.Flush()
				return
			case !open:
				return
			case status == nats.RECONNECTING && lost.IsZero():
				lost = time.Now()
				s.rpc.Lost()
				_, pullers := s.open()
				for _, p := range pullers {
					p.disconnected()
				}
				if tell, left := lines.Fails(lost); tell {
					s.log.Warn("connection to NATS lost", withLeft(left, "error", s.rpc.LastWord())...)
				}
				remind.Reset(firstReminder)
			case status == nats.CONNECTED:
				s.reconnected()
				if !lost.IsZero() && (lines.Ends() || time.Since(lost) > firstReminder) {
					s.log.Info("connection to NATS restored", "server", Redact(s.rpc.Conn.ConnectedUrl()), "after", time.Since(lost))
				}
				remind.Stop()
				lost = time.Time{}
			}
		case <-remind.C:
			s.log.Error("connection to NATS is still lost", "for", time.Since(lost), "error", s.rpc.LastWord())
			remind.Reset(reminder)
		}
	}
}

// withLeft adds to the fields of a log line how many lines of its kind were left out before it.
func withLeft(left int, fields ...any) []any {
	if left > 0 {
		fields = append(fields, "not logged", left)
	}
	return fields
}

func (s *Store) reconnected() {
	watchers, pullers := s.open()
	for _, p := range pullers {
		p.restart()
	}
	for _, w := range watchers {
		w.tell(engine.Notice{Reconnected: true})
	}
}

// shut makes every call return err from now on, calls under way included, and notifies the
// watchers. It returns false if the store was shut before.
func (s *Store) shut(err error) bool {
	if !s.rpc.Shut(err) {
		return false
	}
	watchers, _ := s.open()
	for _, w := range watchers {
		w.tell(engine.Notice{Closed: err})
	}
	return true
}

// open returns the watchers and pullers that are open on the connection.
func (s *Store) open() ([]*watcher, []*puller) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return keys(s.watchers), keys(s.pullers)
}

func logger(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.Default()
	}
	return l
}
