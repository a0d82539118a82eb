package jsstore

import (
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/codec/vectors"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/layout"
	"github.com/durable-execution/durable/jsstore/internal/message"
	"github.com/durable-execution/durable/jsstore/internal/namespace"
	"github.com/durable-execution/durable/jsstore/internal/rpc"
)

var _ = flag.Bool("update", false, "add the test vectors that are missing")

// storedAt is when the server stored the messages of the vectors.
var storedAt = time.UnixMilli(1_700_000_000_123).UTC()

// readyMeaning is what a reader gets from a ready message.
type readyMeaning struct {
	// Record is the execution as it would be recorded now.
	Record codec.Payload `json:"record"`
	// Given are the fields of the policy, and the metadata, that the message sets; the
	// definition decides the others. Nil if the policy is settled.
	Given     []string `json:"given"`
	Settled   bool     `json:"settled"`
	Exclusive bool     `json:"exclusive"`
	Hint      bool     `json:"hint"`
	Invalid   string   `json:"invalid,omitempty"`
}

func meaningOf(t *testing.T, d *engine.Delivery) json.RawMessage {
	t.Helper()
	m := readyMeaning{Settled: !d.Unsettled && !d.Hint, Exclusive: !d.Fresh && !d.Hint, Hint: d.Hint}
	data, err := engine.EncodeRecord(d.Execution)
	if err != nil {
		t.Fatal(err)
	}
	m.Record = codec.Payload{Type: codec.MsgPack, Data: data}
	for _, o := range d.Given {
		m.Given = append(m.Given, map[string]string{
			"engine.Retry": "maxRetries", "engine.Timeout": "timeoutMs", "engine.Delay": "sleepMsBeforeRun",
			"engine.ChildPolicy": "onChildFailure", "engine.Retention": "retentionMs", "engine.Metadata": "metadata",
		}[fmt.Sprintf("%T", o)])
	}
	if d.Invalid != nil {
		m.Invalid, m.Record = d.Invalid.Error(), codec.Payload{}
	}
	return vectors.Meaning(t, m)
}

// vectorOf returns a message as a vector.
func vectorOf(name string, m *nats.Msg, meaning json.RawMessage) vectors.Vector {
	v := vectors.Vector{Name: name, Subject: m.Subject, Meaning: meaning, Bytes: m.Data}
	for k := range m.Header {
		if v.Headers == nil {
			v.Headers = map[string]string{}
		}
		v.Headers[k] = m.Header.Get(k)
	}
	return v
}

func messageOf(v vectors.Vector) *rpc.Stored {
	m := &rpc.Stored{Subject: v.Subject, Data: v.Bytes, Header: nats.Header{}, Time: storedAt}
	if len(v.Bytes) == 0 {
		m.Data = nil
	}
	for k, value := range v.Headers {
		m.Header.Set(k, value)
	}
	return m
}

// foreign returns messages of clients that know only codec/WIRE.md.
func foreign() (names []string, ms []*nats.Msg) {
	add := func(name, id, body string, headers ...string) {
		m := &nats.Msg{Subject: "durable.ready.default.greet." + id, Data: []byte(body), Header: nats.Header{}}
		for i := 0; i < len(headers); i += 2 {
			m.Header.Set(headers[i], headers[i+1])
		}
		names, ms = append(names, name), append(ms, m)
	}
	const body = `{"name":"world"}`
	add("a publish and nothing else", "42", body)
	add("no input", "42", "")
	add("MessagePack", "42", "\x81\xa4name\xa5world", "Content-Type", "application/msgpack")
	add("JSON, said", "42", body, "Content-Type", "application/json")
	add("unique id", "42", body, "Durable-Exclusive", "0")
	add("id that may have been used", "42", body, "Durable-Exclusive", "1")
	add("created before", "42", body, "Durable-Created", "1699999999000")
	add("delay", "42", body, "Durable-Delay", "1500")
	add("timeout", "42", body, "Durable-Timeout", "60000")
	add("no timeout", "42", body, "Durable-Timeout", "0")
	add("retries", "42", body, "Durable-Retries", "3", "Durable-Base-Delay", "1000", "Durable-Multiplier", "1.5", "Durable-Max-Delay", "60000", "Durable-Jitter", "0.25")
	add("no retries", "42", body, "Durable-Retries", "0")
	add("waits for all children", "42", body, "Durable-On-Child-Failure", "wait_all")
	add("kept for an hour", "42", body, "Durable-Retention", "3600000")
	add("kept for ever", "42", body, "Durable-Retention", "0")
	add("settled by the client", "42", body, "Durable-Settled", "1")
	add("sleeps", "42", body, "Durable-Settled", "1", "Durable-Sleeping", "1")
	add("a header that nobody knows", "42", body, "Durable-Colour", "blue", "X-Request-Id", "7")
	add("invalid: no number", "42", body, "Durable-Delay", "soon")
	add("invalid: negative", "42", body, "Durable-Timeout", "-1")
	add("invalid: a flag that is none", "42", body, "Durable-Exclusive", "true")
	add("invalid: a retry without their number", "42", body, "Durable-Base-Delay", "1000")
	add("invalid: a policy that there is not", "42", body, "Durable-On-Child-Failure", "shrug")
	add("no execution: a path without a parent", "42.0", body)
	add("no execution: more tokens", "42.0.1", body)
	add("no execution: not a character of an id", "4!2", body)
	add("metadata", "42", body, "Durable-Meta-order", "42", "Durable-Meta-Customer_Name-2", "Zoë: = {}")
	add("metadata, settled by the client", "42", body, "Durable-Settled", "1", "Durable-Meta-order", "42")
	add("invalid: metadata without a key", "42", body, "Durable-Meta-", "42")
	add("invalid: metadata with a dot in its key", "42", body, "Durable-Meta-order.no", "42")
	add("invalid: metadata that can't be printed", "42", body, "Durable-Meta-order", "4\t2")
	return names, ms
}

