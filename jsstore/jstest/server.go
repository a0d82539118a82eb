// Package jstest runs NATS servers for tests: one in real time ([Server]), one in the fake time
// of a synctest bubble ([Bubble]), a cluster ([Cluster]), and a bad network in front of any of
// them ([Proxy]). It knows nothing about the stored data. Whatever it starts ends with the
// test.
package jstest

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/jsstore/embedded"
)

// Server returns a connection to a new server with empty files, in real time and without a
// port.
func Server(t testing.TB) *nats.Conn {
	t.Helper()
	nc, err := serve(t, 0).Connect()
	if err != nil {
		t.Fatal(err)
	}
	return nc
}

// Listening returns a server with empty files and a port on loopback, for tests that need a
// URL: for another process, or for a [Proxy].
func Listening(t testing.TB) *embedded.Server {
	t.Helper()
	return serve(t, -1)
}

func serve(t testing.TB, port int) *embedded.Server {
	t.Helper()
	s, err := embedded.Start(t.Context(), embedded.Config{
		Dir:  t.TempDir(),
		Port: port,
		// Nothing here needs to survive a power failure. Besides, the file store sets its first
		// sync timer without its lock (nats-server 2.15.2, filestore.go:656): with an interval
		// of milliseconds it sometimes fires during that call, which is harmless but fails the
		// test under the race detector.
		SyncInterval: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
