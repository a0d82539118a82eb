package jstest_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/jsstore/jstest"
)

func TestHoursPassAtOnce(t *testing.T) {
	start := time.Now()
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		c := queue(t, nc, 6*time.Hour)
		publish(t, nc, "q.a")
		next(t, c)
		before := time.Now()
		m := next(t, c) // not acknowledged, so redelivered
		if waited := time.Since(before); waited < 6*time.Hour || waited > 6*time.Hour+time.Second {
			t.Errorf("delivered again after %s, want 6h", waited)
		}
		if err := m.DoubleAck(t.Context()); err != nil {
			t.Error(err)
		}
	})
	if took := time.Since(start); took > time.Minute {
		t.Errorf("6 hours took %s", took)
	}
}

func TestStoppedHostKeepsItsFilesAndConnections(t *testing.T) {
	jstest.BubbleHost(t, func(t *testing.T, h *jstest.Host) {
		nc := h.Connect()
		c := queue(t, nc, time.Minute)
		publish(t, nc, "q.a")
		h.Stop()
		if nc.IsConnected() {
			t.Error("connected to a host that is down")
		}
		time.Sleep(time.Hour)
		h.Start()
		if got := next(t, c).Subject(); got != "q.a" {
			t.Errorf("after the restart got %s, want q.a", got)
		}
	})
}

func TestCrashedHostKeepsWhatItAcknowledged(t *testing.T) {
	jstest.BubbleHost(t, func(t *testing.T, h *jstest.Host) {
		nc := h.Connect()
		c := queue(t, nc, time.Minute)
		for range 10 {
			publish(t, nc, "q.a")
		}
		if err := next(t, c).DoubleAck(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			h.Crash()
			h.Start()
		}
		for range 9 {
			if err := next(t, c).DoubleAck(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		none, err := c.FetchNoWait(1)
		if err != nil {
			t.Fatal(err)
		}
		for m := range none.Messages() {
			t.Errorf("a tenth message: %s", m.Subject())
		}
	})
}

// A crash does not flush: writes that the server had put off are lost. Stop keeps them.
func TestCrashFlushesNothing(t *testing.T) {
	jstest.BubbleHost(t, func(t *testing.T, h *jstest.Host) {
		js := jetStream(t, h.Connect())
		_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "LOG", Subjects: []string{"log"}, PersistMode: jetstream.AsyncPersistMode})
		if err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			down func()
			want uint64
		}{{h.Crash, 0}, {h.Stop, 1}} {
			if _, err := js.Publish(t.Context(), "log", nil); err != nil {
				t.Fatal(err)
			}
			test.down()
			h.Start()
			s, err := js.Stream(t.Context(), "LOG")
			if err != nil {
				t.Fatal(err)
			}
			if got := s.CachedInfo().State.Msgs; got != test.want {
				t.Errorf("%d messages, want %d", got, test.want)
			}
		}
	})
}

// A client that waits for messages learns of a shutdown, but not of a crash.
func TestCrashTellsNobody(t *testing.T) {
	for name, test := range map[string]struct {
		down func(*jstest.Host)
		want []string
	}{
		"crash": {(*jstest.Host).Crash, nil},
		"stop":  {(*jstest.Host).Stop, []string{"409"}},
	} {
		t.Run(name, func(t *testing.T) {
			jstest.BubbleHost(t, func(t *testing.T, h *jstest.Host) {
				nc := h.Connect()
				queue(t, nc, time.Minute)
				var got []string
				reply := nc.NewRespInbox()
				_, err := nc.Subscribe(reply, func(m *nats.Msg) { got = append(got, m.Header.Get("Status")) })
				if err != nil {
					t.Fatal(err)
				}
				if err := nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT.Q.c", reply, []byte(`{"batch":1}`)); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				test.down(h)
				if !slices.Equal(got, test.want) {
					t.Errorf("told %q, want %q", got, test.want)
				}
			})
		})
	}
}

// queue returns a consumer of a new work-queue stream on q.>.
func queue(t *testing.T, nc *nats.Conn, ackWait time.Duration) jetstream.Consumer {
	t.Helper()
	js := jetStream(t, nc)
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "Q", Subjects: []string{"q.>"}, Retention: jetstream.WorkQueuePolicy})
	if err != nil {
		t.Fatal(err)
	}
	c, err := js.CreateConsumer(t.Context(), "Q", jetstream.ConsumerConfig{Durable: "c", AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func publish(t *testing.T, nc *nats.Conn, subject string) {
	t.Helper()
	if _, err := jetStream(t, nc).Publish(t.Context(), subject, nil); err != nil {
		t.Fatal(err)
	}
}

func next(t *testing.T, c jetstream.Consumer) jetstream.Msg {
	t.Helper()
	m, err := c.Next(jetstream.FetchMaxWait(24 * time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func jetStream(t *testing.T, nc *nats.Conn) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}
