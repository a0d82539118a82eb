package semantics_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/workers"
)

// cents makes its own JSON.
type cents struct{ n int64 }

func (c cents) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, `"%d ct"`, c.n), nil }
func (c *cents) UnmarshalJSON(data []byte) error {
	_, err := fmt.Sscanf(string(data), `"%d ct"`, &c.n)
	return err
}

type bill struct {
	Sum   cents
	Large *big.Int
	When  time.Time
	Notes map[string]any
}

func inJSON(text string) codec.Payload { return codec.Payload{Type: codec.JSON, Data: []byte(text)} }

// TestAValueArrivesAsItWasSent sends values that MessagePack can't express on every path that a
// value can take, enqueued by Go and by a client that writes JSON.
func TestAValueArrivesAsItWasSent(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		large, _ := new(big.Int).SetString("123456789012345678901234567890", 10)
		sent := bill{cents{250}, large, time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 5*3600)), map[string]any{"n": int64(1<<53 + 1)}}
		want := func(what string, got bill) error {
			if got.Sum != sent.Sum || got.Large.Cmp(large) != 0 || got.When.Format(time.RFC3339) != "2026-01-02T03:04:05+05:00" || got.Notes["n"] != int64(1<<53+1) {
				return fmt.Errorf("%s is given %+v", what, got)
			}
			return nil
		}
		step := engine.Define[bill, bill]("step")
		nothing := engine.Define[bill, map[string]bill]("nothing")
		count := engine.Define[map[string]bill, int]("count")
		parent := engine.Define[bill, bill]("parent")
		gathers := engine.Define[bill, engine.Gathered[bill]]("gathers")
		sequence := engine.Define[bill, int]("sequence")
		spawn := func(_ context.Context, in bill, kids *engine.Children) (bill, error) {
			step.Spawn(kids, in)
			return in, want("a parent", in)
		}
		w.executor(workers.Config{},
			engine.Bind(step, func(_ context.Context, in bill) (bill, error) { return in, want("a step", in) }),
			engine.Bind(nothing, func(_ context.Context, in bill) (map[string]bill, error) { return nil, want("a step", in) }),
			engine.Bind(count, func(_ context.Context, in map[string]bill) (int, error) { return len(in), nil }),
			engine.BindParent(parent, spawn, func(_ context.Context, j engine.Joined[bill, bill]) (bill, error) {
				out, err := step.Result(j.Children).Get()
				return out, errors.Join(err, want("a finalize", j.Input), want("a finalize", j.Output))
			}),
			engine.BindFanOut(gathers, spawn),
			engine.BindSequence(sequence, engine.Then(engine.Then(step, nothing), count)))
		input, err := codec.EncodeAs(codec.JSON, &sent)
		check(t, err)
		for _, task := range []string{"step", "parent", "gathers", "sequence"} {
			id, err := w.client.Enqueue(t.Context(), engine.Request{Task: task, Input: input})
			check(t, err)
			w.ends(id, engine.Completed)
		}
		check(t, want("who waits", result(w, enqueue(w, parent, sent))))
		all := result(w, enqueue(w, gathers, sent))
		out, err := step.Result(all.Children).Get()
		check(t, errors.Join(err, want("who waits", out), want("who waits", all.Output)))
		equal(t, "length of a nil map", result(w, enqueue(w, sequence, sent)), 0)
	})
}

func TestAnOutputThatNobodyCanReadCompletesNothing(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		circle := map[string]any{}
		circle["a"] = circle
		ratio := engine.Define[int, float64]("ratio")
		loop := engine.Define[int, map[string]any]("loop")
		parent := engine.Define[int, engine.Gathered[int]]("parent")
		outer := engine.Define[int, engine.Gathered[int]]("outer")
		x := w.executor(workers.Config{Slots: 1},
			engine.Bind(ratio, returns[int](math.NaN())), engine.Bind(loop, returns[int](circle)),
			engine.BindFanOut(parent, func(_ context.Context, n int, c *engine.Children) (int, error) { ratio.Spawn(c, n); return n, nil }),
			engine.BindSequence(outer, parent))
		for task, text := range map[string]string{"ratio": "not finite", "loop": "contains itself"} {
			id, err := w.client.Enqueue(t.Context(), engine.Request{Task: task, Input: inJSON("1")})
			check(t, err)
			y := w.ends(id, engine.Failed)
			if y.Failure.Kind != engine.KindOutput || !strings.Contains(y.Failure.Message, text) {
				t.Errorf("%s: %s %q, want the output refused: %s", task, y.Failure.Kind, y.Failure.Message, text)
			}
		}
		id, err := w.client.Enqueue(t.Context(), engine.Request{Task: "outer", Input: inJSON("1")})
		check(t, err)
		w.ends(id, engine.ChildrenFailed)
		equal(t, "in hand", x.Stats().InHand, 0)
	})
}

// TestAnInputThatCanNotBePutTogetherEndsItsExecution is about outputs of earlier versions, which
// wrote numbers in MessagePack that JSON can't express.
func TestAnInputThatCanNotBePutTogetherEndsItsExecution(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		nan := codec.Payload{Type: codec.MsgPack, Data: []byte{0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 1}}
		ratio := engine.Define[int, float64]("ratio")
		parent := engine.Define[int, engine.Gathered[int]]("parent")
		last := engine.Define[engine.Gathered[int], int]("last")
		sequence := engine.Define[int, int]("sequence")
		old := engine.Bind(ratio, returns[int](1.0))
		old.Run = func(context.Context, engine.Input) (engine.Return, error) { return engine.Return{Output: nan}, nil }
		x := w.executor(workers.Config{Slots: 1}, old,
			engine.BindFanOut(parent, func(_ context.Context, n int, c *engine.Children) (int, error) { ratio.Spawn(c, n); return n, nil }),
			engine.Bind(last, returns[engine.Gathered[int]](1)), engine.BindSequence(sequence, engine.Then(parent, last)))
		id, err := w.client.Enqueue(t.Context(), engine.Request{Task: "sequence", Input: inJSON("1")})
		check(t, err)
		y := w.ends(id, engine.ChildrenFailed)
		if !strings.Contains(y.Failure.Message, "not finite") {
			t.Errorf("message = %q, want one that says what is wrong", y.Failure.Message)
		}
		equal(t, "in hand", x.Stats().InHand, 0)
	})
}

