package jstest

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/jsstore/embedded"
)

// A Host is a machine in a bubble: files, and a server on them that can be stopped, crashed and
// started again. Its connections survive that and reconnect, as connections to a real machine
// would.
type Host struct {
	t        *testing.T
	dir      string
	maxStore int64                           // bytes for streams; 0 means as many as the disk has
	server   atomic.Pointer[embedded.Server] // nil while it is down
	conns    []*nats.Conn

	mu    sync.Mutex
	pipes []net.Conn // the clients' ends of connections to the current server
}

// Connect returns a connection that reconnects whenever the server is up.
func (h *Host) Connect(opts ...nats.Option) *nats.Conn {
	h.t.Helper()
	nc, err := nats.Connect("", append([]nats.Option{
		nats.InProcessServer(h),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(100 * time.Millisecond),
	}, opts...)...)
	if err != nil {
		h.t.Fatal(err)
	}
	h.conns = append(h.conns, nc)
	return nc
}

// InProcessConn connects to the server that is up now.
func (h *Host) InProcessConn() (net.Conn, error) {
	s := h.server.Load()
	if s == nil {
		return nil, errors.New("the host is down")
	}
	c, err := s.InProcessConn()
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pipes = append(h.pipes, c)
	return c, nil
}

// Start starts the server on the current files and returns when every connection has
// reconnected.
func (h *Host) Start() {
	h.t.Helper()
	s, err := embedded.Start(h.t.Context(), embedded.Config{
		Dir: h.dir,
		// With the default, an hour of fake time has 360,000 syncs, which take a minute.
		SyncInterval: 24 * time.Hour,
		// The default of a server without configuration: a message that fits here fits
		// anywhere.
		MaxPayload: 1 << 20,
		MaxStore:   h.maxStore,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	h.server.Store(s)
	for _, nc := range h.conns {
		for !nc.IsConnected() && !nc.IsClosed() {
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// Stop shuts the server down cleanly, which clients are told, and returns when every connection
// has lost it. It does nothing if the server is down.
func (h *Host) Stop() {
	h.t.Helper()
	if s := h.server.Swap(nil); s != nil {
		h.shutdown(s)
	}
}

// Crash takes the server down with its files as they are at this moment, as SIGKILL would leave
// them: pending writes are not flushed, and connections break silently. It first lets
// everything in the bubble run until it waits. It does nothing if the server is down.
func (h *Host) Crash() {
	h.t.Helper()
	s := h.server.Swap(nil)
	if s == nil {
		return
	}
	synctest.Wait()
	dir := h.t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(h.dir)); err != nil {
		h.t.Fatal(err)
	}
	h.dir = dir
	h.cut()
	h.shutdown(s)
}

// cut breaks every connection and returns when both sides have noticed.
func (h *Host) cut() {
	h.mu.Lock()
	pipes := h.pipes
	h.pipes = nil
	h.mu.Unlock()
	for _, c := range pipes {
		_ = c.Close()
	}
	synctest.Wait()
}

func (h *Host) shutdown(s *embedded.Server) {
	h.t.Helper()
	if err := s.Close(); err != nil {
		h.t.Fatal(err)
	}
	h.cut()
}

func (h *Host) close() {
	for _, nc := range h.conns {
		nc.Close()
	}
	h.cut()
	h.Stop()
	// Loops of the file store notice only at their next tick that it is closed.
	time.Sleep(time.Minute)
}
