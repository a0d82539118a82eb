package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
)

// The publishes to try, and the roles that may make each; no other role may. All concern the
// account that contains the namespace.
var rights = []struct {
	what, subject, may string
}{
	{"enqueue a task", "durable.ready.default.greet.x1", "producer application executor operator"},
	{"enqueue another task", "durable.ready.default.other.x1", "executor operator"},
	{"enqueue a task whose name begins like it", "durable.ready.default.greeter.x1", "executor operator"},
	{"enqueue in another queue", "durable.ready.mail.greet.x1", "executor operator"},
	{"enqueue under a child's id", "durable.ready.default.greet.x1.0", "executor operator"},
	{"enqueue in another namespace", "other.ready.default.greet.x1", ""},
	{"set a timer", "durable.later.x1", "executor operator"},
	{"pretend that a timer has fired", "durable.due.default.greet.x1", "operator"},
	{"have a tree looked at", "durable.due.=expire.x1", "operator"},
	{"tell a parent", "durable.closure.x1", "executor operator"},
	{"cancel", "durable.cancel.x1", "executor operator"},
	{"tell an outcome", "durable.ended.x1", "executor operator"},
	{"write a record", "$KV.durable-executions.x1", "executor operator"},
	{"change lease and retention", "$KV.durable-executions.=namespace", "operator"},
	{"write a record of another namespace", "$KV.other-executions.x1", ""},

	{"read records", "$JS.API.STREAM.MSG.GET.KV_durable-executions", "application viewer executor operator"},
	{"read records off any replica", "$JS.API.DIRECT.GET.KV_durable-executions", "application viewer executor operator"},
	{"read a record by its subject", "$JS.API.DIRECT.GET.KV_durable-executions.$KV.durable-executions.x1", "operator"},
	{"read what is due", "$JS.API.STREAM.MSG.GET.durable-ready", "application viewer executor operator"},
	{"list what is due", "$JS.API.DIRECT.GET.durable-ready", "viewer executor operator"},
	{"list what is due later", "$JS.API.DIRECT.GET.durable-timers", "viewer executor operator"},
	{"read closures and cancellations", "$JS.API.STREAM.MSG.GET.durable-control", "operator"},
	{"read records of another namespace", "$JS.API.STREAM.MSG.GET.KV_other-executions", "operator"},
	{"list records of another namespace", "$JS.API.DIRECT.GET.KV_other-executions", "operator"},
	{"look at a stream", "$JS.API.STREAM.INFO.durable-ready", "application viewer executor operator"},
	{"look at another namespace's stream", "$JS.API.STREAM.INFO.other-ready", "operator"},
	{"look at a queue", "$JS.API.CONSUMER.INFO.durable-ready.queue-default", "viewer executor operator"},
	{"list streams", "$JS.API.STREAM.LIST", "viewer operator"},

	{"take executions", "$JS.API.CONSUMER.MSG.NEXT.durable-ready.queue-default", "executor operator"},
	{"take executions of another queue", "$JS.API.CONSUMER.MSG.NEXT.durable-ready.queue-mail", "operator"},
	{"take executions of another namespace", "$JS.API.CONSUMER.MSG.NEXT.other-ready.queue-default", "operator"},
	{"take closures", "$JS.API.CONSUMER.MSG.NEXT.durable-control.closures", "executor operator"},
	{"acknowledge an execution", "$JS.ACK.durable-ready.queue-default.1.1.1.1.0", "executor"},
	{"acknowledge one of another queue", "$JS.ACK.durable-ready.queue-mail.1.1.1.1.0", ""},
	{"acknowledge one of another namespace", "$JS.ACK.other-ready.queue-default.1.1.1.1.0", ""},

	{"make a stream", "$JS.API.STREAM.CREATE.mine", "operator"},
	{"make a consumer", "$JS.API.CONSUMER.CREATE.durable-ready", "operator"},
	{"make a consumer with a name", "$JS.API.CONSUMER.CREATE.durable-ready.mine", "operator"},
	{"make a consumer with a filter", "$JS.API.CONSUMER.CREATE.durable-ready.queue-default.durable.ready.default.>", "operator"},
	{"make a durable consumer", "$JS.API.CONSUMER.DURABLE.CREATE.durable-ready.queue-default", "operator"},
	{"pause a queue", "$JS.API.CONSUMER.PAUSE.durable-ready.queue-default", "operator"},
	{"reset a queue", "$JS.API.CONSUMER.RESET.durable-ready.queue-default", "operator"},
	{"delete a queue", "$JS.API.CONSUMER.DELETE.durable-ready.queue-default", "operator"},
	{"change a stream", "$JS.API.STREAM.UPDATE.durable-ready", "operator"},
	{"empty what is due", "$JS.API.STREAM.PURGE.durable-ready", "operator"},
	{"empty closures and cancellations", "$JS.API.STREAM.PURGE.durable-control", "operator"},
	{"empty timers", "$JS.API.STREAM.PURGE.durable-timers", "executor operator"},
	{"empty records", "$JS.API.STREAM.PURGE.KV_durable-executions", "executor operator"},
	{"empty another namespace", "$JS.API.STREAM.PURGE.KV_other-executions", "operator"},
	{"delete a message of the queue", "$JS.API.STREAM.MSG.DELETE.durable-ready", "executor operator"},
	{"delete a record's message", "$JS.API.STREAM.MSG.DELETE.KV_durable-executions", "operator"},
	{"move a leader", "$JS.API.STREAM.LEADER.STEPDOWN.durable-ready", "operator"},
	{"back up", "$JS.API.STREAM.SNAPSHOT.durable-ready", "operator"},
	{"restore", "$JS.API.STREAM.RESTORE.durable-ready", "operator"},
	{"delete a stream", "$JS.API.STREAM.DELETE.durable-ready", "operator"},
	{"delete another namespace's stream", "$JS.API.STREAM.DELETE.other-ready", "operator"},
	{"ask the servers", "$SYS.REQ.SERVER.PING", ""},
	{"call the roll", "durable.executor.roll", "viewer executor operator"},
	{"get through the API", "durable.api.get", "application viewer operator"},
	{"wait through the API", "durable.api.wait", "application viewer operator"},
	{"list through the API", "durable.api.list", "viewer operator"},
	{"look at queues through the API", "durable.api.queues", "viewer operator"},
	{"enqueue through the API", "durable.api.enqueue", "operator"},
	{"enqueue many through the API", "durable.api.enqueue-many", "operator"},
	{"cancel through the API", "durable.api.cancel", "operator"},
	{"wake through the API", "durable.api.wake", "operator"},
	{"retry through the API", "durable.api.retry", "operator"},
	{"delete through the API", "durable.api.delete", "operator"},
	{"tell of a queue's limit", "durable.queue.default", "operator"},
}

