package semantics_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/api"
	"github.com/durable-execution/durable/workers"
)

// These tests use the API like a client in any language, with requests in JSON only.

// reply is an answer of the API.
type reply struct {
	t    *testing.T
	code string // the code of the error; empty if there is none
	text string
}

// ask makes a request to the API. It waits up to an hour, which only the wait endpoint needs.
func (w *world) ask(endpoint, format string, args ...any) reply {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Hour)
	defer cancel()
	m, err := w.nc.RequestWithContext(ctx, "durable.api."+endpoint, fmt.Appendf(nil, format, args...))
	if err != nil {
		w.t.Fatalf("%s: %v", endpoint, err)
	}
	return reply{w.t, m.Header.Get("Nats-Service-Error-Code"), string(m.Data)}
}

// into decodes an answer that is not an error.
func (r reply) into(v any) {
	r.t.Helper()
	if r.code != "" {
		r.t.Fatalf("error %s: %s", r.code, r.text)
	}
	check(r.t, json.Unmarshal([]byte(r.text), v))
}

// refused fails unless the answer is an error.
func (r reply) refused(code, name string, parts ...string) {
	r.t.Helper()
	var e struct {
		Error struct{ Code, Message string }
	}
	check(r.t, json.Unmarshal([]byte(r.text), &e))
	if r.code != code || e.Error.Code != name {
		r.t.Errorf("answer %q %s, want error %s %s", r.code, r.text, code, name)
	}
	contains(r.t, "message", e.Error.Message, parts...)
}

// seen has the fields of an execution that the tests read.
type seen struct {
	ID          string          `json:"executionId"`
	Parent      string          `json:"parentId"`
	Task        string          `json:"taskId"`
	Queue       string          `json:"queue"`
	Status      engine.Status   `json:"status"`
	MaxRetries  int             `json:"maxRetries"`
	TimeoutMS   int64           `json:"timeoutMs"`
	CreatedAt   int64           `json:"createdAt"`
	FinishedAt  int64           `json:"finishedAt"`
	IsClosed    bool            `json:"isClosed"`
	RetryOf     string          `json:"retryOf"`
	Metadata    engine.Metadata `json:"metadata"`
	Input       json.RawMessage `json:"input"`
	Output      json.RawMessage `json:"output"`
	Omitted     []string        `json:"omitted"`
	Error       struct{ Kind, Message string }
	HistorySize []struct{ Executor string } `json:"history"`
}

type seenList struct {
	Executions []seen
	Cursor     string
}

func TestAPIEnqueuesWaitsAndAnswersInJSON(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		task := engine.Define[greeting, greeting]("greet", engine.Encoding{Type: codec.MsgPack}, engine.Retry{MaxRetries: 2})
		w.executor(workers.Config{Name: "one"}, engine.Bind(task, func(_ context.Context, in greeting) (greeting, error) {
			time.Sleep(time.Second)
			return greeting{"hello, " + in.Name}, nil
		}))
		var id struct{ ExecutionID string }
		w.ask("enqueue", `{"taskId":"greet","input":{"name":"world"}}`).into(&id)
		if len(id.ExecutionID) != 29 || !strings.HasPrefix(id.ExecutionID, "te_") {
			t.Errorf("id = %q, want te_ and 26 characters", id.ExecutionID)
		}
		var x seen
		w.ask("wait", `{"executionId":%q}`, id.ExecutionID).into(&x)
		equal(t, "status", x.Status, engine.Completed)
		equal(t, "output", string(x.Output), `{"name":"hello, world"}`)
		equal(t, "input", string(x.Input), `{"name":"world"}`)
		equal(t, "retries", x.MaxRetries, 2)
		equal(t, "stored as", w.get(id.ExecutionID).Output.Type, codec.MsgPack)
		w.ask("get", `{"executionId":%q}`, id.ExecutionID).into(&x)
		equal(t, "closed", x.IsClosed, true)
		equal(t, "attempts", len(x.HistorySize), 1)

		h := enqueue(w, task, greeting{"go"}) // a Go program enqueues
		w.ask("wait", `{"executionId":%q}`, h.ID()).into(&x)
		equal(t, "input", string(x.Input), `{"name":"go"}`)
	})
}

