// Package embedded runs a NATS server with JetStream inside the process. It owns the server's
// directory, its lifetime and the connections to it; it knows nothing about the stored data.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// A Server is a NATS server that runs in this process and owns its directory.
type Server struct {
	nats  *server.Server
	owner *owner
	url   string // empty if it has no port

	mu     sync.Mutex
	conns  []*nats.Conn // made by Connect; closed ones are dropped from time to time
	closed bool
	stop   func() error
}

// Start starts a server on the directory. It returns once the server has recovered the stored
// data and accepts connections: a few milliseconds for an empty directory, seconds for millions
// of messages. It returns an *InUseError if the directory is open already. If ctx ends first,
// it returns ctx's cause; recovery can't be interrupted, so the directory is released when
// recovery ends. Once started, the server is independent of ctx.
func Start(ctx context.Context, c Config) (*Server, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("start server in %s: %w", c.Dir, context.Cause(ctx))
	}
	owner, err := own(c.Dir)
	if inUse := (*InUseError)(nil); errors.As(err, &inUse) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("start server in %s: %w", c.Dir, explain(err))
	}
	s, err := start(ctx, c, owner)
	if err != nil {
		return nil, fmt.Errorf("start server in %s: %w", c.Dir, explain(err))
	}
	return s, nil
}

// start takes over the owner, even if it returns an error.
func start(ctx context.Context, c Config, owner *owner) (*Server, error) {
	log := &logger{hook: c.say()}
	n, err := server.NewServer(c.options())
	if err != nil {
		return nil, errors.Join(err, owner.release())
	}
	n.SetLoggerV2(log, false, false, false)
	s := &Server{nats: n, owner: owner}
	s.stop = sync.OnceValue(func() error {
		n.Shutdown()
		n.WaitForShutdown()
		return owner.release()
	})

	started := make(chan struct{})
	go func() {
		defer close(started)
		n.Start()
	}()
	select {
	case <-started:
	case <-ctx.Done():
		go func() {
			<-started // a shutdown in the middle of Start would race with it
			_ = s.stop()
		}()
		return nil, context.Cause(ctx)
	}
	// Start returns no error: it logs a failure as fatal, and returns.
	if err := log.fatal(); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	if c.Port != 0 {
		s.url = clientURL(n)
		if err := owner.announce(s.url, c.Sync()); err != nil {
			return nil, errors.Join(err, s.stop())
		}
	}
	return s, nil
}

// Connect returns a connection that stays inside the process. Unless opts say
// otherwise it reconnects for ever. Close closes it.
func (s *Server) Connect(opts ...nats.Option) (*nats.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("connect to server in %s: %w", s.owner.dir, server.ErrServerNotRunning)
	}
	nc, err := nats.Connect("", slices.Concat([]nats.Option{
		nats.InProcessServer(s),
		nats.MaxReconnects(-1),
		// The server is in this process, so whatever cut the connection (a stall longer than
		// the pings allow, a protocol error) is over at once.
		nats.ReconnectWait(100 * time.Millisecond),
	}, opts)...)
	if err != nil {
		return nil, fmt.Errorf("connect to server in %s: %w", s.owner.dir, err)
	}
	s.conns = append(slices.DeleteFunc(s.conns, (*nats.Conn).IsClosed), nc)
	return nc, nil
}

// InProcessConn returns the client's end of a new connection, so that a Server can be the
// argument of [nats.InProcessServer].
func (s *Server) InProcessConn() (net.Conn, error) { return s.nats.InProcessConn() }

// URL returns the address for other processes; empty without a port.
func (s *Server) URL() string { return s.url }

// Close closes the connections that Connect made, stops the server, waits for its end and
// releases the directory. Drain the connections first if pending messages must be handled. A
// second call does nothing.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	conns := s.conns
	s.conns = nil
	s.mu.Unlock()
	// Otherwise they would try to reach the server for ever.
	for _, nc := range conns {
		nc.Close()
	}
	if err := s.stop(); err != nil {
		return fmt.Errorf("stop server in %s: %w", s.owner.dir, err)
	}
	return nil
}

// clientURL returns the server's address for clients on this machine: nobody can connect to
// 0.0.0.0.
func clientURL(n *server.Server) string {
	addr := *n.Addr().(*net.TCPAddr)
	if addr.IP.IsUnspecified() {
		addr.IP = net.IPv4(127, 0, 0, 1)
	}
	return "nats://" + addr.String()
}
