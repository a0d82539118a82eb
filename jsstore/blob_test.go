package jsstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/jstest"
)

// inline is how many bytes of a payload a message of 1 MiB can hold.
const inline = (1<<20 - 80<<10) / 2

// bytesOf returns a payload of n bytes that begin with a name.
func bytesOf(name string, n int) codec.Payload {
	data := bytes.Repeat([]byte{'x'}, n)
	copy(data, name)
	return codec.Payload{Type: codec.MsgPack, Data: data}
}

func due(id string, input codec.Payload) engine.Due {
	return engine.Due{Execution: engine.Execution{ID: id, Task: "task", Queue: "default", Input: input, Status: engine.Ready}}
}

// last returns the last sequence of a stream: how many messages it has ever stored.
func last(t *testing.T, nc *nats.Conn, stream string) int {
	t.Helper()
	return int(jstest.StreamInfo(t, nc, stream).State.LastSeq)
}

// keysBelow returns the subjects of the bucket below a filter.
func keysBelow(t *testing.T, nc *nats.Conn, filter string) map[string]uint64 {
	t.Helper()
	return jstest.StreamInfo(t, nc, "KV_durable-executions", jetstream.WithSubjectFilter("$KV.durable-executions."+filter)).State.Subjects
}

func visible(t *testing.T, s *jsstore.Store) int {
	t.Helper()
	n := 0
	for _, err := range s.List(t.Context(), engine.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

func TestPayloadIsKeptBesideOnlyWhereItMustBe(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		s := jstest.Open(t, nc, jsstore.Config{})
		const records, ready = "KV_durable-executions", "durable-ready"
		for _, c := range []struct {
			name  string
			size  int
			extra int // messages
		}{
			{"short", 100, 0},
			{"at-the-threshold", inline, 0},
			{"past-it", inline + 1, 1 + 1}, // a chunk and the mark
			{"three-chunks", 3 * 512 << 10, 3 + 1},
			{"far-past", 20 << 20, 40 + 1},
		} {
			r, q := last(t, nc, records), last(t, nc, ready)
			p := bytesOf(c.name, c.size)
			if err := s.Enqueue(t.Context(), due(c.name, p)); err != nil {
				t.Fatal(err)
			}
			if got := last(t, nc, records) - r; got != c.extra {
				t.Errorf("%s: %d messages beside, want %d", c.name, got, c.extra)
			}
			if got := last(t, nc, ready) - q; got != 1 {
				t.Errorf("%s: %d ready messages, want 1", c.name, got)
			}
			rec, err := s.Get(t.Context(), c.name)
			if err != nil {
				t.Fatal(err)
			}
			if refers := len(rec.Input.Data) < 100; refers != (c.extra > 0) {
				t.Errorf("%s: the message holds %d bytes of %s", c.name, len(rec.Input.Data), rec.Input.Type)
			}
			got, err := s.Load(t.Context(), c.name, rec.Input)
			if err != nil || !got.Equal(p) {
				t.Errorf("%s: loaded %d bytes of %s, %v", c.name, len(got.Data), got.Type, err)
			}
			// Everything is below the root and is removed with it.
			if got := len(keysBelow(t, nc, c.name+".>")); got != c.extra {
				t.Errorf("%s: %d keys below the root, want %d", c.name, got, c.extra)
			}
			// The same payload stores nothing more, whether it comes from memory or from a
			// record.
			r = last(t, nc, records)
			x := rec.Execution
			x.Output, x.Input = p, p
			at, err := s.Update(t.Context(), x, 0)
			if err != nil {
				t.Fatal(err)
			}
			x = rec.Execution
			x.Output = rec.Input
			if _, err := s.Update(t.Context(), x, at); err != nil {
				t.Fatal(err)
			}
			if got := last(t, nc, records) - r; got != 2 {
				t.Errorf("%s: %d messages for 2 records of the same content", c.name, got)
			}
		}
	})
}

func TestPayloadWithoutItsMessageIsNotToBeSeen(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		s := jstest.Open(t, nc, jsstore.Config{MaxReady: 1})
		if err := s.Enqueue(t.Context(), due("first", bytesOf("", 10))); err != nil {
			t.Fatal(err)
		}
		p := bytesOf("large", 3<<20)
		err := s.Enqueue(t.Context(), due("x", p))
		if !errors.Is(err, engine.ErrQueueFull) {
			t.Fatalf("error = %v, want ErrQueueFull", err)
		}
		if len(keysBelow(t, nc, "x.>")) == 0 {
			t.Fatal("nothing was stored before the message: the test tests nothing")
		}
		if _, err := s.Get(t.Context(), "x"); !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("get: %v, want ErrNotFound", err)
		}
		if n := visible(t, s); n != 1 {
			t.Errorf("%d executions are listed, want 1", n)
		}
		for r, err := range s.List(t.Context(), engine.Filter{Tree: "x"}) {
			t.Errorf("in the tree: %s, %v", r.ID, err)
		}
		// If it is interrupted between any two messages, a later call completes it.
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		bucket, err := js.Stream(t.Context(), "KV_durable-executions")
		if err != nil {
			t.Fatal(err)
		}
		all := keysBelow(t, nc, "x.>")
		for key := range all {
			if strings.Count(key, ".") > 4 && !strings.HasSuffix(key, ".0") { // all chunks except the first one, and the mark
				continue
			}
			if err := bucket.Purge(t.Context(), jetstream.WithPurgeSubject(key)); err != nil {
				t.Fatal(err)
			}
		}
		x := due("x", p).Execution
		if _, err := s.Update(t.Context(), x, 0); err != nil {
			t.Fatal(err)
		}
		r, err := s.Get(t.Context(), "x")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.Load(t.Context(), "x", r.Input); err != nil || !got.Equal(p) {
			t.Errorf("loaded %d bytes, %v", len(got.Data), err)
		}
	})
}