func TestAPIWaitsAsLongAsItIsAskedTo(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		task := engine.Define[int, int]("slow", engine.NoTimeout)
		w.executor(workers.Config{}, engine.Bind(task, sleeps[int](20*time.Second, 7)))
		for _, c := range []struct {
			timeout string
			want    time.Duration
			status  engine.Status
		}{
			{``, 10 * time.Second, engine.Running},
			{`,"timeoutMs":0`, 0, engine.Running},
			{`,"timeoutMs":4000`, 4 * time.Second, engine.Running},
			{`,"timeoutMs":600000`, 20*time.Second - 14*time.Second, engine.Completed},
		} {
			if c.timeout == "" {
				w.ask("enqueue", `{"taskId":"slow","executionId":"s","input":1}`)
				pass(0)
			}
			began := time.Now()
			var x seen
			w.ask("wait", `{"executionId":"s"%s}`, c.timeout).into(&x)
			equal(t, "status after "+c.timeout, x.Status, c.status)
			if took := time.Since(began).Round(100 * time.Millisecond); took != c.want {
				t.Errorf("a wait of %q took %s, want %s", c.timeout, took, c.want)
			}
		}
		w.ask("wait", `{"executionId":"s","timeoutMs":600001}`).refused("400", "invalid_request", "timeoutMs")
		w.ask("wait", `{"executionId":"nosuch"}`).refused("404", "not_found")
	})
}

func TestThousandsWaitAndNobodyIsHeldUp(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		const n = 1000
		task := engine.Define[int, int]("slow", engine.NoTimeout)
		quick := engine.Define[int, int]("quick")
		w.executor(workers.Config{}, engine.Bind(task, sleeps[int](time.Hour, 7)), engine.Bind(quick, returns[int](1)))
		w.ask("enqueue", `{"taskId":"slow","executionId":"s","input":1}`).into(&seen{})
		var ended atomic.Int32
		var all sync.WaitGroup
		for range n {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				_, err := w.nc.RequestWithContext(ctx, "durable.api.wait", []byte(`{"executionId":"s","timeoutMs":30000}`))
				if err == nil {
					ended.Add(1)
				}
			})
		}
		pass(time.Second)
		began := time.Now()
		var x seen
		w.ask("enqueue", `{"taskId":"quick","executionId":"q","input":1}`).into(&x)
		w.ask("wait", `{"executionId":"q"}`).into(&x)
		equal(t, "status", x.Status, engine.Completed)
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("beside %d who wait it took %s", n, took)
		}
		equal(t, "ended", ended.Load(), 0)
		all.Wait()
		equal(t, "ended", ended.Load(), n)
	})
}

func TestAPIRefusesWhatItCannotDo(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		task := orders()
		w.executor(workers.Config{}, engine.Bind(task, func(_ context.Context, o order) (string, error) { return o.Name, nil }))
		for body, want := range map[string]string{
			`{"taskId":"orders"`:              "request",
			`[]`:                              "request",
			`{"taskId":"orders"} {}`:          "more than one value",
			`{"taskId":"orders","inputs":{}}`: `unknown field "inputs"`,
			`{}`:                              "taskId is missing",
			``:                                "taskId is missing",
			`{"taskId":"a b"}`:                "task id",
			`{"taskId":"orders","input":{"name":"a","count":1},"queue":"a.b"}`:                           "queue",
			`{"taskId":"orders","input":{"name":"a","count":1},"executionId":"a.0"}`:                     "execution id",
			`{"taskId":"orders","input":{"name":"a","count":1},"executionId":""}`:                        "execution id",
			`{"taskId":"orders","input":{"name":"a","count":1},"policy":{"timeoutMs":-1}}`:               "timeout",
			`{"taskId":"orders","input":{"name":"a","count":1},"policy":{"baseDelayMs":1}}`:              "maxRetries",
			`{"taskId":"orders","input":{"name":"a","count":1},"policy":{"timeoutMs":9999999999999999}}`: "292 years",
			`{"taskId":"orders","input":{"name":"a","count":1},"policy":{"onChildFailure":"shrug"}}`:     "child policy",
		} {
			w.ask("enqueue", "%s", body).refused("400", "invalid_request", want)
		}
		w.ask("enqueue", `{"taskId":"orders","input":{"name":"a","count":0}}`).refused("422", "invalid_input", "count", `"orders"`)
		for _, endpoint := range []string{"get", "wait", "cancel", "retry", "delete", "tree"} {
			w.ask(endpoint, `{"executionId":"nosuch"}`).refused("404", "not_found", "nosuch")
			w.ask(endpoint, `{"executionId":"no such"}`).refused("400", "invalid_request", "execution id")
			w.ask(endpoint, `{}`).refused("400", "invalid_request", "execution id is empty")
		}
		w.ask("wake", `{"executionId":"nosuch","output":null}`).refused("404", "not_found")
		w.ask("wake", `{"executionId":"nosuch"}`).refused("400", "invalid_request", "either output or error")
		w.ask("list", `{"status":"done"}`).refused("400", "invalid_request", `"done"`, "completed")
		w.ask("list", `{"limit":0}`).refused("400", "invalid_request", "limit")
		w.ask("list", `{"cursor":"x"}`).refused("400", "invalid_request", "cursor")
		equal(t, "executions", w.count(), 0)
	})
}

