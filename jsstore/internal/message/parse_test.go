package message

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/layout"
	"github.com/durable-execution/durable/jsstore/internal/rpc"
)

func TestReadyMessageHoldsTheWholeExecution(t *testing.T) {
	l := layout.Layout{NS: "ns"}
	at := time.UnixMilli(1_700_000_000_123).UTC()
	want := engine.Execution{
		ID: "te_1.0-f", Parent: "te_1.0", IsFinalize: true, Task: "task", Queue: "q",
		Policy: engine.Policy{
			Timeout: time.Minute, Delay: 5 * time.Second, OnChildFailure: engine.WaitAll,
			Retry: engine.Retry{MaxRetries: 4, BaseDelay: time.Second, Multiplier: 1.5, MaxDelay: time.Hour, Jitter: 0.25},
		},
		Input: codec.Payload{Type: codec.JSON, Data: []byte(`{"a":1}`)}, Validated: true,
		Metadata: engine.Metadata{"Order-No": "42: = {}", "customer": "Zoë"},
		Status:   engine.Ready, CreatedAt: at, ChangedAt: at, StartAt: at.Add(5 * time.Second),
	}
	for i, exclusive := range []bool{false, true, true} {
		want.Policy.Retention = []time.Duration{0, time.Minute, engine.Forever}[i]
		m := ReadyMessage(l, &engine.Due{Execution: want, Exclusive: exclusive})
		d := ParseDue(l, &rpc.Stored{Subject: m.Subject, Header: m.Header, Data: m.Data, Time: time.Now()})
		if d.Invalid != nil || d.Unsettled || d.Fresh == exclusive {
			t.Errorf("invalid %v, unsettled %v, fresh %v, want nil, false, %v", d.Invalid, d.Unsettled, d.Fresh, !exclusive)
		}
		if !reflect.DeepEqual(d.Execution, want) {
			t.Errorf("execution = %+v\nwant %+v", d.Execution, want)
		}
	}
}

func TestPublishOfAnotherClientIsAnExecutionWithoutSettledPolicy(t *testing.T) {
	l := layout.Layout{NS: "ns"}
	at := time.UnixMilli(1_700_000_000_123).UTC()
	d := ParseDue(l, &rpc.Stored{Subject: "ns.ready.default.greet.42", Data: []byte(`{"name":"world"}`), Time: at,
		Header: nats.Header{codec.HeaderRetries: {"2"}, codec.HeaderDelay: {"1500"}, codec.HeaderRetention: {"0"}, "Durable-Meta-order": {"41", "42"}}})
	if d.Invalid != nil {
		t.Fatal(d.Invalid)
	}
	if !d.Unsettled || !reflect.DeepEqual(d.Given, []engine.Option{engine.Retry{MaxRetries: 2}, engine.Delay(1500 * time.Millisecond), engine.Retention(engine.Forever), engine.Metadata{"order": "42"}}) {
		t.Errorf("unsettled %v, given %v, want true, 2 retries, a delay of 1.5 s, for ever and order 42", d.Unsettled, d.Given)
	}
	if x := d.Execution; x.ID != "42" || x.Task != "greet" || x.Queue != "default" || x.Input.Type != codec.JSON || !x.CreatedAt.Equal(at) || x.Validated {
		t.Errorf("execution = %+v, want 42 of greet in default, JSON, created at %s, not validated", x, at)
	}
}

