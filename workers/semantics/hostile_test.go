package semantics_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/doctor"
	"github.com/durable-execution/durable/jsstore/jstest"
	"github.com/durable-execution/durable/jsstore/scan"
	"github.com/durable-execution/durable/workers"
)

// raw returns a connection that can publish any bytes.
func (w *world) raw() *jstest.Raw {
	w.t.Helper()
	conn, err := w.nc.Opts.InProcessServer.InProcessConn()
	check(w.t, err)
	r, err := jstest.NewRaw(conn)
	check(w.t, err)
	w.t.Cleanup(func() { _ = r.Close() })
	return r
}

// keep publishes any bytes, and fails unless the server stores them.
func (w *world) keep(r *jstest.Raw, subject, header, body string) {
	w.t.Helper()
	a, err := r.Publish(subject, blockOf(header), []byte(body))
	check(w.t, err)
	if a.Stored == 0 {
		w.t.Fatalf("publish to %q: %+v, want it stored", subject, a)
	}
}

// blockOf returns a header block: nil if header is empty, the bytes after "raw:" unchanged if it
// starts with that, and otherwise a valid block of the lines in header.
func blockOf(header string) []byte {
	switch {
	case header == "":
		return nil
	case strings.HasPrefix(header, "raw:"):
		return []byte(strings.TrimPrefix(header, "raw:"))
	}
	return []byte("NATS/1.0\r\n" + header + "\r\n\r\n")
}

// listed returns the status of every execution in a list, by id.
func (w *world) listed() map[string]engine.Status {
	w.t.Helper()
	all := map[string]engine.Status{}
	for x, err := range w.client.List(w.t.Context(), engine.Filter{}) {
		check(w.t, err)
		all[x.ID] = x.Status
	}
	return all
}

// viewsAnswer fails unless all views of the store work.
func (w *world) viewsAnswer() {
	w.t.Helper()
	s := w.store.(*jsstore.Store)
	_, err := s.ListQueues(w.t.Context())
	check(w.t, err)
	_, err = s.Scan().Running(w.t.Context())
	check(w.t, err)
	for _, area := range []scan.Area{scan.Ready, scan.Timers, scan.Records} {
		last := uint64(0)
		for m, err := range s.Scan().Messages(w.t.Context(), area, 1, 0) {
			check(w.t, err)
			if m.Sequence <= last {
				w.t.Fatalf("%s: message %d comes after %d", area, m.Sequence, last)
			}
			last = m.Sequence
		}
	}
	report, err := doctor.Examine(w.t.Context(), w.nc, doctor.Config{})
	check(w.t, err)
	for _, f := range report.Findings {
		if f.Severity != doctor.Note && strings.Contains(f.Found, "could not be learned") {
			w.t.Errorf("doctor: %+v", f)
		}
	}
}

const completed, failed, aside, ready = string(engine.Completed), string(engine.Failed), "aside", string(engine.Ready)