func TestWakeRefusesWhatIsNoOutput(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		x := w.executor(workers.Config{}, engine.BindSleeping(approval))
		h := enqueue(w, approval.Task, "order 42")
		pass(time.Second)
		for _, out := range []codec.Payload{
			{Type: codec.JSON, Data: []byte("{")}, {Type: codec.MsgPack, Data: []byte{0xc1}}, {Type: "text/xml", Data: []byte("<a/>")},
			{Type: "application/json; enc=gzip", Data: []byte("x")}, inJSON(`{"a":1,"a":2}`),
			inJSON(`"yes"`), inJSON("null"), {Type: codec.MsgPack, Data: []byte{0x01}}, // not an output of this task
		} {
			client := x.Client()
			if out.Check() != nil {
				client = w.client // every client notices that
			}
			if err := client.Wake(t.Context(), h.ID(), out); !errors.Is(err, engine.ErrInvalidOutput) {
				t.Errorf("wake with %s %q: %v, want ErrInvalidOutput", out.Type, out.Data, err)
			}
		}
		w.want(h.ID(), engine.Running)
		check(t, x.Client().Wake(t.Context(), h.ID(), inJSON("true")))
		equal(t, "output", result(w, h), true)
	})
}

// publishWake wakes an execution like any program that has the permission to publish.
func (w *world) publishWake(id string, out codec.Payload) {
	w.t.Helper()
	data, err := engine.EncodeClosure(engine.Closure{Parent: id, IsWake: true, Status: engine.Completed, Output: out})
	check(w.t, err)
	w.publish(&nats.Msg{Subject: "durable.closure." + id, Data: data})
}

func TestExecutorsSetAWakeAsideThatIsNoOutput(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		w.executor(workers.Config{}, engine.BindSleeping(approval))
		h := enqueue(w, approval.Task, "order 42")
		pass(time.Second)
		wake := func(out codec.Payload) { w.publishWake(h.ID(), out) }
		for _, out := range []codec.Payload{inJSON("{"), {Type: "text/xml", Data: []byte("<a/>")}, inJSON(`"yes"`), {Type: "application/json; enc=gzip", Data: []byte("x")}} {
			wake(out)
		}
		pass(time.Minute)
		w.want(h.ID(), engine.Running)
		equal(t, "set aside", len(w.aside()), 4)
		wake(inJSON(`"no"`))
		wake(inJSON("true"))
		pass(time.Minute)
		equal(t, "output", result(w, h), true)
	})
}

// TestShutdownReturnsTheWakesThatAreStillInHand stops an executor that has set one of two wakes
// aside, before it can read the record for the other one.
func TestShutdownReturnsTheWakesThatAreStillInHand(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		x := w.tapped(workers.Config{}, engine.BindSleeping(approval))
		h := enqueue(w, approval.Task, "order 42")
		pass(time.Second)
		asides := 0
		x.tap.on(func(call, _ string) error {
			switch {
			case call == "SetAside":
				if asides++; asides == 2 {
					x.stop()
					pass(time.Second)
				}
			case call == "Get" && asides == 0:
				time.Sleep(time.Second) // by then the executor holds both of the other messages
			case call == "Get" && asides == 2:
				return errors.New("no answer")
			}
			return nil
		})
		for _, text := range []string{`"no"`, `"neither"`, "true"} {
			w.publishWake(h.ID(), inJSON(text))
		}
		check(t, <-x.done)
		equal(t, "set aside", len(w.aside()), 2)
		began := time.Now()
		w.executor(workers.Config{}, engine.BindSleeping(approval))
		equal(t, "output", result(w, h), true)
		if took := time.Since(began); took > time.Second {
			t.Errorf("it was woken after %s, want at once: the wake was returned", took)
		}
	})
}

// TestWhatIsJudgedIsWhatIsRun is about different keys that encoding/json reads as the same field.
func TestWhatIsJudgedIsWhatIsRun(t *testing.T) {
	type job struct {
		Failures int `json:"failures,omitempty"`
	}
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[job, int]("task").InputSchema(`{"properties":{"failures":{"minimum":5}}}`)
		x := w.executor(workers.Config{}, engine.Bind(task, func(_ context.Context, in job) (int, error) { return in.Failures, nil }))
		for _, in := range []string{`{"failures":9,"FAILURES":0}`, `{"Failures":0}`, `{"failures":9,"failures":0}`, `{"failures":9.0}`, `{"failures":9223372036854775808}`} {
			if _, err := x.Client().Enqueue(t.Context(), engine.Request{Task: "task", Input: inJSON(in)}); !errors.Is(err, engine.ErrInvalidInput) {
				t.Errorf("%s: %v, want ErrInvalidInput", in, err)
			}
			id, err := engine.NewClient(w.store).Enqueue(t.Context(), engine.Request{Task: "task", Input: inJSON(in)}) // a client that does not know the task
			check(t, err)
			equal(t, "kind", w.ends(id, engine.Failed).Failure.Kind, engine.KindInvalidInput)
		}
	})
}
