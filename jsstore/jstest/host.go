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

// A Host is a machine in a bubble: files, and a server on them that can be
// stopped, crashed and started again. Its connections live through that, as
// those to a real machine would.
type Host struct {
	t        *testing.T
	dir      string
	maxStore int64                           // for its streams, in bytes; 0 is what the disk has
	server   atomic.Pointer[embedded.Server] // nil while it is down
	conns    []*nats.Conn

	mu    sync.Mutex
	pipes []net.Conn // the clients' ends of connections to the server that is up
}

// Connect returns a connection that finds the server again whenever it is up.
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

// InProcessConn is how connections find the server that is up now.
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

// Start starts the server on the files as they are and returns when every
// connection has found it.
func (h *Host) Start() {
	h.t.Helper()
	s, err := embedded.Start(h.t.Context(), embedded.Config{
		Dir: h.dir,
		// An hour of fake time has 360,000 rounds at the default, and takes a minute.
		SyncInterval: 24 * time.Hour,
		// As a server has it that nobody has configured: what fits here fits anywhere.
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

// Stop shuts the server down in good order, which clients are told, and returns
// when every connection has lost it. It does nothing if the server is down.
func (h *Host) Stop() {
	h.t.Helper()
	if s := h.server.Swap(nil); s != nil {
		h.shutdown(s)
	}
}

// Crash takes the server down with the files as they are at this moment, as
// SIGKILL would leave them: nothing is flushed that waits to be, and connections
// break without a word. It first lets everything in the bubble run until it
// waits. It does nothing if the server is down.
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

// cut breaks every connection and returns when both sides know.
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
	// Loops of the file store see only at their next tick that it is closed.
	time.Sleep(time.Minute)
}
