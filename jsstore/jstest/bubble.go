package jstest

import (
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/nats-io/nats-server/v2/server/ats"
	"github.com/nats-io/nats.go"
)

// Bubble runs fn in a synctest bubble with a connection to a server of its own, with empty
// files: time.Sleep, AckWait, schedules and TTLs take fake time, which passes at once when
// everything in the bubble waits. fn must end whatever it starts, including its own
// connections; Bubble closes the one that it passes to fn.
//
// Nothing in the bubble may wait for anything outside: no sockets, no processes, no channels
// made elsewhere. Such a wait stops the clock for ever, and go test reports that the test timed
// out.
//
// A test in a bubble can't be parallel.
func Bubble(t *testing.T, fn func(t *testing.T, nc *nats.Conn)) {
	t.Helper()
	BubbleHost(t, func(t *testing.T, h *Host) { fn(t, h.Connect()) })
}

// BubbleHost is Bubble for a test that stops the server and starts it again.
//
// A real server in a bubble needs these rules. Bubble and Host keep all of them except the
// fourth, and each of those has a test that fails when an upgrade breaks it:
//
//   - The server's clock for cache accesses (package ats) runs outside. It listens on a channel made
//     at init, so inside the bubble it would stop time.
//   - nats.go passes its timers on to the next bubble, which is fatal; see dropPooled.
//   - A fake minute passes after the shutdown; see Host.close.
//   - No request for a stream or a consumer is under way when Host.Stop stops the server: the server
//     sleeps for 50 ms with its streams locked (signalPullConsumers), and a goroutine that waits for a
//     mutex stops time.
//   - There is one server, without a port, and its connections stay in the process. A goroutine that
//     waits for a socket stops time.
func BubbleHost(t *testing.T, fn func(t *testing.T, h *Host)) {
	t.Helper()
	BubbleFull(t, 0, fn)
}

// BubbleFull is BubbleHost with a server that has only so many bytes for its streams;
// [Host.Fill] fills them. Zero means as many as the disk has.
func BubbleFull(t *testing.T, maxStore int64, fn func(t *testing.T, h *Host)) {
	t.Helper()
	// Nobody needs this variable. But a test that sets one can't be parallel, and no other test
	// may run while a bubble does: it could take the bubble's pooled timers.
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

// dropPooled empties every sync.Pool. nats.go keeps the timers of Flush, Drain, NextMsg and
// Request in one, and flushes by itself after a reconnect. Using a timer of one bubble in
// another one, or outside, is a fatal error of the runtime. It takes two garbage collections to
// drop pooled values: the first moves them to the victim cache.
func dropPooled() {
	runtime.GC()
	runtime.GC()
}
