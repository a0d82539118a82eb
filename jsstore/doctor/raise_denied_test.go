package doctor_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/doctor"
	"github.com/durable-execution/durable/jsstore/jstest"
)

const withoutUpdate = `
host: 127.0.0.1, port: -1
jetstream { store_dir: "%s" }
accounts {
  APP {
    jetstream: enabled
    users: [
      {user: app, password: app}
      {user: executor, password: executor, permissions: {publish: {deny: ["$JS.API.STREAM.UPDATE.>"]}}}
    ]
  }
}`

// An executor that may not change streams works on the bucket of an earlier version, and the
// doctor says what is left to do.
func TestBucketOfAnEarlierVersionServesWhoMayNotRaiseIt(t *testing.T) {
	server := configured(t, fmt.Sprintf(withoutUpdate, t.TempDir()))
	admin := connect(t, server, "app")
	w := admit(t, admin)
	w.stream("KV_durable-executions", func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 })

	nc := connect(t, server, "executor")
	s := jstest.Open(t, nc, jsstore.Config{})
	if got := jstest.StreamInfo(t, admin, "KV_durable-executions").Config.MaxMsgsPerSubject; got != 1 {
		t.Fatalf("the bucket keeps %d: the test tests nothing", got)
	}
	written := engine.Execution{ID: "x", Task: "task", Queue: engine.DefaultQueue, CreatedAt: time.Now(), FinishedAt: time.Now()}
	var at engine.Revision
	for _, written.Status = range []engine.Status{engine.Running, engine.Ready, engine.Running, engine.Completed} {
		var err error
		at, err = s.Update(t.Context(), written, at)
		w.check(err)
	}
	if r, err := s.Get(t.Context(), "x"); err != nil || r.Revision != at || r.Status != engine.Completed {
		t.Errorf("x is %s at %d, %v: want completed at %d", r.Status, r.Revision, err, at)
	}
	w.check(s.Delete(t.Context(), "x", at))

	x, err := doctor.Examine(t.Context(), nc, doctor.Config{})
	w.check(err)
	w.shows(x, symptom{"stream.revisions", doctor.Warning, "KV_durable-executions", "keeps 1 revision"},
		symptom{"stream.revisions", doctor.Warning, "KV_durable-executions", "durable setup"})
	x, err = doctor.Examine(t.Context(), nc, doctor.Config{Mend: true})
	w.check(err)
	w.shows(x, symptom{"stream.revisions", doctor.Warning, "KV_durable-executions", "denied"})
	for _, f := range x.Findings {
		if f.Check == "stream.revisions" && f.Mended != "" {
			t.Errorf("mended without the right to change it: %+v", f)
		}
	}
	x, err = doctor.Examine(t.Context(), admin, doctor.Config{Mend: true})
	w.check(err)
	w.mended(x, "stream.revisions", "KV_durable-executions", "")
	if got := jstest.StreamInfo(t, admin, "KV_durable-executions").Config.MaxMsgsPerSubject; got != 64 {
		t.Errorf("mended with the right to change it, the bucket keeps %d revisions, want 64", got)
	}
	if strings.Contains(fmt.Sprint(x.Findings), "could not be mended") {
		t.Errorf("findings: %+v", x.Findings)
	}
}