// The subscriptions to try: the subject of the subscription, and a subject that it would match.
var hearing = []struct {
	what, listen, hear, may string
}{
	{"an outcome", "durable.ended.x1", "durable.ended.x1", "producer application viewer executor operator"},
	{"outcomes of roots", "durable.ended.*", "durable.ended.x1", "producer application viewer executor operator"},
	{"outcomes below roots", "durable.ended.>", "durable.ended.x1.0", "application viewer executor operator"},
	{"cancellations", "durable.cancel.>", "durable.cancel.x1", "viewer executor operator"},
	{"closures", "durable.closure.>", "durable.closure.x1", "operator"},
	{"roll calls", "durable.executor.>", "durable.executor.roll", "executor operator"},
	{"requests to the API", "durable.api.*", "durable.api.get", "executor operator"},
	{"limits of queues", "durable.queue.>", "durable.queue.default", "executor operator"},
	{"what is enqueued", "durable.ready.>", "durable.ready.default.greet.x1", "operator"},
	{"records", "$KV.durable-executions.>", "$KV.durable-executions.x1", ""},
	{"answers to an executor", "_INBOX.>", "_INBOX.of-an-executor.1", "executor operator"},
	{"acknowledgements", "$JS.ACK.>", "$JS.ACK.durable-ready.queue-default.1.1.1.1.0", ""},
	{"requests", "$JS.API.>", "$JS.API.INFO", ""},
	{"advisories", "$JS.EVENT.ADVISORY.>", "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.durable-ready.queue-default", "viewer operator"},
	{"other namespaces", "other.>", "other.ended.x1", ""},
	{"everything", ">", "durable.ended.x1", "producer application viewer"}, // for these roles > covers only their own subjects: see below
}

