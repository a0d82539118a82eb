package jsstore

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
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

// word holds the last error of a connection: the client forgets why it could not connect as
// soon as it tries again. With a nil word only the connection's own last error is known.
type word struct {
	mu   sync.Mutex
	last error
}

// options returns the options that make the connection report its errors to the word.
func (w *word) options() []nats.Option {
	return []nats.Option{
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { w.hear(err) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { w.hear(err) }),
		// Without a handler the client prints errors. The calls that they concern return them.
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { w.hear(err) }),
	}
}

func (w *word) hear(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = err
}

// lastWord returns why there is no connection, or nil if that is not known.
func (s *Store) lastWord() error {
	if err := s.nc.LastError(); err != nil {
		return err
	}
	if s.word == nil {
		return nil
	}
	s.word.mu.Lock()
	defer s.word.mu.Unlock()
	return s.word.last
}

// errDisconnected is the error of a call that finds no connection.
var errDisconnected = errors.New("not connected to the server")

// disconnected returns errDisconnected, wrapped with the connection's last error.
func (s *Store) disconnected() error {
	if last := s.lastWord(); last != nil {
		return fmt.Errorf("%w: %w", errDisconnected, last)
	}
	return errDisconnected
}

// closedForGood returns the error of every call on a store whose connection is closed.
func (s *Store) closedForGood() error {
	last := s.nc.LastError()
	if last == nil {
		last = nats.ErrConnectionClosed
	}
	return fmt.Errorf("%w: its connection is closed for good: %w", engine.ErrClosed, last)
}

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
			case s.nc.IsClosed():
				err := s.closedForGood()
				if s.shut(err) {
					s.log.Error("connection to NATS is closed for good", "error", err)
				}
				s.requests.sender.close()
				return
			case !open:
				return
			case status == nats.RECONNECTING && lost.IsZero():
				lost = time.Now()
				s.requests.disconnected(errDisconnected)
				_, pullers := s.open()
				for _, p := range pullers {
					p.disconnected()
				}
				if tell, left := lines.Fails(lost); tell {
					s.log.Warn("connection to NATS lost", withLeft(left, "error", s.lastWord())...)
				}
				remind.Reset(firstReminder)
			case status == nats.CONNECTED:
				s.reconnected()
				if !lost.IsZero() && (lines.Ends() || time.Since(lost) > firstReminder) {
					s.log.Info("connection to NATS restored", "server", Redact(s.nc.ConnectedUrl()), "after", time.Since(lost))
				}
				remind.Stop()
				lost = time.Time{}
			}
		case <-remind.C:
			s.log.Error("connection to NATS is still lost", "for", time.Since(lost), "error", s.lastWord())
			remind.Reset(reminder)
		}
	}
}

// withLeft adds to the fields of a line how many of its kind were left out before it.
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
	if !s.requests.shut(err) {
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