func TestPayloadPastTheLimitIsRefusedAndNothingIsStored(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		const limit = 2 << 20
		s := jstest.Open(t, nc, jsstore.Config{PayloadLimit: limit})
		before := last(t, nc, "KV_durable-executions")
		refused := func(what string, err error) {
			t.Helper()
			if !errors.Is(err, engine.ErrTooLarge) {
				t.Fatalf("%s: %v, want ErrTooLarge", what, err)
			}
			for _, part := range []string{fmt.Sprint(limit), fmt.Sprint(limit + 1)} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%s: %q, want %s in it", what, err, part)
				}
			}
		}
		p := bytesOf("", limit+1)
		refused("input", s.Enqueue(t.Context(), due("x", p)))
		x := due("x", codec.Payload{}).Execution
		x.Output = p
		_, err := s.Update(t.Context(), x, 0)
		refused("output", err)
		if n := last(t, nc, "KV_durable-executions") - before; n != 0 {
			t.Errorf("%d messages are stored of what was refused", n)
		}
		// An execution that somebody else has enqueued must be able to finish.
		y := due("y", p).Execution
		if _, err := s.Update(t.Context(), y, 0); err != nil {
			t.Errorf("an input that was accepted elsewhere: %v", err)
		}
		before = last(t, nc, "KV_durable-executions")
		x.Output, x.Spawns = codec.Payload{}, []engine.Spawn{{Task: "c", Queue: "q", Input: p}}
		_, err = s.Update(t.Context(), x, 0)
		refused("child", err)
		if n := last(t, nc, "KV_durable-executions") - before; n != 0 || visible(t, s) != 1 {
			t.Errorf("%d messages and %d executions are there, want none but y", n, visible(t, s))
		}
		for _, c := range []int{-1, 2 << 30} {
			if _, err := jsstore.Open(t.Context(), nc, jsstore.Config{PayloadLimit: c}); err == nil {
				t.Errorf("a limit of %d is taken", c)
			}
		}
	})
}

func TestPayloadThatIsDamagedOrGoneSaysSo(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		s := jstest.Open(t, nc, jsstore.Config{})
		if err := s.Enqueue(t.Context(), due("x", bytesOf("large", 2<<20))); err != nil {
			t.Fatal(err)
		}
		r, err := s.Get(t.Context(), "x")
		if err != nil {
			t.Fatal(err)
		}
		ref := r.Input
		for what, data := range map[string]string{
			"nothing":        "",
			"text":           "somewhere",
			"another sum":    strings.Repeat("ab", 31) + " 10 1",
			"capitals":       strings.ToUpper(string(ref.Data)),
			"a subject":      "*.> 10 1",
			"more than told": string(ref.Data) + " 1",
			"no chunks":      strings.Repeat("ab", 32) + " 10 0",
			"negative":       strings.Repeat("ab", 32) + " -10 1",
		} {
			if _, err := s.Load(t.Context(), "x", codec.Payload{Type: ref.Type, Data: []byte(data)}); !errors.Is(err, engine.ErrDamaged) {
				t.Errorf("%s: %v, want ErrDamaged", what, err)
			}
		}
		for what, data := range map[string]string{
			"never stored":        strings.Repeat("ab", 32) + " 10 1",
			"a billion of chunks": strings.Repeat("ab", 32) + " 1000000000 1000000000",
		} {
			if _, err := s.Load(t.Context(), "x", codec.Payload{Type: ref.Type, Data: []byte(data)}); !errors.Is(err, engine.ErrNotFound) {
				t.Errorf("%s: %v, want ErrNotFound", what, err)
			}
		}
		for key := range keysBelow(t, nc, "x.>") {
			if strings.HasSuffix(key, ".4.2") {
				if _, err := s.Publish(t.Context(), &nats.Msg{Subject: key, Data: make([]byte, 512<<10)}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := s.Load(t.Context(), "x", ref); !errors.Is(err, engine.ErrDamaged) {
			t.Errorf("with another chunk: %v, want ErrDamaged", err)
		}
	})
}

// A replica that lags behind does not have the latest writes. Then the store asks the leader,
// and does not report the payload as lost.
func TestPayloadIsReadFromAClusterAsSoonAsItIsWritten(t *testing.T) {
	nodes := jstest.Cluster(t, 3)
	s := jstest.Open(t, nodes.Connect(), jsstore.Config{Replicas: 3})
	reader := jstest.Open(t, nodes.Connect(), jsstore.Config{})
	for i := range 10 {
		p := bytesOf(fmt.Sprint(i), 6<<20)
		ref, err := s.KeepIn(t.Context(), "x", p, 256<<10)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := reader.Load(t.Context(), "x", ref); err != nil || !got.Equal(p) {
			t.Errorf("%d: loaded %d bytes, %v", i, len(got.Data), err)
		}
	}
}

func TestBytesThatWereCutOtherwiseDontMix(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		s := jstest.Open(t, nc, jsstore.Config{})
		p := bytesOf("large", 2<<20)
		big, err := s.KeepIn(t.Context(), "x", p, 512<<10)
		if err != nil {
			t.Fatal(err)
		}
		small, err := s.KeepIn(t.Context(), "x", p, 100_000)
		if err != nil {
			t.Fatal(err)
		}
		for _, ref := range []codec.Payload{big, small} {
			if got, err := s.Load(t.Context(), "x", ref); err != nil || !got.Equal(p) {
				t.Errorf("%s: loaded %d bytes, %v", ref.Data, len(got.Data), err)
			}
		}
		if big.Equal(small) {
			t.Error("the references are the same")
		}
	})
}