// prepared starts a server with the namespaces durable and other.
func prepared(t *testing.T) string {
	t.Helper()
	server := single(t)
	durable(t, "setup", "--server", as(t, "operator", server), "--queue", "default", "--queue", "mail").want(t, exitOK)
	durable(t, "setup", "--server", as(t, probe, server), "--namespace", "other").want(t, exitOK)
	return server
}

// ear records the messages that arrive in the account of the namespace.
type ear struct {
	nc  *nats.Conn
	sub *nats.Subscription
}

func listen(t *testing.T, server string) *ear {
	t.Helper()
	nc := connect(t, probe, server)
	sub, err := nc.SubscribeSync(">")
	if err != nil {
		t.Fatal(err)
	}
	flush(t, nc)
	return &ear{nc, sub}
}

// heard reports whether a message with this subject and this body has arrived. Its sender has
// flushed the connection: the server delivers a message before it answers a flush.
func (e *ear) heard(t *testing.T, subject, body string) bool {
	t.Helper()
	flush(t, e.nc)
	found := false
	for n, _, _ := e.sub.Pending(); n > 0; n-- {
		m, err := e.sub.NextMsg(time.Second)
		if err != nil {
			t.Fatal(err)
		}
		found = found || m.Subject == subject && strings.Contains(string(m.Data), body)
	}
	return found
}

func flush(t *testing.T, nc *nats.Conn) {
	t.Helper()
	if err := nc.FlushTimeout(10 * time.Second); err != nil {
		t.Fatal(err)
	}
}

func TestEachRoleMayPublishItsOwnAndNothingMore(t *testing.T) {
	server := prepared(t)
	probe := listen(t, server)
	for _, role := range roles { // the operator comes last, because it deletes streams
		nc := connect(t, role, server)
		apart := slices.Contains([]string{"producer", "application", "viewer"}, role)
		for _, r := range rights {
			before, body := nc.LastError(), role+" tries to "+r.what
			if err := nc.PublishRequest(r.subject, nc.NewInbox(), []byte(body)); err != nil {
				t.Fatal(err)
			}
			flush(t, nc)
			may, did := slices.Contains(strings.Fields(r.may), role), probe.heard(t, r.subject, body)
			if may != did {
				t.Errorf("%s (%s): arrived %v, want %v", body, r.subject, did, may)
			}
			// In an account of its own, a role may publish anything: it reaches no one else.
			refused := nc.LastError() != before && errors.Is(nc.LastError(), nats.ErrPermissionViolation)
			if refused == may && !apart {
				t.Errorf("%s (%s): refused %v, want %v", body, r.subject, refused, !may)
			}
		}
	}
}