func TestOneIDIsOneExecutionThroughTheAPI(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		runs := atomic.Int32{}
		task := engine.Define[greeting, string]("greet")
		w.executor(workers.Config{}, engine.Bind(task, func(ctx context.Context, in greeting) (string, error) {
			runs.Add(1)
			return greet(ctx, in)
		}))
		for _, name := range []string{"greet", "unknown"} {
			for range 3 {
				var id struct{ ExecutionID string }
				w.ask("enqueue", `{"taskId":%q,"executionId":"%s-1","input":{"name":"world"}}`, name, name).into(&id)
				equal(t, "id", id.ExecutionID, name+"-1")
				pass(time.Minute)
			}
			w.ask("enqueue", `{"taskId":%q,"executionId":"%s-1","input":{"name":"moon"}}`, name, name).refused("409", "id_conflict", "another input")
			w.ask("enqueue", `{"taskId":"other","executionId":"%s-1","input":{"name":"world"}}`, name).refused("409", "id_conflict", name)
		}
		equal(t, "runs", runs.Load(), 1)
		equal(t, "executions", w.count(), 2)
	})
}

func TestTaskThatTheInstanceDoesNotKnowGetsTheRestOfItsPolicyFromWhoDoes(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		stop, err := w.store.(engine.Service).Serve(t.Context(), w.client, "alone") // like durable serve
		check(t, err)
		t.Cleanup(stop)
		w.ask("enqueue", `{"taskId":"orders","executionId":"a","input":{"name":"tea","count":1},"policy":{"timeoutMs":9000,"sleepMsBeforeRun":60000}}`)
		w.ask("enqueue", `{"taskId":"orders","executionId":"b","input":{"name":"tea","count":0}}`)
		var x seen
		w.ask("wait", `{"executionId":"a","timeoutMs":90000}`).into(&x)
		equal(t, "status with nobody there", x.Status, engine.Ready)
		w.executor(workers.Config{NoAPI: true}, engine.Bind(orders(), func(_ context.Context, o order) (string, error) { return o.Name, nil }))
		w.ask("wait", `{"executionId":"a"}`).into(&x)
		equal(t, "output", string(x.Output), `"TEA"`)
		equal(t, "retries", x.MaxRetries, 3)
		equal(t, "timeout", x.TimeoutMS, 9000)
		w.ask("wait", `{"executionId":"b"}`).into(&x)
		equal(t, "status of an invalid input", x.Status, engine.Failed)
		contains(t, "error", x.Error.Message, `invalid input of task "orders"`, "count")
	})
}

