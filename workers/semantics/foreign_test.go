package semantics_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/workers"
)

// These tests do what a client does that has only a NATS connection and codec/WIRE.md.

// pub publishes a body with headers (name, value, ...) and returns the error that the server
// answered with.
func (w *world) pub(subject, body string, headers ...string) error {
	w.t.Helper()
	js, err := jetstream.New(w.nc)
	check(w.t, err)
	m := &nats.Msg{Subject: subject, Data: []byte(body), Header: nats.Header{}}
	for i := 0; i < len(headers); i += 2 {
		m.Header.Set(headers[i], headers[i+1])
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), 5*time.Second)
	defer cancel()
	_, err = js.PublishMsg(ctx, m)
	return err
}

type greeting struct {
	Name string `json:"name"`
}

func greet(_ context.Context, in greeting) (string, error) { return "hello, " + in.Name, nil }

// answer waits until an execution completes, and returns its output as JSON, and its type.
func (w *world) answer(id string) (string, codec.Type) {
	w.t.Helper()
	x := w.ends(id, engine.Completed)
	p, err := w.client.Output(w.t.Context(), x)
	check(w.t, err)
	text, err := json.Marshal(p)
	check(w.t, err)
	return string(text), p.Type
}

func TestOnePublishEnqueues(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		runs := atomic.Int32{}
		task := engine.Define[greeting, string]("greet")
		w.executor(workers.Config{}, engine.Bind(task, func(ctx context.Context, in greeting) (string, error) {
			runs.Add(1)
			time.Sleep(time.Second)
			return greet(ctx, in)
		}))
		check(t, w.pub("durable.ready.default.greet.42", `{"name":"world"}`))
		pass(time.Millisecond)
		for _, refused := range []error{
			w.pub("durable.ready.default.greet.42", `{"name":"world"}`),
			w.pub("durable.ready.default.greet.42", `{"name":"moon"}`, codec.HeaderExclusive, "0"),
		} {
			var api *jetstream.APIError
			if !errors.As(refused, &api) || api.ErrorCode != 10077 || api.Description != "maximum messages per subject exceeded" {
				t.Errorf("while it runs the same id gives %v, want 10077 and that there is one of the subject", refused)
			}
		}
		out, kind := w.answer("42")
		equal(t, "output", out, `"hello, world"`)
		equal(t, "type of the output", kind, codec.JSON)

		// Once the execution has finished, and its message is gone, the same id is accepted, and
		// nothing runs.
		pass(time.Second)
		ended := w.hears("durable.ended.42", func(m *nats.Msg) string { return "ended" })
		check(t, w.pub("durable.ready.default.greet.42", `{"name":"moon"}`))
		pass(time.Minute)
		equal(t, "runs", runs.Load(), 1)
		equal(t, "notices of its end, for who waits", ended()["ended"], 1)
		out, _ = w.answer("42")
		equal(t, "output", out, `"hello, world"`)
	})
}

func TestOptionsThatAPublishGivesAreAddedToTheDefinitions(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		task := engine.Define[greeting, string]("greet", engine.Retry{MaxRetries: 3, BaseDelay: time.Second}, engine.Timeout(time.Minute))
		w.executor(workers.Config{}, engine.Bind(task, greet))
		for _, c := range []struct {
			name    string
			headers []string
			want    func(*engine.Policy)
		}{
			{"nothing", nil, func(*engine.Policy) {}},
			{"timeout", []string{"Durable-Timeout", "5000"}, func(p *engine.Policy) { p.Timeout = 5 * time.Second }},
			{"no-timeout", []string{"Durable-Timeout", "0"}, func(p *engine.Policy) { p.Timeout = 0 }},
			{"no-retries", []string{"Durable-Retries", "0"}, func(p *engine.Policy) { p.Retry = engine.Retry{} }},
			{"retries", []string{"Durable-Retries", "7", "Durable-Base-Delay", "250", "Durable-Multiplier", "1.5", "Durable-Max-Delay", "9000", "Durable-Jitter", "0.5"},
				func(p *engine.Policy) {
					p.Retry = engine.Retry{MaxRetries: 7, BaseDelay: 250 * time.Millisecond, Multiplier: 1.5, MaxDelay: 9 * time.Second, Jitter: 0.5}
				}},
			{"delay", []string{"Durable-Delay", "90000"}, func(p *engine.Policy) { p.Delay = 90 * time.Second }},
			{"retention", []string{"Durable-Retention", "0"}, func(p *engine.Policy) { p.Retention = engine.Forever }},
			{"wait-all", []string{"Durable-On-Child-Failure", "wait_all"}, func(p *engine.Policy) { p.OnChildFailure = engine.WaitAll }},
			{"settled", []string{"Durable-Settled", "1"}, func(p *engine.Policy) { *p = engine.Policy{} }},
		} {
			at := now()
			check(t, w.pub("durable.ready.default.greet."+c.name, `{"name":"world"}`, c.headers...))
			want := engine.Policy{Retry: engine.Retry{MaxRetries: 3, BaseDelay: time.Second}, Timeout: time.Minute}
			c.want(&want)
			x := w.ends(c.name, engine.Completed)
			if x.Policy != want {
				t.Errorf("%s: policy = %+v, want %+v", c.name, x.Policy, want)
			}
			between(t, c.name+": start", x.StartedAt, at.Add(want.Delay), at.Add(want.Delay+late))
		}
	})
}

