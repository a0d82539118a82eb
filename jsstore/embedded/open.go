package embedded

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/jsstore"
)

// A Store is a namespace on a server that runs in this process.
type Store struct {
	*jsstore.Store
	server *Server
	conn   *nats.Conn
}

// Open starts a server and opens a namespace on it. Close ends both. It returns an
// *[InUseError] if another process has the directory open.
func Open(ctx context.Context, c Config) (*Store, error) {
	server, err := Start(ctx, c)
	if err != nil {
		return nil, err
	}
	conn, err := server.Connect(nats.ReconnectBufSize(-1)) // as in jsstore.Connect
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

// URL returns the address for other processes; empty without a port.
func (s *Store) URL() string { return s.server.URL() }

// Close closes the namespace and stops the server. When it returns, all acknowledged writes are
// on the disk.
func (s *Store) Close() error {
	err := s.Store.Close()
	s.conn.Close()
	return errors.Join(err, s.server.Close())
}