func TestMessagesThatCannotBeUnderstoodSayWhy(t *testing.T) {
	l := layout.Layout{NS: "ns"}
	for _, c := range []struct{ subject, header, value, want string }{
		{"ns.ready.q.t.id", codec.HeaderTimeout, "soon", codec.HeaderTimeout},
		{"ns.ready.q.t.id", codec.HeaderTimeout, "-5", "timeout"},
		{"ns.ready.q.t.id", codec.HeaderMetadata, "v", "metadata key is empty"},
		{"ns.ready.q.t.id", codec.HeaderMetadata + "a.b", "v", `metadata key "a.b"`},
		{"ns.ready.q.t.id", codec.HeaderMetadata + "k", "", "metadata k: the value is empty"},
		{"ns.ready.q.t.id", codec.HeaderRetention, "-5", "retention"},
		{"ns.ready.q.t.id", codec.HeaderRetention, "999", "retention"},
		{"ns.ready.q.t.id", codec.HeaderTimeout, "99999999999999999", "292 years"},
		{"ns.ready.q.t.id", codec.HeaderRetries, "-1", "retries"},
		{"ns.ready.q.t.id", codec.HeaderMultiplier, "0.01", "multiplier"},
		{"ns.ready.q.t.id", codec.HeaderMultiplier, "NaN", "multiplier"},
		{"ns.ready.q.t.id", codec.HeaderJitter, "2", "jitter"},
		{"ns.ready.q.t.id", codec.HeaderOnChildFailure, "shrug", "child policy"},
		{"ns.ready.q.t.id", codec.HeaderCreated, "yesterday", codec.HeaderCreated},
		{"ns.ready.q.t", "", "", "want ns.ready.<queue>.<task>.<id>"},
		{"other.ready.q.t.id", "", "", "other.ready.q.t.id"},
		{"ns.ready.q.t.id.0.1", "", "", "execution id"},
		{"ns.ready.q.t.i!d", "", "", "execution id"},
		{"ns.ready.q.t$.id", "", "", "task id"},
		{"ns.ready.q$.t.id", "", "", "queue"},
	} {
		h := nats.Header{}
		if c.header != "" {
			h.Set(c.header, c.value)
		}
		if c.header == codec.HeaderMultiplier || c.header == codec.HeaderJitter {
			h.Set(codec.HeaderRetries, "1")
		}
		d := ParseDue(l, &rpc.Stored{Subject: c.subject, Header: h, Time: time.Now()})
		if d.Invalid == nil || !strings.Contains(d.Invalid.Error(), c.want) {
			t.Errorf("%s with %s: %q: error = %v, want one that names %q", c.subject, c.header, c.value, d.Invalid, c.want)
		}
	}
}

func TestNoMessageClaimsAFamilyThatItsIDIsNotOf(t *testing.T) {
	l := layout.Layout{NS: "ns"}
	type claim = engine.Execution
	for _, c := range []struct {
		id    string
		claim claim
		want  string // empty if the message is valid
	}{
		{"evil", claim{Parent: "te_1"}, "evil is the id of a root"},
		{"evil", claim{Parent: "te_1", Index: 3}, "evil is the id of a root"},
		{"evil", claim{Parent: "te_1", IsFinalize: true}, "evil is the id of a root"},
		{"evil", claim{IsFinalize: true}, "evil is the id of a root"},
		{"evil", claim{Only: true}, "evil is the id of a root"},
		{"evil", claim{InputFrom: "te_1"}, "evil is not in the tree of te_1"},
		{"evil.0", claim{Parent: "evil", InputFrom: "te_1"}, "evil.0 is not in the tree of te_1"},
		{"evil.0", claim{Parent: "te_1"}, "evil.0 is not the id of child 0"},
		{"evil.0", claim{Parent: "evil", Index: 1}, "evil.0 is not the id of child 1"},
		{"evil.0", claim{Parent: "evil", Index: -1}, "evil.0 is not the id of child -1"},
		{"evil.0", claim{Parent: "evil", IsFinalize: true}, "evil.0 is not the id of the finalize"},
		{"evil.f", claim{Parent: "te_1", IsFinalize: true}, "evil.f is not the id of the finalize"},
		{"evil.0", claim{}, "evil.0 is not the id of child 0"},
		{"good", claim{}, ""},
		{"good.0", claim{Parent: "good"}, ""},
		{"good.1", claim{Parent: "good", Index: 1, InputFrom: "good.0"}, ""},
		{"good.1-f", claim{Parent: "good.1", IsFinalize: true}, ""},
	} {
		d := ParseDue(l, &rpc.Stored{Subject: "ns.ready.q.t." + c.id, Data: engine.EncodeDue(&c.claim), Time: time.Now()})
		if c.want == "" {
			if d.Invalid != nil {
				t.Errorf("%s %+v: error = %v, want none", c.id, c.claim, d.Invalid)
			}
			continue
		}
		if d.Invalid == nil || !strings.Contains(d.Invalid.Error(), c.want) {
			t.Errorf("%s %+v: error = %v, want one that says %q", c.id, c.claim, d.Invalid, c.want)
		}
		if x := d.Execution; x.Parent != "" || x.Index != 0 || x.Only || x.IsFinalize || x.InputFrom != "" {
			t.Errorf("%s %+v: its end would be reported to %q", c.id, c.claim, x.Parent)
		}
	}
	hint := ParseDue(l, &rpc.Stored{Subject: "ns.ready.q.t.good.0", Header: nats.Header{codec.HeaderHint: {"1"}}, Time: time.Now()})
	if hint.Invalid != nil {
		t.Errorf("a hint: error = %v, want none: the record says whose it is", hint.Invalid)
	}
}