func TestPublishThatCannotBeRunEndsWithTheReason(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		task := engine.Define[greeting, string]("greet", engine.Retry{MaxRetries: 3})
		ran := false
		w.executor(workers.Config{}, engine.Bind(task, func(context.Context, greeting) (string, error) { ran = true; return "", nil }))
		for id, c := range map[string]struct {
			body    string
			headers []string
			want    []string
		}{
			"input":        {`{"name":5}`, nil, []string{`invalid input of task "greet"`, "name"}},
			"no-json":      {`{"name":`, nil, []string{`invalid input of task "greet"`}},
			"content-type": {`name=world`, []string{"Content-Type", "text/plain"}, []string{`unknown content type "text/plain"`}},
			"msgpack":      {`{"name":"world"}`, []string{"Content-Type", "application/msgpack"}, []string{`invalid input of task "greet"`}},
			"no-number":    {`{}`, []string{"Durable-Delay", "soon"}, []string{"invalid message", `header Durable-Delay: "soon"`}},
			"negative":     {`{}`, []string{"Durable-Timeout", "-1"}, []string{"invalid message", "timeout", "negative"}},
			"flag":         {`{}`, []string{"Durable-Exclusive", "yes"}, []string{"invalid message", `header Durable-Exclusive: "yes"`, "neither 0 nor 1"}},
			"alone":        {`{}`, []string{"Durable-Base-Delay", "100"}, []string{"invalid message", "without Durable-Retries"}},
			"century":      {`{}`, []string{"Durable-Created", "99999999999999"}, []string{"invalid message", "Durable-Created"}},
			"retention":    {`{}`, []string{"Durable-Retention", "10"}, []string{"invalid message", "retention"}},
		} {
			check(t, w.pub("durable.ready.default.greet."+id, c.body, c.headers...))
			x := w.ends(id, engine.Failed)
			equal(t, id+": kind", x.Failure.Kind, engine.KindInvalidInput)
			equal(t, id+": attempt", x.Attempt, 0)
			contains(t, id+": failure", x.Failure.Message, c.want...)
		}
		check(t, w.pub("durable.ready.default.gr$$t.task", `{}`))
		x := w.ends("task", engine.Failed)
		contains(t, "failure", x.Failure.Message, "invalid message", `task id "gr$$t"`)
		if x.CreatedAt.IsZero() {
			t.Error("CreatedAt is zero")
		}
		equal(t, "user code ran", ran, false)
		equal(t, "executions", w.count(), 11)
	})
}

func TestPublishToASubjectOfNoStreamIsToldByTheServer(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		for _, subject := range []string{"durable.redy.default.greet.1", "other.ready.default.greet.1"} {
			if err := w.pub(subject, `{}`); !errors.Is(err, jetstream.ErrNoStreamResponse) && !errors.Is(err, nats.ErrNoResponders) {
				t.Errorf("%s: %v, want an error that says that no stream has the subject", subject, err)
			}
		}
		equal(t, "executions", w.count(), 0)
	})
}