// hostile has messages that a publisher without any other permission can store, and how each of
// them must end.
var hostile = []struct{ name, subject, header, body, want, reason string }{
	// Header blocks.
	{"line break in a value", "greet.newline", "Durable-Meta-note: one\ntwo", `{"name":"x"}`, failed, "header block can't be parsed"},
	{"no header block", "greet.garbage", "raw:garbage\r\n\r\n", `{"name":"x"}`, failed, "header block can't be parsed"},
	{"two bytes of a block", "greet.short", "raw:\r\n", `{"name":"x"}`, failed, "header block can't be parsed"},
	{"broken, and no id", "greet.b$d", "raw:garbage\r\n\r\n", "1", aside, "is not one of"},
	{"a blank line inside", "greet.tail", "A: b\r\n\r\nC: d", `{"name":"x"}`, completed, ""},
	{"a blank line inside, and the server's headers", "greet.forged",
		"Nats-Stream: durable-ready\r\nNats-Subject: durable.ready.default.greet.other\r\nNats-Sequence: 18446744073709551615\r\nNats-Time-Stamp: 2020-01-01T00:00:00Z\r\nNats-Num-Pending: 0\r\n",
		`{"name":"x"}`, completed, ""},
	{"the server's headers", "greet.before", "Nats-Stream: x\r\nNats-Sequence: 1\r\nNats-Subject: durable.ready.default.greet.other\r\nNats-Time-Stamp: no", `{"name":"x"}`, completed, ""},
	{"a status", "greet.status", "Status: 404\r\nDescription: Server Shutdown", "", failed, "invalid input"},
	{"a status in the first line", "greet.inline", "raw:NATS/1.0 503\r\n\r\n", "", failed, "invalid input"},
	{"many headers without a space", "greet.many", strings.Repeat("a:b\r\n", 5000) + "a:b", `{"name":"x"}`, completed, ""},
	{"as long as headers may be", "greet.long", "A: " + strings.Repeat("x", 65_400), `{"name":"x"}`, completed, ""},
	{"as long as headers may be, and later", "greet.longer", "Durable-Delay: 5000\r\nA: " + strings.Repeat("x", 65_400), `{"name":"x"}`, completed, ""},
	{"as long as headers may be, and no id", "greet.l$", "A: " + strings.Repeat("x", 65_400), `{"name":"x"}`, aside, "is not one of"},
	{"what means something in the bucket, and no id", "greet.k$", "KV-Operation: DEL\r\nDurable-Aside-Subject: x\r\nDurable-Aside-Size: 7\r\nDurable-Write: x", "1", aside, "is not one of"},
	{"a header twice", "greet.twice", "Durable-Retries: 1\r\nDurable-Retries: no", `{"name":"x"}`, completed, ""},
	{"a name that is none", "greet.name", "Durable Retries\x00: 1", `{"name":"x"}`, completed, ""},
	{"a name that is none, and later", "greet.later", "Durable-Delay: 5000\r\nDurable Retries\x00: 1\r\n\xff: 1", `{"name":"x"}`, completed, ""},
	{"a name that is none, and no id", "greet.n$", "Durable Retries\x00: 1", `{"name":"x"}`, aside, "is not one of"},
	{"names that the client library refuses, and no id", "greet.p$", "Durable-V)ersion: 1\r\nA<\"/,;=?@[\\]{}>: 1", "1", aside, "is not one of"},
	{"names that the client library refuses, and no task", "/durable.ready.parens", "(A): 1", "1", aside, "want durable.ready.<queue>.<task>.<id>"},
	{"names that the client library refuses, and later", "greet.parens", "Durable-Delay: 5000\r\n(A/B): 1", `{"name":"x"}`, completed, ""},
	// Subjects.
	{"an id that is no UTF-8", "greet.\xff\xfe", "", "1", aside, "is not one of"},
	{"a task that is no UTF-8", "gr\xff\xfe\xfd.notask", "", "1", failed, "is not one of"},
	{"a long task", strings.Repeat("t", 3000) + ".longtask", "", "1", failed, "characters"},
	{"a long id", "greet." + strings.Repeat("i", 3000), "", "1", aside, "characters"},
	{"a path", "greet.path.0", "", "1", aside, "is not the id of"},
	{"three tokens for an id", "greet.a.b.c", "", "1", aside, "is not one of"},
	{"no id", "greet", "", "1", aside, "want durable.ready.<queue>.<task>.<id>"},
	{"no task", "/durable.ready.default", "", "1", aside, "want durable.ready.<queue>.<task>.<id>"},
	{"no task, and a broken block", "/durable.ready.nobody", "raw:x\r\n\r\n", "1", aside, "want durable.ready.<queue>.<task>.<id>"},
	{"a queue that is none", "/durable.ready.=x.greet.noqueue", "", "1", aside, "queue"},
	{"a queue that is no UTF-8", "/durable.ready.\xff.greet.badqueue", "", "1", aside, "queue"},
	{"a long queue", "/durable.ready." + strings.Repeat("q", 65) + ".greet.longqueue", "", "1", aside, "queue"},
	{"no valid id, and a queue that nobody serves", "/durable.ready.nobody.greet.b$d", "", "1", aside, "is not one of"},
	// Content types.
	{"no encoding", "greet.type", "Content-Type: text/plain", "x", failed, "content type"},
	{"a type that is no UTF-8", "greet.type8", "Content-Type: application/\xff", "x", failed, "content type"},
	{"a layer with no name", "greet.enc", "Content-Type: application/json; enc=", "x", failed, "content type"},
	{"layers that are none", "greet.enc2", "Content-Type: application/json; enc=+a b+", "x", failed, "content type"},
	{"nine layers", "greet.enc9", "Content-Type: application/json; enc=a" + strings.Repeat("+a", 8), "x", failed, "at most 8"},
	{"a layer of no encoding", "greet.encx", "Content-Type: x; enc=gzip", "x", failed, "content type"},
	{"a layer that nobody has here", "greet.key", "Content-Type: application/json; enc=secret.k1", "x", ready, ""},
	{"gzip that is none", "greet.gzip", "Content-Type: application/json; enc=gzip", "x", failed, "can't be read"},
	{"a blob that is none", "greet.blob", "Content-Type: application/json; enc=blob", "x", failed, "can't be read"},
	{"a blob that is not there", "greet.noblob", "Content-Type: application/json; enc=blob", strings.Repeat("0", 64) + " 5 1", failed, "not found"},
	{"a blob within a layer", "greet.inblob", "Content-Type: application/json; enc=blob+gzip", "x", failed, "outermost"},
	// Options.
	{"asleep", "greet.asleep", "Durable-Sleeping: 1\r\nDurable-Timeout: 1000", `{"name":"x"}`, string(engine.TimedOut), ""},
	{"from the future", "greet.future", fmt.Sprint("Durable-Created: ", time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()), `{"name":"x"}`, completed, ""},
	{"from before time", "greet.past", "Durable-Created: -9223372036854775808", `{"name":"x"}`, failed, "Durable-Created"},
	{"a retry of itself", "greet.self", "Durable-Retry-Of: self", `{"name":"x"}`, failed, "retry of"},
	{"a retry of a child", "greet.ofchild", "Durable-Retry-Of: a.0", `{"name":"x"}`, failed, "retry of"},
	{"a retry of nothing that has an id", "greet.ofwhat", "Durable-Retry-Of: \xff", `{"name":"x"}`, failed, "retry of"},
	{"as many retries as there are", "greet.most", "Durable-Retries: 9223372036854775807", `{"name":"x"}`, completed, ""},
	{"more retries than there are", "greet.over", "Durable-Retries: 9223372036854775808", `{"name":"x"}`, failed, "Durable-Retries"},
	{"less than none", "greet.minus", "Durable-Retries: -1", `{"name":"x"}`, failed, "negative"},
	{"no number", "greet.nan", "Durable-Retries: 1\r\nDurable-Multiplier: NaN", `{"name":"x"}`, failed, "multiplier"},
	{"a number in Go's hexadecimal", "greet.hex", "Durable-Retries: 1\r\nDurable-Multiplier: 0x1p4", `{"name":"x"}`, failed, "Durable-Multiplier"},
	{"a number with a sign", "greet.sign", "Durable-Timeout: +5000", `{"name":"x"}`, failed, "Durable-Timeout"},
	{"a hint of nothing", "greet.hint", "Durable-Hint: 1", "", aside, "hint"},
	{"a hint of nothing, and a queue that nobody serves", "/durable.ready.nobody.greet.hints", "Durable-Hint: 1", "", aside, "hint"},
	{"a later version", "greet.v99", "Durable-Version: 99", `{"name":"x"}`, ready, ""},
	// Bodies of programs.
	{"c1 and nothing", "greet.c1", "", "\xc1", failed, "invalid message"},
	{"c1 and a list", "greet.c1list", "", "\xc1\x90", failed, "invalid message"},
	{"c1, a parent, and the id of a root", "greet.c1root", "", "\xc1\x81\xa8parentId\xa1p", failed, "invalid message"},
	{"c1, and a type that is no UTF-8", "greet.c1type", "", "\xc1\x82\xa5input\xc4\x01x\xa9inputType\xa1\xff", failed, "content type"},
	{"c1, and a retry of itself", "greet.c1self", "", "\xc1\x81\xa7retryOf\xa6c1self", failed, "retry of"},
}

