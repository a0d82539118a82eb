package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/doctor"
	"github.com/durable-execution/durable/jsstore/embedded"
	"github.com/durable-execution/durable/jsstore/jstest"
)

// examined decodes the JSON that the doctor printed, and accepts no unknown field.
func examined(t *testing.T, o outcome) examinationView {
	t.Helper()
	list := jsonLines[examinationView](t, o.out)
	if len(list) != 1 {
		t.Fatalf("%d lines, want 1:\n%s", len(list), o.out)
	}
	return list[0]
}

func (v examinationView) has(t *testing.T, check string, s doctor.Severity) doctor.Finding {
	t.Helper()
	for _, f := range v.Findings {
		if f.Check == check && f.Severity == s {
			return f
		}
	}
	t.Errorf("no %s of %s in %+v", s, check, v.Findings)
	return doctor.Finding{}
}

// wide fails the test if a line is wider than a report may be.
func wide(t *testing.T, report string) {
	t.Helper()
	for line := range strings.Lines(report) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > textColumns && len(strings.Fields(line)) > 1 { // a single word, such as a path, is never broken
			t.Errorf("%d columns: %q", n, line)
		}
	}
}

func TestTheDoctorFindsNothingWrongWithADemo(t *testing.T) {
	_, store := uploadedOnce(t)
	o := durable(t, "doctor", "--dir", store, "--strict").want(t, exitOK)
	wide(t, o.out)
	for _, want := range []string{"namespace durable", "files are forced to the disk every 10ms", "QUEUE ", "about the last 20ms", "none is stuck"} {
		if !strings.Contains(strings.Join(strings.Fields(o.out), " "), strings.TrimSpace(want)) {
			t.Errorf("report says nothing of %q:\n%s", want, o.out)
		}
	}
	v := examined(t, durable(t, "doctor", "--dir", store, "--json").want(t, exitOK))
	if v.Worst != doctor.Note || v.Store != store || len(v.Streams) != 4 || v.Sampled != v.Records || v.Records < 7 || len(v.Survives) == 0 {
		t.Errorf("view = %+v", v)
	}
	if s := v.Servers[0]; s.SyncMS == nil || *s.SyncMS != 10 || *s.SyncAlways || s.ClockAheadMS == nil {
		t.Errorf("server = %+v", s)
	}
	// --sample limits the number of records.
	if v := examined(t, durable(t, "doctor", "--dir", store, "--json", "--sample", "2").want(t, exitOK)); v.Sampled != 4 { // 2 roots and 2 others
		t.Errorf("%d records sampled, want 4", v.Sampled)
	}
	durable(t, "doctor", "--dir", t.TempDir()).want(t, exitStore)
	durable(t, "doctor", "--server", "nats://127.0.0.1:1").want(t, exitStore)
	durable(t, "doctor", "extra").want(t, exitUsage)
}