func TestPublishToASubjectWithoutAnExecutionIsSetAsideWithTheReason(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		w.executor(workers.Config{}, engine.Bind(engine.Define[greeting, string]("greet"), greet))
		want := map[string]string{
			"durable.ready.default.greet":           "want durable.ready.",
			"durable.ready.default.greet.4!2":       "execution id",
			"durable.ready.default.greet.42.0.1":    "execution id",
			"durable.ready.default.greet.42.parent": "not the id of child 0",
		}
		for subject := range want {
			check(t, w.pub(subject, `{"name":"world"}`))
		}
		pass(time.Second)
		for a, err := range w.store.Aside(t.Context()) {
			check(t, err)
			contains(t, a.Place, a.Reason, want[a.Place])
			delete(want, a.Place)
		}
		equal(t, "not set aside", len(want), 0)
		// In a queue that no executor serves, the message stays, and is counted.
		check(t, w.pub("durable.ready.default", `{}`))
		var queues struct{ Unserved int }
		w.ask("queues", "").into(&queues)
		equal(t, "unserved", queues.Unserved, 1)
		equal(t, "executions", w.count(), 0)
	})
}

func TestPublishOfAPlaceInATreeThatIsNotItsOwnIsNoExecution(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		child := engine.Define[greeting, string]("greet")
		parent := engine.Define[string, engine.Gathered[string]]("parent")
		w.executor(workers.Config{}, engine.Bind(child, greet),
			engine.BindFanOut(parent, func(_ context.Context, _ string, c *engine.Children) (string, error) {
				child.Spawn(c, greeting{"world"}, engine.Delay(time.Minute))
				return "", nil
			}))
		h := enqueue(w, parent, "", engine.ID("p"))
		pass(time.Second)
		for id, claim := range map[string]engine.Execution{
			"forged":  {Parent: "p"},
			"forged2": {Parent: "p", IsFinalize: true},
			"reads":   {InputFrom: "p"},
			"1":       {Parent: "p", Index: 1},
			"p.1":     {},
			"p.2":     {Parent: "p"},
			"q.0":     {Parent: "q", InputFrom: "p.0"},
			"p.-1":    {Parent: "p", Index: -1},
		} {
			claim.Input = codec.Payload{Type: codec.JSON, Data: []byte(`{"name":"forger"}`)}
			check(t, w.pub("durable.ready.default.greet."+id, string(engine.EncodeDue(&claim)), "Nats-Schedule-Target", "durable.due.default.parent.2"))
		}
		// Headers that an earlier version of the wire had are ignored.
		check(t, w.pub("durable.ready.default.greet.alone", `{"name":"world"}`, "Durable-Parent", "p", "Durable-Index", "0"))
		pass(2 * time.Second)
		for _, id := range []string{"forged", "forged2", "reads", "1"} {
			contains(t, id, w.want(id, engine.Failed).Failure.Message, "invalid message")
		}
		equal(t, "parent of one that says it by headers", w.want("alone", engine.Completed).Parent, "")
		equal(t, "executions", w.count(), 2+4+1)
		equal(t, "status of the parent", w.get("p").Status, engine.WaitingForChildren)
		out := result(w, h)
		v, err := child.Result(out.Children).Get()
		check(t, err)
		equal(t, "output of the child", v, "hello, world")
	})
}

func TestCancellationThatDoesNotSayWhenIsOneOfNow(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		w.executor(workers.Config{}, engine.Bind(engine.Define[int, int]("slow", engine.NoTimeout), sleeps[int](time.Hour, 1)))
		check(t, w.pub("durable.ready.default.slow.1", `1`))
		pass(time.Minute)
		check(t, w.store.Cancel(t.Context(), engine.Cancel{ID: "1", Reason: "enough"}))
		x := w.ends("1", engine.Cancelled)
		between(t, "end", x.FinishedAt, now().Add(-time.Second), now())
	})
}

