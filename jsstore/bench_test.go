package jsstore_test

import (
	"fmt"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/embedded"
)

// shortTask returns a short root task with an input of 300 bytes, ready to be enqueued.
func shortTask(id string) engine.Due {
	at := time.Now().UTC().Truncate(time.Millisecond)
	return engine.Due{Execution: engine.Execution{
		ID: id, Task: "short", Queue: engine.DefaultQueue, Policy: engine.Policy{Timeout: engine.DefaultTimeout},
		Input: codec.Payload{Type: codec.MsgPack, Data: make([]byte, 300)}, Validated: true,
		Status: engine.Ready, CreatedAt: at, StartAt: at, ChangedAt: at,
	}}
}

const anID = "te_0123456789abcdefghijklmnop"

// delivered returns the ready message of d as a consumer receives it.
func delivered(s *jsstore.Store, d engine.Due) *nats.Msg {
	m := s.ReadyMessage(d)
	m.Reply = "$JS.ACK.durable-ready.queue-default.1.17.17.1764000000000000000.3"
	return m
}

func benchStore(b testing.TB) *embedded.Store {
	b.Helper()
	s, err := embedded.Open(b.Context(), embedded.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s
}

// BenchmarkReadyMessage measures how long it takes to make and read the message that enqueues
// an execution. It sends nothing.
func BenchmarkReadyMessage(b *testing.B) {
	s := benchStore(b)
	d := shortTask(anID)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.ReadyMessage(d)
		}
	})
	m := delivered(s.Store, d)
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if got, ok := s.Delivery(m); !ok || got.Invalid != nil {
				b.Fatal(ok, got.Invalid)
			}
		}
	})
}

func BenchmarkPubAck(b *testing.B) {
	m := &nats.Msg{Data: []byte(`{"stream":"KV_durable-executions","seq":123456}`)}
	b.ReportAllocs()
	for b.Loop() {
		if seq, err := jsstore.PubAck(m); err != nil || seq != 123456 {
			b.Fatal(seq, err)
		}
	}
}

// BenchmarkEnqueue measures a publish and its answer, one at a time and a thousand at once.
func BenchmarkEnqueue(b *testing.B) {
	for _, c := range []struct {
		name string
		n    int
	}{{"one", 1}, {"thousand", 1000}} {
		b.Run(c.name, func(b *testing.B) {
			s := benchStore(b)
			names := newNames()
			dues := make([]engine.Due, c.n)
			b.ReportAllocs()
			for b.Loop() {
				for i := range dues {
					dues[i] = shortTask(names())
				}
				if err := s.Enqueue(b.Context(), dues...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkUpdate measures a write at the current revision: the same record every time.
func BenchmarkUpdate(b *testing.B) {
	s := benchStore(b)
	x := shortTask(anID).Execution
	revision := engine.Revision(0)
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if revision, err = s.Update(b.Context(), x, revision); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkClaim measures a delivery and its ack. The messages were enqueued before.
func BenchmarkClaim(b *testing.B) {
	s := benchStore(b)
	names := newNames()
	feed, err := s.Claim(b.Context(), engine.DefaultQueue)
	if err != nil {
		b.Fatal(err)
	}
	defer feed.Close()
	const batch = 1000
	left := 0
	b.ReportAllocs()
	for b.Loop() {
		if left == 0 {
			b.StopTimer()
			dues := make([]engine.Due, batch)
			for i := range dues {
				dues[i] = shortTask(names())
			}
			if err := s.Enqueue(b.Context(), dues...); err != nil {
				b.Fatal(err)
			}
			left = batch
			b.StartTimer()
			feed.Request(batch)
		}
		d := <-feed.Messages()
		if err := d.Done(b.Context()); err != nil {
			b.Fatal(err)
		}
		left--
	}
}

// newNames returns a function that makes ids.
func newNames() func() string {
	n := 0
	return func() string {
		n++
		return fmt.Sprintf("%s%08d", anID[:len(anID)-8], n)
	}
}

// raced reports whether the race detector is on, which makes allocations of its own.
func raced() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == "-race" && s.Value == "true" })
}

// TestAMessageAllocatesLittle limits the allocations for the messages that every execution
// sends and receives. A change that needs more raises a limit here, and says why; one that
// needs fewer lowers it.
func TestAMessageAllocatesLittle(t *testing.T) {
	if raced() {
		t.Skip("the race detector allocates, too")
	}
	s := benchStore(t)
	d := shortTask(anID)
	m := delivered(s.Store, d)
	ack := &nats.Msg{Data: []byte(`{"stream":"KV_durable-executions","seq":123456}`)}
	for _, c := range []struct {
		what string
		do   func() bool
		most float64
	}{
		{"make a ready message", func() bool { return s.ReadyMessage(d) != nil }, 5},
		{"read a ready message", func() bool { got, ok := s.Delivery(m); return ok && got.Invalid == nil }, 5},
		{"read the answer to a publish", func() bool { seq, err := jsstore.PubAck(ack); return seq == 123456 && err == nil }, 5},
	} {
		worked := true
		got := testing.AllocsPerRun(100, func() { worked = c.do() && worked })
		if !worked {
			t.Errorf("%s: it does not work", c.what)
		}
		if got > c.most {
			t.Errorf("%s: %g allocations, want %g at most", c.what, got, c.most)
		}
	}
}
