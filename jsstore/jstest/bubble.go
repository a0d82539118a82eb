package jstest

import (
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/nats-io/nats-server/v2/server/ats"
	"github.com/nats-io/nats.go"
)

// Bubble runs fn in a synctest bubble with a connection to a server of its own,
// files included: time.Sleep, AckWait, schedules and TTLs take fake time, which
// passes at once when everything in the bubble waits. What fn starts it must
// end, connections of its own included; the one it is given is closed for it.
//
// Nothing in the bubble may wait for the world outside: no sockets, no
// processes, no channels made elsewhere. A wait for them stops the clock for
// ever and go test says that the test timed out.
//
// A test in a bubble can't be parallel.
func Bubble(t *testing.T, fn func(t *testing.T, nc *nats.Conn)) {
	t.Helper()
	BubbleHost(t, func(t *testing.T, h *Host) { fn(t, h.Connect()) })
}

// BubbleHost is Bubble for a test that stops the server and starts it again.
//
// A real server runs in a bubble under rules. They are kept here and in Host,
// all but the fourth, and each of those has a test that fails when an upgrade
// breaks it:
//
//   - The server's clock for cache accesses (package ats) runs outside. It
//     listens on a channel made at init, so that in the bubble it stops time.
//   - nats.go lends its timers to the next bubble, which is fatal; see
//     dropPooled.
//   - A fake minute passes after the shutdown; see Host.close.
//   - No request for a stream or a consumer is under way when Host.Stop stops the
//     server: it sleeps for 50 ms with its streams locked (signalPullConsumers),
//     and a goroutine that waits for a mutex stops time.
//   - There is one server, without a port and with connections that stay in the
//     process. A goroutine that waits for a socket stops time.
func BubbleHost(t *testing.T, fn func(t *testing.T, h *Host)) {
	t.Helper()
	BubbleFull(t, 0, fn)
}

// BubbleFull is BubbleHost with a server that has so many bytes for its streams, to be
// filled with [Host.Fill]. Zero is what the disk has.
func BubbleFull(t *testing.T, maxStore int64, fn func(t *testing.T, h *Host)) {
	t.Helper()
	// No variable is needed. But a test that sets one can't be parallel, and
	// beside a bubble there must be nobody to take its pooled timers.
	t.Setenv("JSTEST_BUBBLE", t.Name())
	dropPooled()
	defer dropPooled()
	ats.Register()
	defer ats.Unregister()
	synctest.Test(t, func(t *testing.T) {
		h := &Host{t: t, dir: t.TempDir(), maxStore: maxStore}
		t.Cleanup(h.close)
		h.Start()
		fn(t, h)
	})
}

// dropPooled empties every sync.Pool. nats.go keeps the timers of Flush, Drain,
// NextMsg and Request in one, and flushes by itself after a reconnect: a timer
// of one bubble in another, or in none, is a fatal error of the runtime. Two
// collections drop what is pooled: the first makes it the victim cache.
func dropPooled() {
	runtime.GC()
	runtime.GC()
}