func TestUnknownTaskWaitsForWhoKnowsIt(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		w.executor(workers.Config{}, engine.Bind(engine.Define[int, int]("other"), returns[int](1)))
		// As long as a message may be, so that it has no room for the headers of a timer.
		long := strings.Repeat("x", 1<<20-len("NATS/1.0\r\n\r\n")-len(`{"name":""}`))
		check(t, w.pub("durable.ready.default.greet.1", `{"name":"`+long+`"}`))
		check(t, w.pub("durable.ready.default.greet.2", `{"name":"world"}`, "Durable-Deliveries", "-9223372036854775808"))
		check(t, w.pub("durable.ready.default.greet.3", `{"name":"world"}`, "Durable-Deliveries", "9223372036854775807"))
		pass(10 * time.Minute)
		for _, id := range []string{"1", "2", "3"} {
			x := w.want(id, engine.Ready)
			equal(t, "task", x.Task, "greet")
		}
		equal(t, "executions", w.count(), 3)
		w.executor(workers.Config{}, engine.Bind(engine.Define[greeting, string]("greet"), greet))
		for _, id := range []string{"1", "2", "3"} {
			x := w.ends(id, engine.Completed)
			between(t, "start", x.StartedAt, x.CreatedAt, x.CreatedAt.Add(20*time.Minute))
		}
	})
}

func TestPublishAsLongAsAMessageMayBeIsRun(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		task := engine.Define[greeting, int]("greet")
		w.executor(workers.Config{}, engine.Bind(task, func(_ context.Context, in greeting) (int, error) { return len(in.Name), nil }))
		const most = 1 << 20
		room := func(headers int) string {
			return strings.Repeat("x", most-headers-len(`{"name":""}`))
		}
		check(t, w.pub("durable.ready.default.greet.full", `{"name":"`+room(len("NATS/1.0\r\n\r\n"))+`"}`))
		delay := len("NATS/1.0\r\nDurable-Delay: 5000\r\n\r\n")
		check(t, w.pub("durable.ready.default.greet.later", `{"name":"`+room(delay)+`"}`, "Durable-Delay", "5000"))
		w.answer("full")
		out, _ := w.answer("later")
		equal(t, "length", out, fmt.Sprint(len(room(delay))))
		x := w.get("later")
		between(t, "start", x.StartedAt, x.CreatedAt.Add(5*time.Second), x.CreatedAt.Add(5*time.Second+late))
		if err := w.pub("durable.ready.default.greet.more", strings.Repeat("x", most+1)); !errors.Is(err, nats.ErrMaxPayload) {
			t.Errorf("a byte more: %v, want that it is too long", err)
		}
		equal(t, "executions", w.count(), 2)
	})
}

func TestWhoEnqueuesInJSONIsAnsweredInJSON(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		plain := engine.Define[any, int]("plain")
		packed := engine.Define[any, int]("packed", engine.Encoding{Type: codec.MsgPack})
		fanOut := engine.Define[any, engine.Gathered[string]]("fanOut")
		joined := engine.Define[any, int]("joined")
		joinedPacked := engine.Define[any, int]("joinedPacked", engine.Encoding{Type: codec.MsgPack})
		size := engine.Define[engine.Gathered[string], int]("size")
		chain := engine.Define[any, int]("chain")
		poll := engine.DefinePoll[any, int]("poll", engine.Poll{Every: time.Second})
		sleep := engine.DefineSleeping[any, int]("sleep")
		spawn := func(_ context.Context, _ any, c *engine.Children) (string, error) {
			packed.Spawn(c, 1)
			plain.Spawn(c, 2)
			return "mid", nil
		}
		w.executor(workers.Config{}, engine.Bind(plain, returns[any](1)), engine.Bind(packed, returns[any](1)),
			engine.BindFanOut(fanOut, spawn),
			engine.BindParent(joined, spawn, func(_ context.Context, j engine.Joined[any, string]) (int, error) { return len(j.Children), nil }),
			engine.BindParent(joinedPacked, spawn, func(_ context.Context, j engine.Joined[any, string]) (int, error) { return len(j.Children), nil }),
			engine.Bind(size, func(_ context.Context, g engine.Gathered[string]) (int, error) { return len(g.Children), nil }),
			engine.BindSequence(chain, engine.Then(fanOut, size)),
			engine.BindPoll(poll, func(ctx context.Context, _ any) (int, bool, error) { return 1, engine.FromContext(ctx).Polls == 2, nil }),
			engine.BindSleeping(sleep))
		for task, want := range map[string]codec.Type{
			"plain": codec.JSON, "packed": codec.MsgPack, "fanOut": codec.JSON, "joined": codec.JSON,
			"joinedPacked": codec.MsgPack, "chain": codec.JSON, "poll": codec.JSON, "sleep": codec.JSON,
		} {
			for id, body := range map[string]string{task: `{"name":"world"}`, task + "-null": ``} {
				check(t, w.pub("durable.ready.default."+task+"."+id, body))
				if task == "sleep" {
					pass(time.Second)
					check(t, sleep.Wake(t.Context(), w.client, id, 7))
				}
				_, got := w.answer(id)
				equal(t, id+": type of the output", got, want)
			}
			data, err := codec.Encode("in")
			check(t, err)
			check(t, w.pub("durable.ready.default."+task+"."+task+"-packed", string(data.Data), "Content-Type", "application/msgpack"))
			if task == "sleep" {
				pass(time.Second)
				check(t, sleep.Wake(t.Context(), w.client, task+"-packed", 7))
			}
			_, got := w.answer(task + "-packed")
			equal(t, task+" of MessagePack: type of the output", got, codec.MsgPack)
		}
		if !bytes.HasPrefix(w.get("joined").Output.Data, []byte("2")) {
			t.Errorf("stored output = %q, want JSON", w.get("joined").Output.Data)
		}
	})
}