func TestAPIEnqueuesManyEachByItself(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		w.executor(workers.Config{}, engine.Bind(orders(), func(_ context.Context, o order) (string, error) { return o.Name, nil }))
		var list []string
		const n = 500
		for i := range n {
			list = append(list, fmt.Sprintf(`{"taskId":"orders","input":{"name":"a","count":%d}}`, i))
		}
		list = append(list, `{"taskId":"orders","executionId":"mine","input":{"name":"b","count":1}}`, `{"taskId":"orders","executionId":"mine","input":{"name":"b","count":1}}`, `{"taskId":"a b"}`)
		var a struct {
			Executions []struct {
				ExecutionID string
				Error       *struct{ Code, Message string }
			}
		}
		w.ask("enqueue-many", `{"executions":[%s]}`, strings.Join(list, ",")).into(&a)
		equal(t, "answers", len(a.Executions), n+3)
		for i, x := range a.Executions {
			switch i {
			case 0:
				equal(t, "error of an invalid input", x.Error.Code, "invalid_input")
			case n, n + 1:
				equal(t, "id", x.ExecutionID, "mine")
			case n + 2:
				equal(t, "error of an invalid task", x.Error.Code, "invalid_request")
			default:
				w.ends(x.ExecutionID, engine.Completed)
			}
		}
		equal(t, "executions", w.count(), n)
		w.ask("enqueue-many", `{}`).into(&a)
	})
}

func TestAPIEndsExecutionsAndStartsThemAgain(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		task := engine.Define[int, int]("slow", engine.NoTimeout)
		sleep := engine.DefineSleeping[any, any]("approve")
		w.executor(workers.Config{}, engine.Bind(task, sleeps[int](time.Hour, 7)), engine.BindSleeping(sleep))
		w.ask("enqueue", `{"taskId":"slow","executionId":"s","input":1}`)
		pass(time.Second)
		var end struct{ ExecutionID, Status, RetryOf string }
		w.ask("delete", `{"executionId":"s"}`).refused("409", "active", "running")
		w.ask("retry", `{"executionId":"s"}`).refused("409", "active", "running")
		w.ask("wake", `{"executionId":"s","output":1}`).refused("409", "not_sleeping")
		w.ask("cancel", `{"executionId":"s","reason":"enough"}`).into(&end)
		equal(t, "status", end.Status, "cancelled")
		equal(t, "reason", w.want("s", engine.Cancelled).Failure.Message, "enough")
		w.ask("cancel", `{"executionId":"s"}`).refused("409", "finished", "cancelled")
		w.ask("retry", `{"executionId":"s","newExecutionId":"s2","input":2}`).into(&end)
		equal(t, "retry", end.ExecutionID+" of "+end.RetryOf, "s2 of s")
		var x seen
		w.ask("get", `{"executionId":"s2"}`).into(&x)
		equal(t, "retry of", x.RetryOf, "s")
		equal(t, "input", string(x.Input), "2")
		w.ask("delete", `{"executionId":"s"}`).into(&end)
		w.ask("get", `{"executionId":"s"}`).refused("404", "not_found")
		w.ask("delete", `{"executionId":"s.0"}`).refused("409", "not_root", "its root is s")

		w.ask("enqueue", `{"taskId":"approve","executionId":"yes","input":"?"}`)
		w.ask("enqueue", `{"taskId":"approve","executionId":"no"}`)
		pass(time.Second)
		w.ask("wake", `{"executionId":"yes","output":{"by":"me"}}`).into(&end)
		w.ask("wake", `{"executionId":"no","error":"never"}`).into(&end)
		equal(t, "status", end.Status, "failed")
		w.ask("wait", `{"executionId":"yes"}`).into(&x)
		equal(t, "output", string(x.Output), `{"by":"me"}`)
		equal(t, "failure", w.want("no", engine.Failed).Failure.Message, "never")
	})
}

