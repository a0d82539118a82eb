package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/doctor"
	"github.com/durable-execution/durable/jsstore/jstest"
	"github.com/durable-execution/durable/workers"
)

// Executors run every execution that the doctor has mended, once. The doctor does not touch the
// others.
func TestTheDoctorMends(t *testing.T) {
	server := jstest.Listening(t)
	s, err := jsstore.Connect(t.Context(), server.URL(), jsstore.Config{Lease: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	nc, err := nats.Connect(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for _, subject := range []string{"durable.ready.default", "durable.ready.default.task"} {
		if err := nc.Publish(subject, []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	task := engine.Define[int, int]("count")
	if _, err := task.Enqueue(t.Context(), engine.NewClient(s), 1, engine.ID("other"), engine.Queue("typo")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Update(t.Context(), engine.Execution{
		ID: "other", Task: "count", Queue: engine.DefaultQueue, Status: engine.Completed, FinishedAt: time.Now(), CreatedAt: time.Now().Add(-time.Hour),
	}, 0); err != nil {
		t.Fatal(err)
	}
	at := []string{"--server", server.URL(), "--wait", "200ms"}
	runDoctor := func(args ...string) outcome { return durable(t, append(append([]string{"doctor"}, args...), at...)...) }

	o := runDoctor("--problems").want(t, exitIncomplete)
	wide(t, o.out)
	for _, want := range []string{"durable.ready.default: not the subject of an execution", "other: is also in queue typo", "durable doctor --mend", "3 problems"} {
		if text := strings.Join(strings.Fields(o.out), " "); !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, o.out)
		}
	}
	if strings.Contains(o.out, "nats-server") || !strings.Contains(o.out, "problem") {
		t.Errorf("--problems prints other findings too:\n%s", o.out)
	}
	v := examined(t, runDoctor("--json", "--problems").want(t, exitIncomplete))
	for _, f := range v.Findings {
		if !f.Severity.Worse(doctor.Note) {
			t.Errorf("with --problems it tells %+v", f)
		}
	}
	o = runDoctor("--mend").want(t, exitOK)
	wide(t, o.out)
	if !strings.Contains(o.out, "done set aside") || !strings.Contains(o.out, "3 mended") {
		t.Errorf("report:\n%s", o.out)
	}
	runDoctor().want(t, exitOK)
	list := durable(t, "list", "--set-aside", "--server", server.URL()).want(t, exitOK)
	if n := strings.Count(list.out, "message"); n < 3 {
		t.Errorf("%d messages are set aside, want 3:\n%s", n, list.out)
	}
}

// A record without a message can result from an unclean purge. The doctor restarts its
// execution, which then runs once more.
func TestWhatTheDoctorMendsRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a lease and more: skipped in short mode")
	}
	server := jstest.Listening(t)
	s, err := jsstore.Connect(t.Context(), server.URL(), jsstore.Config{Lease: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	task := engine.Define[int, int]("count")
	now := time.Now()
	for id, x := range map[string]engine.Execution{
		"lost":  {Status: engine.Running, Executor: "gone", StartedAt: now, Message: "durable-ready 7"},
		"ready": {Status: engine.Ready, StartAt: now},
	} {
		x.ID, x.Task, x.Queue, x.CreatedAt, x.ChangedAt = id, "count", engine.DefaultQueue, now, now
		x.Input = codec.Payload{Type: codec.JSON, Data: []byte("1")}
		if _, err := s.Update(t.Context(), x, 0); err != nil {
			t.Fatal(err)
		}
	}
	runs := make(chan string, 10)
	x, err := workers.New(s, workers.Config{}, engine.Bind(task, func(ctx context.Context, n int) (int, error) {
		runs <- engine.FromContext(ctx).ExecutionID
		return n, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- x.Run(ctx) }()
	for range 100 { // the doctor suspects only records that have not changed for a while
		o := durable(t, "doctor", "--mend", "--problems", "--server", server.URL(), "--wait", "200ms")
		if strings.Contains(o.out, "2 mended") {
			break
		}
		time.Sleep(time.Second)
	}
	for _, id := range []string{"lost", "ready"} {
		if _, err := task.Handle(engine.NewClient(s), id).Wait(t.Context()); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if len(runs) != 2 {
		t.Errorf("%d runs, want 2", len(runs))
	}
}