func TestEachRoleHearsItsOwnAndNothingMore(t *testing.T) {
	server := prepared(t)
	speaker := connect(t, probe, server)
	for _, role := range roles {
		nc := connect(t, role, server)
		for _, h := range hearing {
			sub, err := nc.SubscribeSync(h.listen)
			if err != nil {
				t.Fatal(err)
			}
			flush(t, nc)
			if err := speaker.Publish(h.hear, []byte("psst")); err != nil {
				t.Fatal(err)
			}
			flush(t, speaker)
			flush(t, nc)
			n := 0
			if sub.IsValid() {
				n, _, err = sub.Pending()
			}
			if may := slices.Contains(strings.Fields(h.may), role); may != (n > 0) || sub.IsValid() && err != nil {
				t.Errorf("%s listens to %s (%s): heard %d, want %v", role, h.what, h.listen, n, may)
			}
			if sub.IsValid() {
				if err := sub.Unsubscribe(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// The server sends an answer to any reply subject without checking the requester's rights. In
// the same account, the right to publish to one subject would so be the right to write to all.
func TestAnswersGoNowhereElse(t *testing.T) {
	server := prepared(t)
	probe := listen(t, server)
	for role, asks := range map[string][]struct{ subject, body string }{
		"producer":    {{"durable.ready.default.greet.evil", "{}"}},
		"application": {{"durable.ready.default.greet.evil", "{}"}, {"$JS.API.STREAM.MSG.GET.KV_durable-executions", `{"seq":1}`}},
		"viewer": {
			{"$JS.API.STREAM.MSG.GET.KV_durable-executions", `{"seq":1}`},
			{"$JS.API.DIRECT.GET.KV_durable-executions", `{"seq":1}`}, {"$JS.API.INFO", ""},
		},
	} {
		nc := connect(t, role, server)
		for _, ask := range asks {
			for _, target := range []string{
				"durable.ready.default.other.victim", "durable.cancel.victim", "durable.closure.victim", "durable.ended.victim",
				"$KV.durable-executions.victim", "$JS.API.STREAM.PURGE.durable-ready", "_INBOX.of-an-executor.1",
			} {
				if err := nc.PublishRequest(ask.subject, target, []byte(ask.body)); err != nil {
					t.Fatal(err)
				}
				// Answers come in the order of the requests: after this one, the earlier answers
				// have been sent.
				if _, err := nc.Request(ask.subject, []byte(ask.body), 5*time.Second); err != nil {
					t.Fatalf("%s asks %s: %v", role, ask.subject, err)
				}
				if probe.heard(t, target, "") {
					t.Errorf("%s had an answer to %s written to %s", role, ask.subject, target)
				}
			}
		}
	}
}

// The configuration of the stream refuses messages that permissions can't tell apart.
func TestNoHeaderOfAProducerReachesOtherMessages(t *testing.T) {
	server := prepared(t)
	nc := connect(t, "producer", server)
	for _, c := range []struct {
		header []string
		want   string // the server's error code
	}{
		{[]string{"Nats-Rollup", "all"}, "10111"},
		{[]string{"Nats-Rollup", "sub"}, "10111"},
		{[]string{"Nats-Schedule", "@every 1s", "Nats-Schedule-Target", "durable.ready.default.other.x"}, "10188"},
		{[]string{"Nats-Schedule-Next", "purge", "Nats-Scheduler", "durable.ready.default.other.x"}, "10188"},
		{[]string{"Nats-TTL", "1"}, "10166"},
	} {
		answer, err := nc.RequestMsg(withHeader("durable.ready.default.greet.h", c.header...), 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(answer.Data), `"err_code":`+c.want) {
			t.Errorf("%v: answer %s, want error %s", c.header, answer.Data, c.want)
		}
	}
	// The server accepts a batch, but each of its messages needs the right to its subject.
	for i, c := range []struct {
		first   string
		refused bool
	}{{"durable.ready.default.greet.b", false}, {"durable.ready.default.other.b", true}, {"durable.cancel.b", true}} {
		id := nuid.Next()
		if err := nc.PublishMsg(withHeader(c.first, "Nats-Batch-Id", id, "Nats-Batch-Sequence", "1")); err != nil {
			t.Fatal(err)
		}
		last := withHeader(fmt.Sprint("durable.ready.default.greet.last", i), "Nats-Batch-Id", id, "Nats-Batch-Sequence", "2", "Nats-Batch-Commit", "1")
		answer, err := nc.RequestMsg(last, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(answer.Data), `"error"`) != c.refused {
			t.Errorf("a batch that begins with %s: answer %s, want that it is refused: %t", c.first, answer.Data, c.refused)
		}
	}
}

func withHeader(subject string, pairs ...string) *nats.Msg {
	m := nats.NewMsg(subject)
	for i := 0; i < len(pairs); i += 2 {
		m.Header.Set(pairs[i], pairs[i+1])
	}
	return m
}
