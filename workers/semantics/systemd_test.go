package semantics_test

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine/memstore"
	"github.com/durable-execution/durable/workers"
)

// With a unit of Type=notify and a watchdog, the executor reports that it is ready once it claims,
// and that it is alive while it is healthy, but not after its store is closed.
func TestSystemdIsToldHowTheExecutorFares(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Skipf("no unix sockets here: %v", err)
	}
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "20000")
	check(t, l.SetReadDeadline(time.Now().Add(time.Minute)))
	hear := func(want string) {
		t.Helper()
		buffer := make([]byte, 4096)
		for {
			n, err := l.Read(buffer)
			if err != nil {
				t.Fatalf("waiting for %q: %v", want, err)
			}
			if strings.Contains(string(buffer[:n]), want) {
				return
			}
		}
	}

	s := memstore.New(memstore.Config{})
	x, err := workers.New(s, workers.Config{})
	check(t, err)
	ctx, stop := context.WithCancel(t.Context())
	notified := make(chan error, 1)
	go func() { notified <- x.NotifySystemd(ctx) }()
	hear("STATUS=executor " + x.Name() + " does not run yet")
	ran := make(chan error, 1)
	go func() { ran <- x.Run(ctx) }()
	hear("READY=1\nWATCHDOG=1")
	s.Close()
	<-ran
	hear("STATUS=executor " + x.Name() + " has stopped")
	stop()
	hear("STOPPING=1")
	check(t, <-notified)
}
