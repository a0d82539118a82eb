package embedded

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/jsstore"
)

// A Store is a namespace on a server of its own, in this process.
type Store struct {
	*jsstore.Store
	server *Server
	conn   *nats.Conn
}

// Open starts a server and opens a namespace on it. Close ends both. A directory
// that another process has open gives an *[InUseError].
func Open(ctx context.Context, c Config) (*Store, error) {
	server, err := Start(ctx, c)
	if err != nil {
		return nil, err
	}
	conn, err := server.Connect(nats.ReconnectBufSize(-1)) // as jsstore.Connect has it
	if err != nil {
		return nil, errors.Join(err, server.Close())
	}
	c.Store.GroupWrites = c.Store.GroupWrites || c.SyncAlways
	store, err := jsstore.Open(ctx, conn, c.Store)
	if err != nil {
		conn.Close()
		return nil, errors.Join(fmt.Errorf("open store in %s: %w", c.Dir, err), server.Close())
	}
	return &Store{Store: store, server: server, conn: conn}, nil
}

// URL is where other processes connect to; empty without a port.
func (s *Store) URL() string { return s.server.URL() }

// Close closes the namespace and stops the server. What was acknowledged is on
// the disk when it returns.
func (s *Store) Close() error {
	err := s.Store.Close()
	s.conn.Close()
	return errors.Join(err, s.server.Close())
}