func TestTheDoctorLooksIntoAStoreThatIsOpenElsewhere(t *testing.T) {
	dir := t.TempDir()
	s, err := embedded.Open(t.Context(), embedded.Config{Dir: dir, Port: -1, SyncAlways: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	leave, err := s.Present(t.Context(), func(engine.RollCall) *engine.Presence {
		return &engine.Presence{Executor: "one", Now: time.Now(), StartedAt: time.Now(), Slots: 3, Running: 1, RecordVersion: 1,
			Queues: map[string]int{"default": 1}, Tasks: []engine.BoundTask{{ID: "task"}}}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	o := durable(t, "doctor", "--dir", dir, "--wait", "200ms").want(t, exitOK)
	wide(t, o.out)
	for _, want := range []string{"open in another process at nats://127.0.0.1:", "before a write is acknowledged", "1 executor answers, 1 of 3 slots in use", "crash of the system: nothing is lost"} {
		if !strings.Contains(strings.Join(strings.Fields(o.out), " "), want) {
			t.Errorf("report says nothing of %q:\n%s", want, o.out)
		}
	}
	v := examined(t, durable(t, "doctor", "--dir", dir, "--json", "--wait", "200ms").want(t, exitOK))
	if len(v.Executors) != 1 {
		t.Fatalf("executors = %+v, want one", v.Executors)
	}
	var p struct{ Executor string }
	if err := json.Unmarshal(v.Executors[0].Answer, &p); err != nil || p.Executor != "one" {
		t.Errorf("answer = %s, %v", v.Executors[0].Answer, err)
	}
}

func TestTheDoctorsExitCodeIsItsVerdict(t *testing.T) {
	server := jstest.Listening(t)
	s, err := jsstore.Connect(t.Context(), server.URL(), jsstore.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	nc, err := server.Connect()
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	change := func(name string, edit func(*jetstream.StreamConfig)) {
		t.Helper()
		st, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		c := st.CachedInfo().Config
		edit(&c)
		if _, err := js.UpdateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	at := []string{"--server", server.URL()}
	runDoctor := func(args ...string) outcome { return durable(t, append(append([]string{"doctor"}, args...), at...)...) }
	runDoctor("--strict").want(t, exitOK) // notes only
	change("KV_durable-executions", func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1000 })
	runDoctor().want(t, exitOK)
	o := runDoctor("--strict").want(t, exitIncomplete)
	if !strings.Contains(o.out, "\n1 warning, ") || o.err != "" {
		t.Errorf("report:\n%s\nstderr: %s", o.out, o.err)
	}
	change("durable-timers", func(c *jetstream.StreamConfig) { c.MaxMsgs = 10 })
	o = runDoctor().want(t, exitIncomplete)
	wide(t, o.out)
	golden(t, "doctor-problem", scrub(o.out, server.URL()))
	v := examined(t, runDoctor("--json").want(t, exitIncomplete))
	if f := v.has(t, "stream.limits", doctor.Problem); f.Fix != "nats stream edit durable-timers --max-msgs=-1" || v.Worst != doctor.Problem {
		t.Errorf("finding = %+v, worst %s", f, v.Worst)
	}
	v = examined(t, runDoctor("--json", "--namespace", "nosuch").want(t, exitIncomplete))
	v.has(t, "stream.missing", doctor.Problem)
	o = runDoctor("--system", "nats://sys:secret@127.0.0.1:1").want(t, exitStore)
	if strings.Contains(o.err, "secret") {
		t.Errorf("stderr = %q", o.err)
	}
}

// TestReportsAlign compares the columns with their exact widths.
func TestReportsAlign(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	x := doctor.Examination{
		Namespace: "shop", At: at, Took: 1234 * time.Millisecond,
		Servers: []doctor.ServerSeen{
			{Name: "n1", Version: "2.15.2", URL: "10.0.0.1:4222", Ahead: -3 * time.Millisecond, Give: 2 * time.Millisecond, Sync: &jsstore.Sync{Always: true}},
			{Name: "n2", Version: "2.15.2", URL: "10.0.0.2:4222", Ahead: 70 * time.Second, Give: 2 * time.Millisecond, Sync: &jsstore.Sync{Interval: 2 * time.Minute}},
			{URL: "10.0.0.3:4222", Failure: "connection refused"},
		},
		Streams: []doctor.StreamSeen{{Name: "shop-ready", Messages: 1234567, Bytes: 5 << 30, Storage: "File", Replicas: 3, Leader: "n1"}},
		Queues: []doctor.QueueSeen{
			{Name: "default", Waiting: 12345, InHand: 100, Oldest: 90 * time.Second, Executors: 2},
			{Name: strings.Repeat("long", 16), Paused: true},
		},
		Executors: []engine.Answer{{CalledAt: at, Took: 2 * time.Millisecond, Presence: engine.Presence{
			Executor: "web-1-" + strings.Repeat("x", 40), Now: at.Add(5 * time.Millisecond), StartedAt: at.Add(-26 * time.Hour), Slots: 100, Running: 99, Tasks: make([]engine.BoundTask, 12)}}},
		Findings: []doctor.Finding{
			{Check: "server.version", Severity: doctor.OK, Found: "nats-server 2.15.2"},
			{Check: "server.sync", Severity: doctor.Warning, Subject: "n2", Found: "sync_interval is 2m0s", Why: strings.Repeat("words that go on ", 8), Fix: "jetstream { sync_interval: always }"},
			{Check: "stream.peers", Severity: doctor.Problem, Subject: "shop-ready", Found: "has no \x1b[31mleader", Why: "so that", Fix: "this"},
			{Check: "executor.stopping", Severity: doctor.Note, Subject: "one", Found: "is shutting down"},
			{Check: "queue.served", Severity: doctor.OK, Found: "served"},
			{Check: "account.limits", Severity: doctor.Problem, Found: "full", Why: "so that", Fix: "more"},
		},
		Survives: []string{"A sentence that is long enough to be broken somewhere, since it has many, many words.", "Another."},
	}
	var out lockedBuffer
	a := app{streams: streams{out: screen{Writer: &out}}}
	a.printExamination(x, "nats://10.0.0.1:4222")
	wide(t, out.String())
	golden(t, "aligned-doctor", out.String())

	t.Setenv("NO_COLOR", "")
	var coloured lockedBuffer
	a.out = screen{Writer: &coloured, terminal: true, columns: 60}
	a.printExamination(x, "nats://10.0.0.1:4222")
	if text := coloured.String(); !strings.Contains(text, string(red)+"problem") || !strings.Contains(text, string(yellow)+"warning") {
		t.Errorf("on a terminal there are no colours:\n%q", text)
	}
}
