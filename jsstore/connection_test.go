package jsstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/jstest"
)

// A book keeps log lines.
type book struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *book) logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

func (b *book) count(text string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.text.String(), text)
}

func (b *book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func task(id string) engine.Execution {
	now := time.Now().UTC().Truncate(time.Millisecond)
	return engine.Execution{ID: id, Task: "task", Queue: engine.DefaultQueue, Status: engine.Ready, CreatedAt: now, StartAt: now, ChangedAt: now}
}

// connectTo opens a namespace on a guarded server over a connection that the store owns.
func connectTo(t *testing.T, g *jstest.Guarded, b *book, opts ...nats.Option) *jsstore.Store {
	t.Helper()
	s, err := jsstore.Connect(t.Context(), g.URL(), jsstore.Config{Logger: b.logger()}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// A password that is wrong for a while costs only that time.
func TestRefusedCredentialsAreTriedUntilTheyAreRight(t *testing.T) {
	g, b := jstest.Guard(t), &book{}
	var refused atomic.Int32
	enough := make(chan struct{})
	s := connectTo(t, g, b, nats.ReconnectWait(10*time.Millisecond), nats.ReconnectJitter(0, 0),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrAuthorization) && refused.Add(1) == 5 {
				close(enough)
			}
		}))
	g.SetPassword("wrong")
	<-enough // with its own defaults, the client would give up after the second refusal

	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := s.Enqueue(ctx, engine.Due{Execution: task("x")})
	if !errors.Is(err, engine.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(strings.ToLower(err.Error()), "authorization violation") {
		t.Errorf("enqueue meanwhile: %v, want ErrUnavailable with the deadline and the server's words", err)
	}
	g.SetPassword(jstest.GuardedPassword)
	if err := s.Enqueue(t.Context(), engine.Due{Execution: task("y")}); err != nil {
		t.Errorf("enqueue afterwards: %v", err)
	}
	if b.count("connection to NATS lost") != 1 || b.count("connection to NATS restored") != 1 {
		t.Errorf("logged %q, want that it was lost and restored, once each", b)
	}
	if strings.Contains(b.String(), jstest.GuardedPassword) {
		t.Errorf("logged %q, with the password", b)
	}
}

// Whatever closes a connection for good, and whoever made the connection: waiting callers learn
// of it, and every later call returns at once.
func TestConnectionClosedForGoodIsSaid(t *testing.T) {
	own := func(t *testing.T, g *jstest.Guarded, b *book) (*jsstore.Store, *nats.Conn) {
		nc, err := nats.Connect(g.URL(), nats.ReconnectWait(10*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		s, err := jsstore.Open(t.Context(), nc, jsstore.Config{Logger: b.logger()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s, nc
	}
	mouth := &dialer{}
	for _, test := range []struct {
		name, want string
		open       func(*testing.T, *jstest.Guarded, *book) (*jsstore.Store, *nats.Conn)
		strike     func(*testing.T, *jstest.Guarded, *jsstore.Store, *nats.Conn)
	}{
		{"two refusals of a connection without our options", "authorization violation", own, func(_ *testing.T, g *jstest.Guarded, _ *jsstore.Store, _ *nats.Conn) {
			g.SetPassword("wrong")
		}},
		{"its owner closes it", "connection closed", own, func(_ *testing.T, _ *jstest.Guarded, _ *jsstore.Store, nc *nats.Conn) { nc.Close() }},
		{"what a server says to a message past its max_payload", "maximum payload violation",
			func(t *testing.T, g *jstest.Guarded, b *book) (*jsstore.Store, *nats.Conn) {
				return connectTo(t, g, b, nats.SetCustomDialer(mouth)), nil
			},
			func(_ *testing.T, _ *jstest.Guarded, _ *jsstore.Store, _ *nats.Conn) {
				mouth.say("-ERR 'Maximum Payload Violation'\r\n")
			}},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, b := jstest.Guard(t), &book{}
			s, nc := test.open(t, g, b)
			if err := s.Enqueue(t.Context(), engine.Due{Execution: task("x")}); err != nil {
				t.Fatal(err)
			}
			heard, waited := make(chan engine.Notice, 10), make(chan error, 1)
			if _, err := s.Watch(t.Context(), engine.Topic{}, func(n engine.Notice) { heard <- n }); err != nil {
				t.Fatal(err)
			}
			go func() {
				_, err := engine.NewClient(s).Wait(t.Context(), "x")
				waited <- err
			}()
			test.strike(t, g, s, nc)
			awaitClosed(t, heard, b)
			err := <-waited
			if !errors.Is(err, engine.ErrClosed) || !strings.Contains(strings.ToLower(err.Error()), test.want) {
				t.Errorf("wait: %v, want ErrClosed and %q", err, test.want)
			}
			began := time.Now()
			if _, err := s.Get(t.Context(), "x"); !errors.Is(err, engine.ErrClosed) {
				t.Errorf("get: %v, want ErrClosed", err)
			}
			if err := s.Enqueue(t.Context(), engine.Due{Execution: task("y")}); !errors.Is(err, engine.ErrClosed) {
				t.Errorf("enqueue: %v, want ErrClosed", err)
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("the calls took %s, want next to nothing", took)
			}
			if b.count("connection to NATS is closed for good") != 1 {
				t.Errorf("logged %q, want that it is closed for good", b)
			}
		})
	}
}

// A dialer inserts words into what the server says on the connection.
type dialer struct{ conn atomic.Pointer[spoken] }

func (d *dialer) Dial(network, address string) (net.Conn, error) {
	c, err := net.Dial(network, address)
	if err != nil {
		return nil, err
	}
	s := &spoken{Conn: c}
	d.conn.Store(s)
	return s, nil
}

func (d *dialer) say(text string) {
	c := d.conn.Load()
	c.words.Store(&text)
	_ = c.SetReadDeadline(time.Now()) // wakes the reader, which then gets them
}

type spoken struct {
	net.Conn
	words atomic.Pointer[string]
}

func (c *spoken) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if words := c.words.Swap(nil); words != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		return copy(p, *words), nil
	}
	return n, err
}

// The server tells connected clients nothing about a reload that lowers max_payload. It
// disconnects a client that sends a longer message: for good, or not, depending on whether the
// server's last words arrive.
func TestMaxPayloadLoweredByAReload(t *testing.T) {
	g, b := jstest.Guard(t), &book{}
	s := connectTo(t, g, b)
	g.Reload(func(o *server.Options) { o.MaxPayload = 128 << 10 })
	x := task("large")
	var err error
	if x.Input, err = codec.Encode(strings.Repeat("x", 300<<10)); err != nil {
		t.Fatal(err)
	}
	err = s.Enqueue(t.Context(), engine.Due{Execution: x})
	if errors.Is(err, engine.ErrClosed) {
		return
	}
	if err != nil && !errors.Is(err, engine.ErrUnavailable) {
		t.Fatalf("enqueue: %v, want ErrUnavailable or ErrClosed", err)
	}
	if err := s.Enqueue(t.Context(), engine.Due{Execution: x}); err != nil {
		t.Errorf("enqueue again, as the server takes it now: %v", err)
	}
}

func awaitClosed(t *testing.T, heard <-chan engine.Notice, b *book) {
	t.Helper()
	over := time.After(30 * time.Second)
	for {
		select {
		case n := <-heard:
			if n.Closed != nil {
				return
			}
		case <-over:
			t.Fatalf("the watcher was not told that the store is closed; logged:\n%s", b)
		}
	}
}

// A caller without a deadline waits no longer than the store's patience, however many
// executions it enqueues; a caller with a deadline waits no longer than that.
func TestServerThatIsDownCostsNoMoreThanThePatience(t *testing.T) {
	jstest.BubbleHost(t, func(t *testing.T, h *jstest.Host) {
		s := jstest.Open(t, h.Connect(nats.ReconnectBufSize(-1)), jsstore.Config{})
		var many []engine.Due
		for i := range 5000 {
			many = append(many, engine.Due{Execution: task(fmt.Sprint("te_", i))})
		}
		h.Stop()
		for _, test := range []struct {
			due     []engine.Due
			timeout time.Duration // 0 means none
			most    time.Duration
		}{
			{many[:1], 0, jsstore.Patience},
			{many, 0, jsstore.Patience},
			{many[:1], time.Second, time.Second},
			{many, time.Second, time.Second},
		} {
			ctx, cancel := t.Context(), context.CancelFunc(func() {})
			if test.timeout > 0 {
				ctx, cancel = context.WithTimeout(ctx, test.timeout)
			}
			began := time.Now()
			err := s.Enqueue(ctx, test.due...)
			took := time.Since(began)
			if !errors.Is(err, engine.ErrUnavailable) || !strings.Contains(err.Error(), "not connected") {
				t.Errorf("%d with %s: %.200v, want ErrUnavailable and why", len(test.due), test.timeout, err)
			}
			if took > test.most || took < test.most/2 {
				t.Errorf("%d with %s took %s, want about %s and not more", len(test.due), test.timeout, took, test.most)
			}
			cancel()
		}
		h.Start()
	})
}

// If a server has no room, the error contains the server's words, and not only that the time is
// over.
func TestServerWithoutRoomIsQuoted(t *testing.T) {
	g, b := jstest.Guard(t, func(o *server.Options) { o.JetStreamMaxStore = 1 << 20 }), &book{}
	s := connectTo(t, g, b)
	x := task("large")
	var err error
	if x.Input, err = codec.Encode(strings.Repeat("x", 100<<10)); err != nil {
		t.Fatal(err)
	}
	for n := range 100 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		x.ID = fmt.Sprint("te_", n)
		err = s.Enqueue(ctx, engine.Due{Execution: x})
		cancel()
		if err != nil {
			break
		}
	}
	if !errors.Is(err, engine.ErrUnavailable) || !strings.Contains(err.Error(), "resource") {
		t.Errorf("enqueue: %v, want ErrUnavailable and the server's words", err)
	}
}