// TestBodiesThatCannotBeUnderstoodSayWhy is about bodies that programs write.
func TestBodiesThatCannotBeUnderstoodSayWhy(t *testing.T) {
	l, now := layout.Layout{NS: "ns"}, time.Now()
	for _, c := range []struct {
		x    engine.Execution
		want string
	}{
		{engine.Execution{Policy: engine.Policy{Timeout: -time.Second}}, "timeout"},
		{engine.Execution{Metadata: engine.Metadata{"a.b": "c"}}, `metadata key "a.b"`},
		{engine.Execution{CreatedAt: now.AddDate(101, 0, 0)}, "a century ahead"},
	} {
		d := ParseDue(l, &rpc.Stored{Subject: "ns.ready.q.t.id", Data: engine.EncodeDue(&c.x), Time: now})
		if d.Invalid == nil || !strings.Contains(d.Invalid.Error(), c.want) || d.Execution.ID != "id" {
			t.Errorf("%+v: id %q, error = %v, want one that says %q", c.x, d.Execution.ID, d.Invalid, c.want)
		}
		if d.Execution.Metadata != nil || d.Execution.CreatedAt.After(now) {
			t.Errorf("%+v: metadata %v, created at %s: refused and kept", c.x, d.Execution.Metadata, d.Execution.CreatedAt)
		}
	}
	if d := ParseDue(l, &rpc.Stored{Subject: "ns.ready.q.t.id", Data: []byte("\xc1garbage"), Time: now}); !errors.Is(d.Invalid, engine.ErrDamaged) {
		t.Errorf("garbage: %v, want ErrDamaged", d.Invalid)
	}
	// A message of a later version is left to that version, whatever it looks like to this one.
	if d := ParseDue(l, &rpc.Stored{Subject: "ns.ready.q.t.id.0", Data: []byte("\xc1\x82\xa1v\x63\xa5index\xff"), Time: now}); !errors.Is(d.Invalid, engine.ErrNewer) || d.Execution.ID != "id.0" {
		t.Errorf("of version 99: %q, %v, want ErrNewer", d.Execution.ID, d.Invalid)
	}
	// With a content type it is an input, although an unreadable one.
	d := ParseDue(l, &rpc.Stored{Subject: "ns.ready.q.t.id", Data: []byte("\xc1garbage"), Header: nats.Header{codec.HeaderContentType: {"application/msgpack"}}, Time: now})
	if d.Invalid != nil || len(d.Execution.Input.Data) != len("\xc1garbage") {
		t.Errorf("an input: %v, %+v, want it as it is", d.Invalid, d.Execution.Input)
	}
}