func TestListAndTreeComeInPages(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		child := engine.Define[int, int]("child")
		parent := engine.Define[int, engine.Gathered[int]]("parent")
		w.executor(workers.Config{}, engine.Bind(child, returns[int](1)),
			engine.BindFanOut(parent, func(_ context.Context, n int, c *engine.Children) (int, error) {
				for i := range n {
					child.Spawn(c, i)
				}
				return n, nil
			}))
		for i := range 7 {
			w.ends(enqueue(w, parent, 3, engine.ID(fmt.Sprint("r", i))).ID(), engine.Completed)
			pass(time.Second)
		}
		enqueue(w, child, 1, engine.ID("late"), engine.Delay(time.Hour))

		pages := func(endpoint, query string, limit int) (ids []string, n int) {
			for cursor := ""; ; n++ {
				var page seenList
				w.ask(endpoint, `{"limit":%d,"cursor":%q%s}`, limit, cursor, query).into(&page)
				for _, x := range page.Executions {
					ids = append(ids, x.ID)
				}
				if cursor = page.Cursor; cursor == "" {
					return ids, n + 1
				}
			}
		}
		all, n := pages("list", "", 4)
		equal(t, "pages", n, 8)
		equal(t, "executions", len(all), 29)
		equal(t, "newest", all[0], "late")
		equal(t, "oldest", all[28], "r0.2")
		got, _ := pages("list", `,"roots":true,"taskId":"parent"`, 3)
		equal(t, "roots", strings.Join(got, " "), "r6 r5 r4 r3 r2 r1 r0")
		got, n = pages("list", `,"status":"ready"`, 1)
		equal(t, "delayed ones", strings.Join(got, " "), "late")
		equal(t, "pages", n, 1)
		got, _ = pages("tree", `,"executionId":"r3.1"`, 2)
		equal(t, "tree", strings.Join(got, " "), "r3 r3.0 r3.1 r3.2")

		// A page ends where the answer is full.
		w.ends(enqueue(w, parent, 1200, engine.ID("wide")).ID(), engine.Completed)
		var page seenList
		w.ask("tree", `{"executionId":"wide","limit":1000}`).into(&page)
		got, _ = pages("tree", `,"executionId":"wide"`, 1000)
		equal(t, "wide tree", len(got), 1201)
		equal(t, "root", got[0], "wide")
		equal(t, "last", got[1200], "wide.1199")
	})
}

func TestListSelectsByEverythingThatIsAskedFor(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("mail", engine.Queue("post"), engine.Metadata{"team": "blue", "kind": "mail"})
		parent := engine.Define[int, engine.Gathered[int]]("letters")
		w.executor(workers.Config{Queues: map[string]int{"post": 1, "default": 1}}, engine.Bind(task, func(_ context.Context, in string) (string, error) {
			if in == "bad" {
				return "", fmt.Errorf("no such Address: 7")
			}
			return in, nil
		}), engine.BindFanOut(parent, func(_ context.Context, n int, c *engine.Children) (int, error) {
			for range n {
				task.Spawn(c, "x")
			}
			return n, nil
		}))
		began := time.Now().UnixMilli()
		w.ask("enqueue", `{"taskId":"mail","executionId":"a","input":"x","metadata":{"order":"42","team":"red"}}`).into(&struct{}{})
		w.ask("enqueue-many", `{"executions":[{"taskId":"mail","executionId":"b","input":"bad","metadata":{"order":"43"}}]}`).into(&struct{}{})
		pass(time.Minute)
		w.ask("enqueue", `{"taskId":"letters","executionId":"c","input":2,"metadata":{"order":"42"}}`).into(&struct{}{})
		w.ask("enqueue", `{"taskId":"mail","executionId":"d","input":"x","metadata":{"order":"44"},"policy":{"sleepMsBeforeRun":3600000}}`).into(&struct{}{})
		pass(time.Minute)
		for query, want := range map[string]string{
			`"metadata":{"order":"42"}`:                                           "c a",
			`"metadata":{"order":"42","team":"red"}`:                              "a",
			`"metadata":{"team":"blue"},"roots":true`:                             "d b",
			`"metadata":{"order":"44"}`:                                           "d",
			`"queue":"post","status":"completed"`:                                 "c.0 c.1 a",
			`"queue":"nosuch"`:                                                    "",
			`"parentId":"c"`:                                                      "c.0 c.1",
			`"executionIdPrefix":"c."`:                                            "c.0 c.1",
			`"error":"ADDRESS"`:                                                   "b",
			fmt.Sprintf(`"createdAt":{"from":%d},"roots":true`, began+30_000):     "c d",
			fmt.Sprintf(`"createdAt":{"from":%d,"until":%d}`, began, began+1_000): "a b",
			fmt.Sprintf(`"finishedAt":{"until":%d}`, began+1_000):                 "a b",
			fmt.Sprintf(`"startedAt":{"from":%d},"taskId":"mail"`, began+30_000):  "c.0 c.1",
		} {
			var page seenList
			w.ask("list", `{%s}`, query).into(&page)
			var got []string
			for _, x := range page.Executions {
				got = append(got, x.ID)
			}
			equal(t, query, strings.Join(got, " "), want)
		}
		var x seen
		w.ask("get", `{"executionId":"a"}`).into(&x)
		equal(t, "metadata", fmt.Sprint(x.Metadata), "map[kind:mail order:42 team:red]")
		w.ask("list", `{"queue":"a.b"}`).refused("400", "invalid_request", "queue")
		w.ask("list", `{"parentId":"a,b"}`).refused("400", "invalid_request", "a,b")
		w.ask("list", `{"metadata":{"a.b":"c"}}`).refused("400", "invalid_request", "metadata key")
		w.ask("list", `{"createdAt":{"since":1}}`).refused("400", "invalid_request", "since")
		w.ask("enqueue", `{"taskId":"mail","input":"x","metadata":{"order":""}}`).refused("400", "invalid_request", "metadata order: the value is empty")
		w.ask("enqueue", `{"taskId":"mail","input":"x","metadata":{"order":42}}`).refused("400", "invalid_request", "metadata")
	})
}

