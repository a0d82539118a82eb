package jsstore_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/jstest"
)

func TestConfigurationThatCannotBeIsRefused(t *testing.T) {
	nc := jstest.Server(t)
	for _, c := range []struct {
		config jsstore.Config
		want   string
	}{
		{jsstore.Config{Lease: time.Millisecond}, "lease 1ms: less than 1s"},
		{jsstore.Config{Retention: -time.Hour}, "retention -1h0m0s: negative"},
		{jsstore.Config{Retention: time.Millisecond}, "retention 1ms: less than 1s"},
		{jsstore.Config{Replicas: 7}, "7 replicas"},
		{jsstore.Config{Namespace: "a.b"}, `namespace "a.b"`},
		{jsstore.Config{Namespace: strings.Repeat("x", 33)}, "namespace"},
	} {
		if _, err := jsstore.Open(t.Context(), nc, c.config); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("open %+v: error = %v, want one that says %q", c.config, err, c.want)
		}
	}
}

func TestStreamThatIsNotTheEnginesIsRefusedInWords(t *testing.T) {
	nc := jstest.Server(t)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "durable-ready", Subjects: []string{"durable.ready.>"}}); err != nil {
		t.Fatal(err)
	}
	_, err = jsstore.Open(t.Context(), nc, jsstore.Config{})
	if want := "stream durable-ready: exists, but its retention is Limits where WorkQueue is needed"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error = %v, want one that says %q", err, want)
	}
}

func TestTwoNamespacesShareAServer(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		a, b := jstest.Open(t, nc, jsstore.Config{Namespace: "a"}), jstest.Open(t, nc, jsstore.Config{Namespace: "b"})
		x := engine.Execution{ID: "te_1", Task: "task", Queue: engine.DefaultQueue, Status: engine.Ready, CreatedAt: time.Now(), StartAt: time.Now()}
		if err := a.Enqueue(t.Context(), engine.Due{Execution: x}); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Get(t.Context(), "te_1"); err != nil {
			t.Errorf("in its own namespace: %v", err)
		}
		if _, err := b.Get(t.Context(), "te_1"); err == nil {
			t.Error("found in another namespace")
		}
	})
}

func TestLeaseIsTheNamespacesUntilSomebodyChangesIt(t *testing.T) {
	nc := jstest.Server(t)
	for _, c := range []struct{ given, want time.Duration }{
		{0, jsstore.DefaultLease}, {5 * time.Second, 5 * time.Second}, {0, 5 * time.Second}, {7 * time.Second, 7 * time.Second},
	} {
		if got := jstest.Open(t, nc, jsstore.Config{Lease: c.given}).Limits().Lease; got != c.want {
			t.Errorf("opened with a lease of %s it is %s, want %s", c.given, got, c.want)
		}
	}
}

func TestRetentionIsTheNamespacesUntilSomebodyChangesIt(t *testing.T) {
	nc := jstest.Server(t)
	for _, c := range []struct{ given, want time.Duration }{
		{0, 7 * 24 * time.Hour}, {time.Hour, time.Hour}, {0, time.Hour}, {engine.Forever, engine.Forever}, {0, engine.Forever}, {time.Second, time.Second},
	} {
		if got := jstest.Open(t, nc, jsstore.Config{Retention: c.given}).Limits().Retention; got != c.want {
			t.Errorf("opened with a retention of %s it is %s, want %s", c.given, got, c.want)
		}
	}
}

// A server that restarts has forgotten which messages it had delivered, and some
// acknowledgements. So messages from before the restart do not count as fresh.
func TestNothingIsFreshThatWasThereBeforeARestart(t *testing.T) {
	jstest.BubbleHost(t, func(t *testing.T, h *jstest.Host) {
		s := jstest.Open(t, h.Connect(nats.ReconnectBufSize(-1)), jsstore.Config{})
		f := claim(t, s, 10)
		enqueue(t, s, "before", 0)
		if d := <-f.Messages(); !d.Fresh {
			t.Error("the first delivery is not fresh")
		}
		h.Crash()
		h.Start()
		time.Sleep(2 * time.Second) // of fake time: until it has made a new request
		enqueue(t, s, "after", 0)
		for range 2 {
			d := <-f.Messages()
			if want := d.Execution.ID == "after"; d.Fresh != want || d.First != want {
				t.Errorf("%s: fresh %v, first %v, want %v", d.Execution.ID, d.Fresh, d.First, want)
			}
			if err := d.Done(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}

// An executor must learn that a message can't be acknowledged now: the message will be
// redelivered after the lease, and whatever waits for its removal would wait as long.
func TestNothingIsPutDownWithoutAConnection(t *testing.T) {
	jstest.BubbleHost(t, func(t *testing.T, h *jstest.Host) {
		s := jstest.Open(t, h.Connect(nats.ReconnectBufSize(-1)), jsstore.Config{})
		f := claim(t, s, 1)
		enqueue(t, s, "x", 0)
		d := <-f.Messages()
		time.Sleep(5 * time.Second) // no request may be under way when the server stops
		h.Crash()
		time.Sleep(time.Second)
		if err := d.Done(t.Context()); err == nil {
			t.Error("Done succeeded although there is no server")
		}
		h.Start()
		time.Sleep(2 * time.Second)
		if err := d.Done(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if _, err := s.Get(t.Context(), "x"); !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("get = %v, want ErrNotFound: it is no longer queued", err)
		}
	})
}

func TestFeedLivesThroughARestartOfTheServer(t *testing.T) {
	jstest.BubbleHost(t, func(t *testing.T, h *jstest.Host) {
		s := jstest.Open(t, h.Connect(nats.ReconnectBufSize(-1)), jsstore.Config{})
		f := claim(t, s, 100)
		for n := range 3 {
			// A stopping server sleeps with its streams locked. A request for a stream would
			// wait for a mutex then, which stops the clock of the bubble: so no request may be
			// under way.
			time.Sleep(5 * time.Second)
			h.Stop()
			h.Start()
			x := engine.Execution{ID: "x", Task: "task", Queue: engine.DefaultQueue, Status: engine.Ready, CreatedAt: time.Now(), StartAt: time.Now()}
			if err := s.Enqueue(t.Context(), engine.Due{Execution: x, Exclusive: true}); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			d := <-f.Messages()
			if late := time.Since(start); late > 2*time.Second {
				t.Errorf("restart %d: delivered after %s, want at once", n, late)
			}
			if err := d.Done(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
}
