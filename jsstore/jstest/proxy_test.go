package jstest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/jsstore/jstest"
)

func TestLinkPassesEverything(t *testing.T) {
	c := dial(t, jstest.Proxy(t, echo(t)))
	sent := strings.Repeat("0123456789", 1<<20)
	go func() { _, _ = io.WriteString(c, sent) }()
	if got := read(t, c, len(sent)); got != sent {
		t.Errorf("%d bytes came back different", len(sent))
	}
}

func TestCutClosesAndRefuses(t *testing.T) {
	l := jstest.Proxy(t, echo(t))
	c := dial(t, l)
	l.Cut()
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("a connection outlives the cut")
	}
	if _, err := net.Dial("tcp", address(l)); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial of a cut link = %v, want it refused", err)
	}
	l.Heal()
	c = dial(t, l)
	say(t, c, "again")
	read(t, c, 5)
}

func TestStallHoldsAndClosesNothing(t *testing.T) {
	l := jstest.Proxy(t, echo(t))
	c := dial(t, l)
	say(t, c, "a")
	read(t, c, 1)
	l.Stall()
	say(t, c, "b")
	if err := c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read through a stalled link = %d, %v, want nothing", n, err)
	}
	l.Heal()
	if got := read(t, c, 1); got != "b" {
		t.Errorf("after the stall got %q, want b", got)
	}
}

func TestStallCanBeCut(t *testing.T) {
	l := jstest.Proxy(t, echo(t))
	c := dial(t, l)
	l.Stall()
	say(t, c, "a")
	l.Cut()
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes through a cut link", n)
	}
}

func TestSlowDelaysBothWays(t *testing.T) {
	const d = 30 * time.Millisecond
	l := jstest.Proxy(t, echo(t))
	c := dial(t, l)
	l.Slow(d)
	start := time.Now()
	say(t, c, "a")
	read(t, c, 1)
	if took := time.Since(start); took < 2*d {
		t.Errorf("there and back took %s, want at least %s", took, 2*d)
	}
}

func TestClientComesBackThroughAHealedLink(t *testing.T) {
	l := jstest.Proxy(t, jstest.Listening(t).URL())
	gone, back := make(chan error, 1), make(chan struct{}, 1)
	nc, err := nats.Connect(l.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { gone <- err }),
		nats.ReconnectHandler(func(*nats.Conn) { back <- struct{}{} }))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	l.Cut()
	select {
	case <-gone:
	case <-ctx.Done():
		t.Fatal("the client did not notice the cut")
	}
	l.Heal()
	select {
	case <-back:
	case <-ctx.Done():
		t.Fatal("the client did not come back")
	}
	if err := nc.FlushWithContext(ctx); err != nil {
		t.Error(err)
	}
}

// echo returns the address of a server that sends back what it receives.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
	return l.Addr().String()
}

func address(l *jstest.Link) string { return strings.TrimPrefix(l.URL(), "nats://") }

func dial(t *testing.T, l *jstest.Link) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address(l))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

// read returns the next n bytes.
func read(t *testing.T, c net.Conn, n int) string {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatal(err)
	}
	return string(b)
}