// catalogue is an index with fixed contents, or one that fails.
type catalogue struct {
	list []engine.Execution
	err  error

	asked []engine.Filter
	after engine.Cursor
}

func (c *catalogue) Find(_ context.Context, f engine.Filter, after engine.Cursor, limit int) ([]engine.Execution, uint64, error) {
	c.asked, c.after = append(c.asked, f), after
	return c.list[:min(limit, len(c.list))], 3, c.err
}

func TestListIsAnsweredFromAnIndexIfThereIsOne(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		store := w.store.(*jsstore.Store)
		at := time.UnixMilli(1_700_000_000_123).UTC()
		c := &catalogue{list: []engine.Execution{
			{ID: "z", Task: "t", Queue: "q", Status: engine.Ready, CreatedAt: at},
			{ID: "y", Task: "t", Queue: "q", Status: engine.Ready, CreatedAt: at.Add(-time.Second)},
		}}
		stop, err := store.ServeIndexed(t.Context(), w.client, "indexed", c)
		check(t, err)
		t.Cleanup(stop)
		w.ask("enqueue", `{"taskId":"t","executionId":"stored"}`).into(&struct{}{})
		list := func(query string) (page struct {
			seenList
			Behind int
		}) {
			t.Helper()
			w.ask("list", `{%s}`, query).into(&page)
			return page
		}
		page := list(`"limit":1,"metadata":{"order":"42"}`)
		equal(t, "executions", len(page.Executions), 1)
		equal(t, "id", page.Executions[0].ID, "z")
		equal(t, "behind", page.Behind, 3)
		equal(t, "asked for", c.asked[0].Metadata["order"], "42")
		page = list(fmt.Sprintf(`"cursor":%q`, page.Cursor))
		equal(t, "after", c.after, engine.Cursor{CreatedAt: at, ID: "z"})
		equal(t, "cursor of the last page", page.Cursor, "")
		c.err = api.ErrNoIndex
		page = list(``)
		equal(t, "id without an index", page.Executions[0].ID, "stored")
		equal(t, "behind without an index", page.Behind, 0)
		list(`"parentId":"stored"`)
		equal(t, "times asked", len(c.asked), 3) // one question for a whole tree
	})
}