// settled returns messages of Go programs.
func settled(t *testing.T) (names []string, dues []engine.Due) {
	t.Helper()
	in, err := codec.Encode(map[string]any{"name": "world"})
	if err != nil {
		t.Fatal(err)
	}
	at := storedAt.Add(-time.Millisecond)
	add := func(name, id string, change func(*engine.Due)) {
		d := engine.Due{Execution: engine.Execution{
			ID: id, Task: "greet", Queue: "default", Input: in, Validated: true, Status: engine.Ready,
			CreatedAt: at, ChangedAt: at, StartAt: at, Policy: engine.Policy{Timeout: 5 * time.Minute},
		}}
		change(&d)
		d.StartAt = at.Add(d.Policy.Delay)
		names, dues = append(names, name), append(dues, d)
	}
	add("Go: a root", "te_1", func(*engine.Due) {})
	add("Go: an id of the caller's", "order-42", func(d *engine.Due) { d.Exclusive = true })
	add("Go: everything in the policy", "te_1", func(d *engine.Due) {
		d.Policy = engine.Policy{
			Timeout: time.Minute, Delay: 5 * time.Second, OnChildFailure: engine.WaitAll, Retention: time.Hour,
			Retry: engine.Retry{MaxRetries: 4, BaseDelay: time.Second, Multiplier: 1.5, MaxDelay: time.Hour, Jitter: 0.25},
		}
	})
	add("Go: no timeout, kept for ever", "te_1", func(d *engine.Due) { d.Policy = engine.Policy{Retention: engine.Forever} })
	add("Go: a child", "te_1.3", func(d *engine.Due) { d.Parent, d.Index = "te_1", 3 })
	add("Go: a child of a child, spawned again", "te_1.3-0", func(d *engine.Due) { d.Parent, d.Exclusive = "te_1.3", true })
	add("Go: a finalize", "te_1.f", func(d *engine.Due) { d.Parent, d.IsFinalize, d.Input = "te_1", true, codec.Payload{} })
	add("Go: a step of a sequence", "te_1.1", func(d *engine.Due) {
		d.Parent, d.Index, d.InputFrom, d.Input, d.Validated = "te_1", 1, "te_1.0", codec.Payload{}, false
	})
	add("Go: a step that is handed its input", "te_1.2", func(d *engine.Due) {
		d.Parent, d.Index, d.Only, d.InputFrom, d.Validated = "te_1", 2, true, "te_1.1", false
	})
	add("Go: sleeps", "te_1", func(d *engine.Due) { d.Sleeping, d.Policy = true, engine.Policy{} })
	add("Go: a retry", "te_2", func(d *engine.Due) { d.RetryOf = "te_1" })
	add("Go: encrypted", "te_1", func(d *engine.Due) {
		d.Input = codec.Payload{Type: "application/msgpack; enc=gzip+aes-gcm.k1", Data: []byte{1, 2, 3}}
	})
	add("Go: metadata", "te_1", func(d *engine.Due) { d.Metadata = engine.Metadata{"order": "42", "Customer_Name-2": "Zoë: = {}"} })
	return names, dues
}

func TestVectorsOfReadyMessages(t *testing.T) {
	l := layout.Layout{NS: "durable"}
	var made []vectors.Vector
	names, ms := foreign()
	for i, m := range ms {
		made = append(made, vectorOf(names[i], m, meaningOf(t, message.ParseDue(l, messageOf(vectorOf("", m, nil))))))
	}
	names, dues := settled(t)
	for i, d := range dues {
		m := message.ReadyMessage(l, &d)
		made = append(made, vectorOf(names[i], m, meaningOf(t, message.ParseDue(l, messageOf(vectorOf("", m, nil))))))
	}
	file := vectors.Check(t, "ready.json", "492fdddfaafc95aede36c5549c5c3f82cd8fb0a51db0ee9cf678c68a4a3147e4", made)
	for i, want := range dues {
		d := message.ParseDue(l, messageOf(file[names[i]]))
		if d.Invalid != nil || !reflect.DeepEqual(d.Execution, want.Execution) || d.Fresh == want.Exclusive || d.Unsettled {
			t.Errorf("%s: %v\nread %+v\nwant %+v", names[i], d.Invalid, d.Execution, want.Execution)
		}
	}
	for name, v := range file {
		d := message.ParseDue(l, messageOf(v))
		none, invalid := strings.HasPrefix(name, "no execution"), strings.HasPrefix(name, "invalid")
		if (d.Invalid != nil) != (none || invalid) || message.IsExecution(d) == none {
			t.Errorf("%s: invalid %v, id %q", name, d.Invalid, d.Execution.ID)
		}
	}
}