// TestHeadersOfTheServerOnAPublish tests the rows of the table in WIRE.md that says how the server
// itself answers a publish.
func TestHeadersOfTheServerOnAPublish(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		w.executor(workers.Config{}, engine.Bind(engine.Define[greeting, string]("greet"), greet))
		publish := func(id string, headers ...string) (ack struct {
			Sequence  uint64 `json:"seq"`
			Duplicate bool   `json:"duplicate"`
			Count     int    `json:"count"`
			Error     struct {
				Code int `json:"err_code"`
			} `json:"error"`
		}, body string) {
			m := nats.NewMsg("durable.ready.default.greet." + id)
			m.Data = []byte(`{"name":"world"}`)
			for i := 0; i < len(headers); i += 2 {
				m.Header.Set(headers[i], headers[i+1])
			}
			answer, err := w.nc.RequestMsg(m, 5*time.Second)
			check(t, err)
			if len(answer.Data) > 0 {
				check(t, json.Unmarshal(answer.Data, &ack))
			}
			return ack, string(answer.Data)
		}
		for code, header := range map[int][]string{
			10097: {"A", strings.Repeat("x", 64<<10)},
			10111: {"Nats-Rollup", "sub"},
			10188: {"Nats-Schedule", "@at 2099-01-01T00:00:00Z"},
			10166: {"Nats-TTL", "1s"},
		} {
			if ack, body := publish(fmt.Sprint(code), header...); ack.Error.Code != code || ack.Sequence != 0 {
				t.Errorf("%s: the server says %s, want error %d", header[0], body, code)
			}
		}

		first, body := publish("first", "Nats-Msg-Id", "one")
		if first.Sequence == 0 || first.Duplicate {
			t.Errorf("the first message of a Nats-Msg-Id: %s, want it stored", body)
		}
		second, body := publish("second", "Nats-Msg-Id", "one")
		if second.Sequence != first.Sequence || !second.Duplicate {
			t.Errorf("the second message of a Nats-Msg-Id: %s, want a duplicate", body)
		}
		pass(2*time.Minute + time.Second)
		if third, body := publish("third", "Nats-Msg-Id", "one"); third.Sequence == 0 || third.Duplicate {
			t.Errorf("another after two minutes: %s, want it stored", body)
		}

		if _, body := publish("batched-1", "Nats-Batch-Id", "b", "Nats-Batch-Sequence", "1"); body != "" {
			t.Errorf("a message that begins a batch: %q, want an empty answer", body)
		}
		pass(time.Second)
		if got := w.listed(); got["batched-1"] != "" {
			t.Errorf("before the batch is committed it is %s, want it nowhere", got["batched-1"])
		}
		if ack, body := publish("batched-2", "Nats-Batch-Id", "b", "Nats-Batch-Sequence", "2", "Nats-Batch-Commit", "1"); ack.Count != 2 {
			t.Errorf("the commit of a batch: %s, want a count of 2", body)
		}
		for _, id := range []string{"first", "third", "batched-1", "batched-2"} {
			w.ends(id, engine.Completed)
		}
		equal(t, "executions", w.count(), 4)
	})
}