func TestWhatDoesNotFitAnAnswerIsNamed(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("echo")
		w.executor(workers.Config{}, engine.Bind(task, func(_ context.Context, in string) (string, error) { return in, nil }))
		for id, c := range map[string]struct {
			size    int
			omitted string
		}{"short": {10, ""}, "half": {600 << 10, "[input]"}, "long": {1 << 20, "[output input]"}} {
			enqueue(w, task, strings.Repeat("x", c.size), engine.ID(id))
			var x seen
			w.ask("wait", `{"executionId":%q}`, id).into(&x)
			equal(t, id+": status", x.Status, engine.Completed)
			if got := strings.TrimPrefix(fmt.Sprint(x.Omitted), "[]"); got != c.omitted {
				t.Errorf("%s: omitted %s, want %s", id, got, c.omitted)
			}
		}

		w.with(keyed(t, "k1"))
		w.executor(workers.Config{Codec: keyed(t, "k1")}, engine.Bind(engine.Define[string, string]("secret"), func(_ context.Context, in string) (string, error) { return in, nil }))
		for range 20 { // enough that each instance answers some
			var x seen
			w.ask("enqueue", `{"taskId":"secret","executionId":"secret","input":"tea"}`)
			w.ask("wait", `{"executionId":"secret"}`).into(&x)
			contains(t, "output", string(x.Output), `"sealed":"application/json; enc=aes-gcm.k1"`)
		}
		// A body that does not match its content type is shown as damaged.
		check(t, w.pub("durable.ready.default.echo.broken", `{"a":`))
		w.ends("broken", engine.Failed)
		var x seen
		w.ask("get", `{"executionId":"broken"}`).into(&x)
		contains(t, "input", string(x.Input), `"bytes":5`, "unexpected end of JSON input")
	})
}

func TestFleetIsTold(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		w.executor(workers.Config{Name: "one", Queues: map[string]int{"default": 1, "mail": 1}}, engine.Bind(orders(), returns[order]("")))
		w.executor(workers.Config{Name: "two", Slots: 1}, engine.Bind(engine.Define[int, int]("slow", engine.NoTimeout), sleeps[int](time.Hour, 1)), engine.Bind(orders(), returns[order]("")))
		for i := range 3 {
			w.ask("enqueue", `{"taskId":"slow","input":%d}`, i)
		}
		w.ask("enqueue", `{"taskId":"slow","input":1,"queue":"nobody"}`).into(&seen{})
		w.ask("enqueue", `{"taskId":"slow","input":1,"policy":{"sleepMsBeforeRun":3600000}}`).into(&seen{})
		pass(time.Minute)

		var tasks struct {
			Tasks []struct {
				TaskID            string
				InputSchema       struct{ Properties map[string]any }
				Executors, Queues []string
			}
		}
		w.ask("tasks", "").into(&tasks)
		equal(t, "tasks", len(tasks.Tasks), 2)
		equal(t, "task", fmt.Sprint(tasks.Tasks[0].TaskID, tasks.Tasks[0].Executors, tasks.Tasks[0].Queues), "orders[one two] [default mail]")
		if _, ok := tasks.Tasks[0].InputSchema.Properties["count"]; !ok {
			t.Errorf("schema = %v, want one with count", tasks.Tasks[0].InputSchema)
		}

		var executors struct {
			Executors []struct {
				Executor       string
				Slots, Running int
			}
		}
		w.ask("executors", "{}").into(&executors)
		equal(t, "executors", fmt.Sprint(executors.Executors), "[{one 100 0} {two 1 1}]")

		var queues struct {
			Queues []struct {
				Queue           string
				Ready, InFlight int
				OldestMS        int64
				MaxInFlight     int
				IsPaused        bool
				Executors       int
			}
			Unserved, Later int
		}
		w.ask("queues", "").into(&queues)
		if len(queues.Queues) != 2 {
			t.Fatalf("queues = %+v, want two", queues)
		}
		q := queues.Queues[0]
		equal(t, "queue", fmt.Sprint(q.Queue, " ", q.Ready+q.InFlight, " ", q.MaxInFlight, q.IsPaused, q.Executors), "default 3 -1 false 2") // one runs of two in flight, and two wait
		if q.OldestMS < 59_000 || q.OldestMS > 62_000 {
			t.Errorf("oldest = %d ms, want about a minute", q.OldestMS)
		}
		equal(t, "other queue", fmt.Sprint(queues.Queues[1].Queue, " ", queues.Queues[1].Executors), "mail 1")
		equal(t, "unserved", queues.Unserved, 1)
		equal(t, "later", queues.Later, 1) // the delayed execution
	})
}

