package rpc

import (
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/engine"
)

// Word holds the last error of a connection: the client forgets why it could not connect as
// soon as it tries again. With a nil word only the connection's own last error is known.
type Word struct {
	mu   sync.Mutex
	last error
}

// Options returns the options that make the connection report its errors to the word.
func (w *Word) Options() []nats.Option {
	return []nats.Option{
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { w.hear(err) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { w.hear(err) }),
		// Without a handler the client prints errors. The calls that they concern return them.
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { w.hear(err) }),
	}
}

func (w *Word) hear(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = err
}

// LastWord returns why there is no connection, or nil if that is not known.
func (s *Client) LastWord() error {
	if err := s.Conn.LastError(); err != nil {
		return err
	}
	if s.Heard == nil {
		return nil
	}
	s.Heard.mu.Lock()
	defer s.Heard.mu.Unlock()
	return s.Heard.last
}

// ErrDisconnected is the error of a call that finds no connection.
var ErrDisconnected = errors.New("not connected to the server")

// disconnected returns errDisconnected, wrapped with the connection's last error.
func (s *Client) disconnected() error {
	if last := s.LastWord(); last != nil {
		return fmt.Errorf("%w: %w", ErrDisconnected, last)
	}
	return ErrDisconnected
}

// ClosedForGood returns the error of every call on a store whose connection is closed.
func (s *Client) ClosedForGood() error {
	last := s.Conn.LastError()
	if last == nil {
		last = nats.ErrConnectionClosed
	}
	return fmt.Errorf("%w: its connection is closed for good: %w", engine.ErrClosed, last)
}
