package doctor_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/doctor"
	"github.com/durable-execution/durable/jsstore/jstest"
)

// A ward is a server with a namespace that a test spoils.
type ward struct {
	*testing.T
	nc *nats.Conn
	js jetstream.JetStream
	s  *jsstore.Store
}

// admit returns a ward whose namespace an executor has used before. Nobody uses it now.
func admit(t *testing.T, nc *nats.Conn) *ward {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	w := &ward{t, nc, js, jstest.Open(t, nc, jsstore.Config{Lease: 5 * time.Second})}
	closes(w, func() (engine.Feed[engine.ClosureMessage], error) { return w.s.Closures(t.Context()) })
	closes(w, func() (engine.Feed[engine.CancelMessage], error) { return w.s.Cancels(t.Context()) })
	closes(w, func() (engine.Feed[engine.ExpiryMessage], error) { return w.s.Expiries(t.Context()) })
	closes(w, func() (engine.Feed[*engine.Delivery], error) { return w.s.Claim(t.Context(), "default") })
	return w
}

func closes[M any](w *ward, open func() (engine.Feed[M], error)) {
	w.Helper()
	f, err := open()
	w.check(err)
	f.Close()
}

func (w *ward) check(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// stream changes the configuration of a stream.
func (w *ward) stream(name string, change func(*jetstream.StreamConfig)) {
	w.Helper()
	s, err := w.js.Stream(w.Context(), name)
	w.check(err)
	c := s.CachedInfo().Config
	change(&c)
	_, err = w.js.UpdateStream(w.Context(), c)
	w.check(err)
}

// remake creates a stream anew, for settings that the server does not let anyone change.
func (w *ward) remake(name string, change func(*jetstream.StreamConfig)) {
	w.Helper()
	s, err := w.js.Stream(w.Context(), name)
	w.check(err)
	c := s.CachedInfo().Config
	w.check(w.js.DeleteStream(w.Context(), name))
	change(&c)
	_, err = w.js.CreateStream(w.Context(), c)
	w.check(err)
}

// consumer creates a consumer anew.
func (w *ward) consumer(stream, name string, change func(*jetstream.ConsumerConfig)) {
	w.Helper()
	c, err := w.js.Consumer(w.Context(), stream, name)
	w.check(err)
	config := c.CachedInfo().Config
	w.check(w.js.DeleteConsumer(w.Context(), stream, name))
	change(&config)
	_, err = w.js.CreateConsumer(w.Context(), stream, config)
	w.check(err)
}

func (w *ward) enqueue(list ...engine.Execution) {
	w.Helper()
	for _, x := range list {
		x.Status, x.CreatedAt, x.StartAt = engine.Ready, time.Now(), time.Now()
		if x.Queue == "" {
			x.Queue = engine.DefaultQueue
		}
		w.check(w.s.Enqueue(w.Context(), engine.Due{Execution: x}))
	}
}

// record writes a record that nothing drives.
func (w *ward) record(x engine.Execution) {
	w.Helper()
	if x.Task == "" {
		x.Task = "task"
	}
	x.Queue, x.CreatedAt, x.ChangedAt = engine.DefaultQueue, time.Now(), time.Now()
	_, err := w.s.Update(w.Context(), x, 0)
	w.check(err)
}

func (w *ward) attend(p engine.Presence) {
	w.Helper()
	if p.Now.IsZero() {
		p.Now = time.Now()
	}
	if p.Queues == nil {
		p.Queues = map[string]int{"default": 1}
	}
	if p.Slots == 0 {
		p.Slots = 1
	}
	offset := time.Until(p.Now)
	stop, err := w.s.Present(w.Context(), func(engine.RollCall) *engine.Presence {
		p := p
		p.Now = time.Now().Add(offset)
		return &p
	})
	w.check(err)
	w.Cleanup(stop)
}

func (w *ward) examine(c doctor.Config) doctor.Examination {
	w.Helper()
	c.Roll = 200 * time.Millisecond
	x, err := doctor.Examine(w.Context(), w.nc, c)
	w.check(err)
	return x
}

// A symptom is a finding that must be reported.
type symptom struct {
	check    string
	severity doctor.Severity
	subject  string
	text     string // a part of Found, Why or Fix
}

func (w *ward) shows(x doctor.Examination, want ...symptom) {
	w.Helper()
	for _, s := range want {
		found := false
		for _, f := range x.Findings {
			found = found || f.Check == s.check && f.Severity == s.severity && f.Subject == s.subject &&
				strings.Contains(strings.Join([]string{f.Found, f.Why, f.Fix}, "\n"), s.text)
		}
		if !found {
			w.Errorf("nothing found like %+v, but\n%s", s, told(x))
		}
	}
	for _, f := range x.Findings {
		if bad := f.Severity == doctor.Problem || f.Severity == doctor.Warning; bad && (f.Found == "" || f.Why == "" || f.Fix == "") {
			w.Errorf("a finding does not say what, why and what to do: %+v", f)
		}
	}
}

// only fails if a finding of another check is worse than a note.
func (w *ward) only(x doctor.Examination, checks ...string) {
	w.Helper()
	for _, f := range x.Findings {
		if f.Severity.Worse(doctor.Note) && !strings.Contains(strings.Join(checks, " "), f.Check) {
			w.Errorf("found %s %s: %s %s", f.Severity, f.Check, f.Subject, f.Found)
		}
	}
}

func told(x doctor.Examination) string {
	var b strings.Builder
	for _, f := range x.Findings {
		fmt.Fprintf(&b, "%-7s %s [%s] %s | %s | %s\n", f.Severity, f.Check, f.Subject, f.Found, f.Why, f.Fix)
	}
	return b.String()
}

func TestNothingIsWrongWithAGoodNamespace(t *testing.T) {
	w := admit(t, jstest.Server(t))
	w.enqueue(engine.Execution{ID: "x", Task: "task"})
	w.attend(engine.Presence{Executor: "one", Tasks: []engine.BoundTask{{ID: "task"}}, Lease: 5 * time.Second})
	before, err := w.js.AccountInfo(t.Context())
	w.check(err)
	x := w.examine(doctor.Config{Sync: &jsstore.Sync{Interval: 10 * time.Millisecond, StoreDir: "/data"}})
	w.only(x)
	if x.Worst() != doctor.OK {
		t.Errorf("worst = %s, want ok:\n%s", x.Worst(), told(x))
	}
	for _, check := range []string{"server.version", "server.max_payload", "server.sync", "server.store_dir", "server.clock", "account.limits",
		"stream.missing", "stream.config", "stream.revisions", "stream.storage", "stream.limits", "stream.replicas", "stream.namespace",
		"consumer.config", "consumer.skipped", "executor.present", "executor.failing", "executor.clock", "executor.versions", "executor.types",
		"queue.served", "queue.tasks", "queue.timers", "work.stuck", "work.set_aside"} {
		w.shows(x, symptom{check, doctor.OK, "", ""})
	}
	if len(x.Queues) != 1 || x.Queues[0].Waiting != 1 || x.Queues[0].Executors != 1 || x.Queues[0].Oldest <= 0 {
		t.Errorf("queues = %+v", x.Queues)
	}
	if len(x.Streams) != 4 || len(x.Executors) != 1 || len(x.Servers) != 1 || x.Servers[0].Give == 0 {
		t.Errorf("streams = %+v, executors = %+v, servers = %+v", x.Streams, x.Executors, x.Servers)
	}
	after, err := w.js.AccountInfo(t.Context())
	w.check(err)
	if before.Store != after.Store || before.Consumers != after.Consumers || before.Streams != after.Streams {
		t.Errorf("the account was %+v and is %+v: looking has changed something", before.Tier, after.Tier)
	}
}

func TestWhatIsNotThereIsNotMade(t *testing.T) {
	nc := jstest.Server(t)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	x, err := doctor.Examine(t.Context(), nc, doctor.Config{Namespace: "nobodys"})
	if err != nil {
		t.Fatal(err)
	}
	(&ward{T: t}).shows(x, symptom{"stream.missing", doctor.Problem, "", "there is no namespace nobodys"})
	if info, err := js.AccountInfo(t.Context()); err != nil || info.Streams != 0 || len(x.Survives) != 0 {
		t.Errorf("streams = %+v, %v, survives = %q", info, err, x.Survives)
	}
}

func TestEachFaultIsFound(t *testing.T) {
	const (
		ready, timers, control, records = "durable-ready", "durable-timers", "durable-control", "KV_durable-executions"
		problem, warning, note          = doctor.Problem, doctor.Warning, doctor.Note
	)
	type stream = jetstream.StreamConfig
	type consumer = jetstream.ConsumerConfig
	for _, c := range []struct {
		name  string
		spoil func(w *ward)
		want  symptom
	}{
		{"a stream is gone", func(w *ward) { w.check(w.js.DeleteStream(w.Context(), timers)) },
			symptom{"stream.missing", problem, timers, "is missing"}},
		{"it keeps messages that are done", func(w *ward) { w.remake(ready, func(c *stream) { c.Retention = jetstream.LimitsPolicy }) },
			symptom{"stream.config", problem, ready, "retention is Limits where WorkQueue is needed"}},
		{"an id can be queued twice", func(w *ward) {
			w.stream(ready, func(c *stream) { c.DiscardNewPerSubject = false; c.MaxMsgsPerSubject = 2 })
		},
			symptom{"stream.config", problem, ready, "nats stream edit durable-ready --max-msgs-per-subject=1 --discard-per-subject"}},
		{"messages replace each other", func(w *ward) {
			w.stream(ready, func(c *stream) { c.DiscardNewPerSubject = false; c.Discard = jetstream.DiscardOld })
		},
			symptom{"stream.config", problem, ready, "--discard=new"}},
		{"a producer may empty it", func(w *ward) { w.stream(ready, func(c *stream) { c.AllowRollup = true }) },
			symptom{"stream.config", problem, ready, "--no-allow-rollup"}},
		{"records vanish", func(w *ward) { w.stream(records, func(c *stream) { c.MaxAge = time.Hour }) },
			symptom{"stream.config", problem, records, "--max-age=0"}},
		{"there are no timers", func(w *ward) { w.remake(timers, func(c *stream) { c.AllowMsgSchedules = false }) },
			symptom{"stream.config", problem, timers, "--allow-schedules"}},
		{"there is no TTL", func(w *ward) { w.remake(records, func(c *stream) { c.AllowMsgTTL = false }) },
			symptom{"stream.config", problem, records, "--allow-msg-ttl"}},
		{"a subject is gone", func(w *ward) { w.stream(control, func(c *stream) { c.Subjects = c.Subjects[:1] }) },
			symptom{"stream.config", problem, control, "--subjects='durable.closure.>' --subjects='durable.cancel.>'"}},
		{"writes are in memory", func(w *ward) {
			w.remake(control, func(c *stream) { c.AllowAtomicPublish, c.PersistMode = false, jetstream.AsyncPersistMode })
		},
			symptom{"stream.config", problem, control, "persist mode"}},
		{"nothing is acknowledged", func(w *ward) { w.stream(ready, func(c *stream) { c.NoAck = true }) },
			symptom{"stream.config", problem, ready, "does not acknowledge publishes"}},
		{"views can't read", func(w *ward) { w.stream(records, func(c *stream) { c.AllowDirect = false }) },
			symptom{"stream.config", problem, records, "--allow-direct"}},
		{"and stuck work is not looked for", func(w *ward) { w.stream(records, func(c *stream) { c.AllowDirect = false }) },
			symptom{"work.stuck", warning, "", "can't be listed"}},
		{"messages are bounded", func(w *ward) { w.stream(records, func(c *stream) { c.MaxMsgSize = 1000 }) },
			symptom{"stream.config", warning, records, "accepts messages of up to 1000 B, but the server accepts 8 MiB"}},
		{"inputs are told", func(w *ward) {
			w.stream(ready, func(c *stream) { c.RePublish = &jetstream.RePublish{Source: ">", Destination: "told.>"} })
		}, symptom{"stream.config", note, ready, "republishes"}},
		{"it is sealed", func(w *ward) { w.stream(records, func(c *stream) { c.Sealed = true }) },
			symptom{"stream.config", problem, records, "is sealed"}},
		{"it is kept in memory", func(w *ward) { w.remake(ready, func(c *stream) { c.Storage = jetstream.MemoryStorage }) },
			symptom{"stream.storage", problem, ready, "everything is lost when the server stops"}},
		{"a full stream forgets", func(w *ward) { w.stream(control, func(c *stream) { c.MaxMsgs = 1000 }) },
			symptom{"stream.limits", problem, control, "limited to 1000 messages and discards the oldest"}},
		{"a queue is nearly full", func(w *ward) {
			w.stream(ready, func(c *stream) { c.MaxMsgs = 5 })
			for i := range 4 {
				w.enqueue(engine.Execution{ID: fmt.Sprint("x", i), Task: "task"})
			}
		}, symptom{"stream.limits", warning, ready, "4 of 5 messages used"}},
		{"the records are full", func(w *ward) { w.stream(records, func(c *stream) { c.MaxMsgs = 1 }) },
			symptom{"stream.limits", problem, records, "no outcome can be recorded"}},
		{"no other queue can be served", func(w *ward) { w.stream(ready, func(c *stream) { c.MaxConsumers = 1 }) },
			symptom{"stream.limits", problem, ready, "has 1 consumers of at most 1"}},
		{"a work queue is copied", func(w *ward) {
			_, err := w.js.CreateStream(w.Context(), stream{Name: "copy", Sources: []*jetstream.StreamSource{{Name: timers}}})
			w.check(err)
		}, symptom{"stream.copied", problem, timers, "nats stream rm copy"}},
		{"the records are copied", func(w *ward) {
			_, err := w.js.CreateStream(w.Context(), stream{Name: "copy", Mirror: &jetstream.StreamSource{Name: records}})
			w.check(err)
		}, symptom{"stream.copied", note, records, "copy mirrors"}},
		{"the namespace record is damaged", func(w *ward) {
			_, err := w.js.Publish(w.Context(), "$KV.durable-executions.=namespace", []byte("rubbish"))
			w.check(err)
		}, symptom{"stream.namespace", problem, records, "nats kv put durable-executions =namespace"}},
		{"the namespace record is gone", func(w *ward) { w.remake(records, func(*stream) {}) },
			symptom{"stream.namespace", warning, records, "there is no namespace record"}},
		{"the namespace is of a later version", func(w *ward) {
			_, err := w.js.Publish(w.Context(), "$KV.durable-executions.=namespace", []byte(`{"version":9,"shards":1,"leaseMs":5000}`))
			w.check(err)
		}, symptom{"stream.namespace", problem, records, "layout version 9"}},

		{"a consumer is gone", func(w *ward) { w.check(w.js.DeleteConsumer(w.Context(), control, "cancels")) },
			symptom{"consumer.missing", note, "", "missing: durable-control/cancels"}},
		{"a stranger takes executions", func(w *ward) {
			_, err := w.js.CreateConsumer(w.Context(), ready, consumer{Durable: "stranger", FilterSubject: "durable.ready.other.>"})
			w.check(err)
		}, symptom{"consumer.foreign", problem, "durable-ready/stranger", "nats consumer rm durable-ready stranger"}},
		{"somebody watches", func(w *ward) {
			_, err := w.js.CreateConsumer(w.Context(), records, consumer{Durable: "watch"})
			w.check(err)
		}, symptom{"consumer.foreign", note, "KV_durable-executions/watch", "harmless"}},
		{"a consumer matches less", func(w *ward) {
			w.consumer(ready, "queue-default", func(c *consumer) { c.FilterSubject = "durable.ready.default.task.>" })
		},
			symptom{"consumer.config", problem, "durable-ready/queue-default", "filters durable.ready.default.task.> where durable.ready.default.> is needed"}},
		{"deliveries are bounded", func(w *ward) { w.consumer(ready, "queue-default", func(c *consumer) { c.MaxDeliver = 5 }) },
			symptom{"consumer.config", problem, "durable-ready/queue-default", "nats consumer edit durable-ready queue-default --max-deliver=-1"}},
		{"it backs off by itself", func(w *ward) {
			w.consumer(ready, "queue-default", func(c *consumer) { c.MaxDeliver, c.BackOff = 5, []time.Duration{time.Second} })
		}, symptom{"consumer.config", problem, "durable-ready/queue-default", "back-off"}},
		{"headers only", func(w *ward) { w.consumer(ready, "queue-default", func(c *consumer) { c.HeadersOnly = true }) },
			symptom{"consumer.config", problem, "durable-ready/queue-default", "inputs are missing"}},
		{"pulls are short", func(w *ward) {
			w.consumer(ready, "queue-default", func(c *consumer) { c.MaxRequestExpires = time.Second })
		},
			symptom{"consumer.config", problem, "durable-ready/queue-default", "takes pulls of 1s at most"}},
		{"pulls are small", func(w *ward) { w.consumer(ready, "queue-default", func(c *consumer) { c.MaxRequestBatch = 10 }) },
			symptom{"consumer.config", warning, "durable-ready/queue-default", "takes pulls of 10 messages at most"}},
		{"it wants groups", func(w *ward) {
			w.consumer(ready, "queue-default", func(c *consumer) {
				c.PriorityPolicy, c.PriorityGroups = jetstream.PriorityPolicyOverflow, []string{"a"}
			})
		}, symptom{"consumer.config", problem, "durable-ready/queue-default", "priority groups"}},
		{"the lease is another", func(w *ward) { w.consumer(ready, "queue-default", func(c *consumer) { c.AckWait = time.Minute }) },
			symptom{"consumer.config", warning, "durable-ready/queue-default", "nats consumer edit durable-ready queue-default --wait=5s"}},
		{"the fleet is limited", func(w *ward) { w.consumer(ready, "queue-default", func(c *consumer) { c.MaxAckPending = 1000 }) },
			symptom{"consumer.config", note, "durable-ready/queue-default", "at most 1000 messages may be in hand at a time, and 0 are"}},
		{"it may vanish", func(w *ward) { w.consumer(control, "closures", func(c *consumer) { c.InactiveThreshold = time.Hour }) },
			symptom{"consumer.config", note, "durable-control/closures", "idle for 1h0m0s"}},
		{"it forgets", func(w *ward) { w.consumer(control, "closures", func(c *consumer) { c.MemoryStorage = true }) },
			symptom{"consumer.config", warning, "durable-control/closures", "in memory"}},
		{"a queue is paused", func(w *ward) {
			_, err := w.js.PauseConsumer(w.Context(), ready, "queue-default", time.Now().Add(time.Hour))
			w.check(err)
		}, symptom{"consumer.paused", warning, "durable-ready/queue-default", "durable queues resume default"}},
		{"messages were skipped", func(w *ward) {
			w.enqueue(engine.Execution{ID: "x", Task: "task"}, engine.Execution{ID: "y", Task: "task"})
			s, err := w.js.Stream(w.Context(), ready)
			w.check(err)
			_, err = s.ResetConsumerToSequence(w.Context(), "queue-default", 2)
			w.check(err)
		}, symptom{"consumer.skipped", problem, "durable-ready/queue-default", "durable.ready.default.task.x is at sequence 1"}},

		{"a bucket of an earlier version", func(w *ward) { w.stream(records, func(c *stream) { c.MaxMsgsPerSubject = 1 }) },
			symptom{"stream.revisions", warning, records, "durable setup"}},
		{"an executor of an earlier version", func(w *ward) {
			for range 2 {
				_, err := w.js.Publish(w.Context(), "$KV.durable-executions.=aside.x", nil)
				w.check(err)
			}
		}, symptom{"stream.revisions", warning, records, "1 key has older revisions"}},

		{"nobody serves a queue", func(w *ward) {
			w.attend(engine.Presence{Executor: "one"})
			w.enqueue(engine.Execution{ID: "x", Task: "task", Queue: "typo"})
		}, symptom{"queue.served", problem, "typo", "1 execution is in this queue, which no executor serves"}},
		{"who served it is leaving", func(w *ward) {
			w.attend(engine.Presence{Executor: "one", Stopping: true})
			w.enqueue(engine.Execution{ID: "x", Task: "task"})
		}, symptom{"queue.served", problem, "default", "no executor serves"}},
		{"who serves a queue is silent", func(w *ward) {
			f, err := w.s.Claim(w.Context(), "other")
			w.check(err)
			w.Cleanup(f.Close)
			w.enqueue(engine.Execution{ID: "x", Task: "task", Queue: "other"})
			f.Request(2) // it takes one message and waits for another
			<-f.Messages()
		}, symptom{"queue.served", note, "other", "does not answer the roll"}},
		{"nobody knows a task", func(w *ward) {
			w.attend(engine.Presence{Executor: "one", Tasks: []engine.BoundTask{{ID: "other"}}})
			w.enqueue(engine.Execution{ID: "x", Task: "task"}, engine.Execution{ID: "y", Task: "task"})
		}, symptom{"queue.tasks", problem, "default/task", "2 executions are queued, and no executor of the queue has bound the task"}},
		{"who knows a task serves another queue", func(w *ward) {
			w.attend(engine.Presence{Executor: "one", Tasks: []engine.BoundTask{{ID: "task"}}, Queues: map[string]int{"other": 1}})
			w.attend(engine.Presence{Executor: "two"})
			w.enqueue(engine.Execution{ID: "x", Task: "task"})
		}, symptom{"queue.tasks", problem, "default/task", "no executor of the queue has bound the task"}},
		{"nobody knows a task that waits", func(w *ward) {
			w.attend(engine.Presence{Executor: "one"})
			w.later("x", "task")
		}, symptom{"queue.tasks", warning, "default/task", "1 execution is delayed"}},
		{"a subject is none", func(w *ward) {
			_, err := w.js.Publish(w.Context(), "durable.ready.default.greet", []byte("{}"))
			w.check(err)
		}, symptom{"queue.subject", problem, "durable.ready.default.greet", "not the subject of an execution"}},

		{"nobody is there", func(w *ward) {}, symptom{"executor.present", note, "", "no executor answers"}},
		{"background work fails", func(w *ward) {
			w.attend(engine.Presence{Executor: "one", Failures: map[string]int{"extend leases": 7}, Failing: map[string]time.Time{"extend leases": time.Now().Add(-time.Minute)}})
		}, symptom{"executor.failing", warning, "one", `"extend leases" has been failing for 1m`}},
		{"a key is missing", func(w *ward) {
			what := engine.NoKey + `key "k2" of layer "aes-gcm"`
			w.attend(engine.Presence{Executor: "one", Failures: map[string]int{what: 7}, Failing: map[string]time.Time{what: time.Now().Add(-time.Minute)}})
		}, symptom{"executor.failing", warning, "one", `lacks key "k2" of layer "aes-gcm", for 1m`}},
		{"code ignores its context", func(w *ward) { w.attend(engine.Presence{Executor: "one", Strays: 2}) },
			symptom{"executor.strays", warning, "one", "2 attempts"}},
		{"one is leaving", func(w *ward) { w.attend(engine.Presence{Executor: "one", Stopping: true, Running: 1}) },
			symptom{"executor.stopping", note, "one", "1 attempt still runs"}},
		{"a clock is ahead", func(w *ward) {
			w.attend(engine.Presence{Executor: "one", Host: "far", Now: time.Now().Add(time.Minute)})
		},
			symptom{"executor.clock", warning, "one", "ahead of this one"}},
		{"a clock is behind", func(w *ward) { w.attend(engine.Presence{Executor: "one", Now: time.Now().Add(-time.Minute)}) },
			symptom{"executor.clock", warning, "one", "behind this one"}},
		{"a lease is another", func(w *ward) { w.attend(engine.Presence{Executor: "one", Lease: 30 * time.Second}) },
			symptom{"executor.lease", warning, "one", "a lease of 30s, but the namespace has 5s"}},
		{"two have one name", func(w *ward) { w.attend(engine.Presence{Executor: "one"}); w.attend(engine.Presence{Executor: "one"}) },
			symptom{"executor.names", problem, "one", "2 executors"}},
		{"a deploy is under way", func(w *ward) {
			w.attend(engine.Presence{Executor: "one", Program: "example.com/shop v1", Version: "v1"})
			w.attend(engine.Presence{Executor: "two", Program: "example.com/shop v2", Version: "v1"})
		}, symptom{"executor.versions", note, "example.com/shop", "v1 (one), v2 (two)"}},
		{"two read other records", func(w *ward) {
			w.attend(engine.Presence{Executor: "one", RecordVersion: 1})
			w.attend(engine.Presence{Executor: "two", RecordVersion: 2})
		}, symptom{"executor.versions", warning, "", "version 1 (one), version 2 (two)"}},
		{"two mean something else", func(w *ward) {
			w.attend(engine.Presence{Executor: "one", Tasks: []engine.BoundTask{{ID: "task", Fingerprint: "a", Input: "int", Output: "int"}}})
			w.attend(engine.Presence{Executor: "two", Tasks: []engine.BoundTask{{ID: "task", Fingerprint: "b", Input: "string", Output: "int"}}})
		}, symptom{"executor.types", warning, "task", "int to int, a (one), string to int, b (two)"}},
		{"a record is of a later version", func(w *ward) {
			data, err := codec.Marshal(map[string]any{"v": 99, "executionId": "x", "taskId": "task", "queue": "default", "status": "hibernating"})
			w.check(err)
			_, err = w.js.Publish(w.Context(), "$KV.durable-executions.x", data)
			w.check(err)
		}, symptom{"work.newer", note, "", "1 record of a later version"}},
		{"a record is rubbish", func(w *ward) {
			_, err := w.js.Publish(w.Context(), "$KV.durable-executions.x", []byte("rubbish"))
			w.check(err)
		}, symptom{"work.set_aside", problem, "x", "its record can't be read"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := admit(t, jstest.Server(t))
			c.spoil(w)
			w.shows(w.examine(doctor.Config{}), c.want)
		})
	}
}

// later puts an execution into the timers for an hour.
func (w *ward) later(id, task string) {
	w.Helper()
	m := nats.NewMsg("durable.later." + id)
	m.Header.Set("Nats-Schedule", "@at "+time.Now().Add(time.Hour).UTC().Format(time.RFC3339Nano))
	m.Header.Set("Nats-Schedule-Target", "durable.due.default."+task+"."+id)
	_, err := w.js.PublishMsg(w.Context(), m)
	w.check(err)
}

func TestAnExaminationEndsWithItsContextAndItsConnection(t *testing.T) {
	server := jstest.Listening(t)
	nc, err := nats.Connect(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	w := admit(t, nc)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(300*time.Millisecond, cancel) // during the roll call
	w.attend(engine.Presence{Executor: "one"})
	if _, err := doctor.Examine(ctx, nc, doctor.Config{}); err == nil {
		t.Error("no error, want that of the context")
	}
	time.AfterFunc(500*time.Millisecond, func() { _ = server.Close() })
	if _, err := doctor.Examine(t.Context(), nc, doctor.Config{}); err == nil || !strings.Contains(err.Error(), "was lost meanwhile") {
		t.Errorf("error = %v, want one that says that the connection was lost", err)
	}
}

func TestFindingsAreStableJSON(t *testing.T) {
	data, err := json.Marshal(doctor.Finding{Check: "a.b", Severity: doctor.Note, Subject: "s", Found: "f", Why: "w", Fix: "x"})
	if want := `{"check":"a.b","severity":"note","subject":"s","found":"f","why":"w","fix":"x"}`; err != nil || string(data) != want {
		t.Errorf("finding = %s, %v, want %s", data, err, want)
	}
}
