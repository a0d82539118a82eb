package embedded_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/jsstore/embedded"
)

// rarely is a SyncInterval for tests that store something. The file store sets its first sync
// timer without its lock (nats-server 2.15.2, filestore.go:656). With an interval of
// milliseconds the timer sometimes fires during that call: harmless, but the race detector
// fails the test.
const rarely = time.Minute

// start returns a server that the test may close; it is closed at the end of the test anyway.
func start(t *testing.T, c embedded.Config) *embedded.Server {
	t.Helper()
	c.SyncInterval = rarely
	s, err := embedded.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// bucket returns the bucket b of s, and creates it if it does not exist.
func bucket(t *testing.T, s *embedded.Server) jetstream.KeyValue {
	t.Helper()
	nc, err := s.Connect()
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	kv, err := js.CreateOrUpdateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "b"})
	if err != nil {
		t.Fatal(err)
	}
	return kv
}

func TestRestartKeepsWhatIsStored(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	s := start(t, embedded.Config{Dir: dir})
	rev, err := bucket(t, s).Put(t.Context(), "k", []byte("v"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	e, err := bucket(t, start(t, embedded.Config{Dir: dir})).Get(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	if string(e.Value()) != "v" || e.Revision() != rev {
		t.Errorf("after the restart k = %q at %d, want %q at %d", e.Value(), e.Revision(), "v", rev)
	}
}

func TestNoPortUnlessAsked(t *testing.T) {
	dir := t.TempDir()
	s := start(t, embedded.Config{Dir: dir})
	if s.URL() != "" {
		t.Errorf("URL = %q, want none", s.URL())
	}
	if _, err := os.Stat(filepath.Join(dir, "server.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("server.json without a port: %v, want none", err)
	}
}

func TestPortIsForOtherProcesses(t *testing.T) {
	s := start(t, embedded.Config{Dir: t.TempDir(), Port: -1})
	if !strings.HasPrefix(s.URL(), "nats://127.0.0.1:") {
		t.Fatalf("URL = %q, want one on 127.0.0.1", s.URL())
	}
	nc, err := nats.Connect(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if got := nc.MaxPayload(); got != 8<<20 {
		t.Errorf("max payload = %d, want 8 MiB", got)
	}
}

func TestURLOfAllAddressesIsOneToConnectTo(t *testing.T) {
	s := start(t, embedded.Config{Dir: t.TempDir(), Host: "0.0.0.0", Port: -1})
	if !strings.HasPrefix(s.URL(), "nats://127.0.0.1:") {
		t.Errorf("URL = %q, want one on 127.0.0.1", s.URL())
	}
}

func TestCloseEndsItsConnections(t *testing.T) {
	s := start(t, embedded.Config{Dir: t.TempDir()})
	nc, err := s.Connect(nats.Name("n"))
	if err != nil {
		t.Fatal(err)
	}
	if nc.Opts.Name != "n" {
		t.Errorf("name = %q, want that of the option", nc.Opts.Name)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if !nc.IsClosed() {
		t.Errorf("status of the connection after Close = %s, want closed", nc.Status())
	}
	if _, err := s.Connect(); err == nil {
		t.Error("connect after Close works")
	}
}

func TestConnectionComesBackByItself(t *testing.T) {
	s := start(t, embedded.Config{Dir: t.TempDir()})
	back := make(chan struct{}, 1)
	nc, err := s.Connect(nats.ReconnectHandler(func(*nats.Conn) { back <- struct{}{} }))
	if err != nil {
		t.Fatal(err)
	}
	if nc.Opts.MaxReconnect != -1 {
		t.Errorf("reconnects at most %d times, want for ever", nc.Opts.MaxReconnect)
	}
	if err := nc.ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-back:
	case <-deadline(t).Done():
		t.Fatal("not back after a minute")
	}
	if err := nc.FlushWithContext(deadline(t)); err != nil {
		t.Error(err)
	}
}

func TestCancelledStartDoesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	why := errors.New("changed my mind")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if _, err := embedded.Start(ctx, embedded.Config{Dir: dir}); !errors.Is(err, why) {
		t.Errorf("start = %v, want the cause", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory: %v, want none", err)
	}
}

func TestStartCancelledInRecoveryLetsGoAfterIt(t *testing.T) {
	dir := t.TempDir()
	why := errors.New("changed my mind")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	returned := make(chan struct{})
	_, err := embedded.Start(ctx, embedded.Config{Dir: dir, Log: func(_ slog.Level, text string) {
		if text == "Starting JetStream" {
			cancel(why)
			<-returned // recovery takes longer than Start
		}
	}})
	if !errors.Is(err, why) {
		t.Fatalf("start = %v, want the cause", err)
	}
	wantInUse(t, embedded.InUseError{Dir: dir, PID: os.Getpid()})
	close(returned)

	within := deadline(t)
	for inUse := (*embedded.InUseError)(nil); ; {
		s, err := embedded.Start(within, embedded.Config{Dir: dir})
		if err == nil {
			_ = s.Close()
			return
		}
		if !errors.As(err, &inUse) {
			t.Fatal(err)
		}
	}
}

func TestServerSpeaksThroughLog(t *testing.T) {
	var mu sync.Mutex
	var infos []string
	start(t, embedded.Config{Dir: t.TempDir(), Log: func(level slog.Level, text string) {
		mu.Lock()
		defer mu.Unlock()
		if level == slog.LevelInfo {
			infos = append(infos, text)
		}
	}})
	mu.Lock()
	defer mu.Unlock()
	if !strings.Contains(strings.Join(infos, "\n"), "Server is ready") {
		t.Errorf("logged %q, want that it is ready", infos)
	}
}

func TestDurabilityInWords(t *testing.T) {
	for _, test := range []struct {
		c    embedded.Config
		want string
	}{
		{embedded.Config{}, "a killed process loses no acknowledged write; a power failure may lose the writes of about the last 20ms"},
		{embedded.Config{SyncAlways: true}, "an acknowledged write is on the disk: neither a killed process nor a power failure loses it"},
	} {
		if got := test.c.Durability(); got != test.want {
			t.Errorf("durability = %q, want %q", got, test.want)
		}
	}
}