func TestInstancesShareTheLoadAndOneMayGo(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		task := engine.Define[int, int]("slow", engine.NoTimeout)
		bind := engine.Bind(task, sleeps[int](time.Hour, 1))
		one := w.executor(workers.Config{Name: "one", Drain: time.Minute}, bind)
		w.executor(workers.Config{Name: "two"}, bind)
		stats := func() map[string]int {
			answered := map[string]int{}
			sub, err := w.nc.SubscribeSync(w.nc.NewInbox())
			check(t, err)
			check(t, w.nc.PublishRequest("$SRV.STATS.durable-api", sub.Subject, nil))
			for {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				m, err := sub.NextMsgWithContext(ctx)
				cancel()
				if err != nil {
					return answered
				}
				var s struct {
					Metadata  struct{ Instance string }
					Endpoints []struct {
						Name string
						Data struct{ Answered, Errors, InFlight int }
					}
				}
				check(t, json.Unmarshal(m.Data, &s))
				for _, e := range s.Endpoints {
					if e.Name == "get" {
						answered[s.Metadata.Instance] = e.Data.Answered
						answered[s.Metadata.Instance+" errors"] = e.Data.Errors
					}
				}
			}
		}
		w.ask("enqueue", `{"taskId":"slow","executionId":"s","input":1}`)
		for range 100 {
			w.ask("get", `{"executionId":"s"}`)
		}
		for range 10 {
			w.ask("get", `{"executionId":"t"}`)
		}
		got := stats()
		if got["one"] < 20 || got["two"] < 20 || got["one"]+got["two"] != 100 || got["one errors"]+got["two errors"] != 10 {
			t.Errorf("answered %v, want 100 together, 20 each at least, and 10 errors", got)
		}

		// Both instances hold waits. Those of the instance that stops are answered at once.
		const n = 40
		answers := make(chan string, n)
		for range n {
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				m, err := w.nc.RequestWithContext(ctx, "durable.api.wait", []byte(`{"executionId":"s","timeoutMs":600000}`))
				if err != nil {
					answers <- err.Error()
					return
				}
				var x seen
				_ = json.Unmarshal(m.Data, &x)
				answers <- string(x.Status)
			}()
		}
		pass(time.Second)
		one.stop()
		pass(time.Second)
		early := len(answers)
		if early < 5 || early > 35 {
			t.Errorf("%d of %d waits came back when one of two instances stopped", early, n)
		}
		for range 20 {
			w.ask("get", `{"executionId":"s"}`).into(&seen{})
		}
		check(t, w.client.Cancel(t.Context(), "s", "enough"))
		for i := range n {
			want := "cancelled"
			if i < early {
				want = "running"
			}
			equal(t, "status", <-answers, want)
		}
	})
}

func TestServiceIsFound(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		quiet := w.executor(workers.Config{NoAPI: true}, engine.Bind(engine.Define[int, int]("task"), returns[int](1)))
		if _, err := w.nc.RequestWithContext(w.ctx, "$SRV.INFO.durable-api", nil); err != nats.ErrNoResponders {
			t.Errorf("with NoAPI: %v, want an error that says that no instance answers", err)
		}
		quiet.stop()
		w.executor(workers.Config{Name: "one"}, engine.Bind(engine.Define[int, int]("task"), returns[int](1)))
		m, err := w.nc.RequestWithContext(w.ctx, "$SRV.INFO.durable-api", nil)
		check(t, err)
		var info struct {
			Name, Version string
			Endpoints     []struct {
				Name, Subject string
				QueueGroup    string `json:"queue_group"`
				Metadata      struct{ About string }
			}
		}
		check(t, json.Unmarshal(m.Data, &info))
		equal(t, "version", info.Version, "1.0.0")
		var names []string
		for _, e := range info.Endpoints {
			names = append(names, e.Name)
			equal(t, "subject", e.Subject, "durable.api."+e.Name)
			if e.QueueGroup == "" || e.Metadata.About == "" {
				t.Errorf("%s: queue group %q, about %q, want both", e.Name, e.QueueGroup, e.Metadata.About)
			}
		}
		equal(t, "endpoints", strings.Join(names, " "),
			"enqueue enqueue-many get wait cancel wake retry delete list tree tasks queues executors")
	})
}