// TestWhateverIsStoredIsSeenTo publishes the hostile messages to executors with one slot, so that
// a message that keeps its slot would stop the queue.
func TestWhateverIsStoredIsSeenTo(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		ran := atomic.Int32{}
		task := engine.Define[greeting, string]("greet")
		r := w.raw()
		places := map[string]int{}
		for i, c := range hostile {
			subject, absolute := strings.CutPrefix(c.subject, "/")
			if !absolute {
				subject = "durable.ready.default." + subject
			}
			places[subject] = i
			w.keep(r, subject, c.header, c.body)
		}
		w.keep(r, "durable.ready.default.greet.canary", "", `{"name":"x"}`)
		before := w.listed()
		if before["canary"] != engine.Ready || before["other"] != "" {
			t.Errorf("before there is an executor the list has %v, want the canary and nothing that is only claimed", before)
		}
		w.viewsAnswer()
		began := now()
		w.executor(workers.Config{Slots: 1}, engine.Bind(task, func(_ context.Context, in greeting) (string, error) {
			ran.Add(1)
			return in.Name, nil
		}))
		// Only waiting takes fake time: no hostile message makes the canary wait for long.
		between(t, "end of the canary", w.ends("canary", engine.Completed).FinishedAt, began, began.Add(time.Second))
		pass(3 * time.Minute)

		asides := map[string]string{}
		for a, err := range w.store.Aside(t.Context()) {
			check(t, err)
			asides[a.Place] = a.Reason
		}
		after := w.listed()
		w.viewsAnswer()
		completes := 1
		for subject, i := range places {
			c := hostile[i]
			id := subject[strings.LastIndexByte(subject, '.')+1:]
			if c.want == aside {
				if reason, ok := asides[subject]; !ok || !strings.Contains(reason, c.reason) {
					t.Errorf("%s: set aside: %t, for %q, want for %q", c.name, ok, reason, c.reason)
				}
				continue
			}
			if c.want == completed {
				completes++
			}
			if got := after[id]; string(got) != c.want {
				t.Errorf("%s: status %q, want %q; aside for %q", c.name, got, c.want, asides[subject])
				continue
			}
			if x := w.get(id); c.reason != "" && (x.Failure == nil || x.Failure.Kind != engine.KindInvalidInput || !strings.Contains(x.Failure.Message, c.reason)) {
				t.Errorf("%s: %v, want invalid_input because of %q", c.name, x.Failure, c.reason)
			}
		}
		if got := int(ran.Load()); got != completes {
			t.Errorf("code was run %d times, want %d", got, completes)
		}
	})
}