func TestVectorsOfTimers(t *testing.T) {
	l := layout.Layout{NS: "durable"}
	names, dues := settled(t)
	at := storedAt.Add(time.Minute)
	x := dues[0].Execution
	b := &baton{s: &Store{layout: l}, m: message.ReadyMessage(l, &dues[0]), execution: &x, deliveries: 2}
	asleep := x
	asleep.Sleeping = true
	made := []vectors.Vector{}
	add := func(name string, m *nats.Msg) {
		made = append(made, vectorOf(name, m, meaningOf(t, message.ParseDue(l, messageOf(vectorOf("", m, nil))))))
	}
	later := b.timer(at, false)
	add("an execution that is due later", later)
	add("a hint to one that is recorded", b.timer(at, true))
	add("a hint to one that sleeps", (&baton{s: &Store{layout: l}, m: b.m, execution: &asleep, deliveries: 1}).timer(at, true))
	due := nats.NewMsg(l.DueSubject(&x))
	due.Data, due.Header = later.Data, nats.Header{message.HeaderScheduler: {later.Subject}, "Nats-Schedule-Next": {"purge"}}
	for k, v := range later.Header {
		if !strings.HasPrefix(k, "Nats-") {
			due.Header[k] = v
		}
	}
	add("an execution that is due, as the server makes it of the first", due)
	message.ExpectNone(later)
	add("an execution that is due later, as it is published: nothing else of its id may lie there", later)
	child := dues[slices.Index(names, "Go: a child")]
	add("a child for which the ready stream has no room", message.DueAtOnce(l, message.ReadyMessage(l, &child), &child.Execution, at))
	again := messageOf(vectorOf("", later, nil))
	again.Sequence = 41
	add("an overdue timer, with the sequence 41, published again", timerAgain(again))
	look := message.LookMessage(l, "te_1", at)
	made = append(made, vectorOf("a tree to be looked at later", look, vectors.Meaning(t, map[string]string{"root": "te_1"})))
	vectors.Check(t, "timers.json", "7f6cb53f6ae3981395eb6bd8cc0d18dd381b43bc17ede734ee9ace818cdd56f7", made)
}

func TestVectorsOfTheBucket(t *testing.T) {
	l := layout.Layout{NS: "durable"}
	var made []vectors.Vector
	for _, n := range []namespace.Settings{
		{Version: 1, Shards: 1, LeaseMS: 30_000, RetentionMS: 604_800_000},
		{Version: 1, Shards: 1, LeaseMS: 2_000}, // keeps trees for ever
	} {
		data := vectors.Meaning(t, n)
		made = append(made, vectors.Vector{Name: fmt.Sprintf("namespace, lease %d ms", n.LeaseMS), Subject: l.NamespaceSubject(), Meaning: data, Bytes: vectors.Hex(data)})
	}
	made = append(made, vectorOf("grave", message.GraveMessage(l, "te_1", message.GraveTTL), vectors.Meaning(t, map[string]any{"executionId": "te_1", "deleted": true})))

	data := []byte("0123456789")
	r := blobRef{sum: sha256.Sum256(data), size: len(data), chunks: 3}
	mark := l.BlobSubject("te_1.0-3", r.sum)
	for i, chunk := range []string{"0123", "4567", "89"} {
		made = append(made, vectors.Vector{Name: fmt.Sprint("chunk ", i), Subject: chunkSubject(mark, r.chunks, i),
			Meaning: vectors.Meaning(t, map[string]any{"executionId": "te_1.0-3", "chunk": i, "chunks": 3}), Bytes: vectors.Hex(chunk)})
	}
	made = append(made, vectors.Vector{Name: "the reference, when all chunks are there", Subject: mark,
		Meaning: vectors.Meaning(t, map[string]any{"sha256": fmt.Sprintf("%x", r.sum), "bytes": r.size, "chunks": r.chunks}), Bytes: vectors.Hex(r.String())})
	file := vectors.Check(t, "bucket.json", "2f0e759a137ccf6f96096805de8c28d3207921e52945b194589216060cd07f1a", made)
	if got, err := parseBlobRef(file["the reference, when all chunks are there"].Bytes); err != nil || got != r {
		t.Errorf("reference = %+v, %v, want %+v", got, err, r)
	}
	if !message.IsGrave(messageOf(file["grave"])) {
		t.Error("the grave is none")
	}
}
