package semantics_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/workers"
)

type order struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
}

// orders is a task with both a schema and a validator, which capitalizes.
func orders() engine.Task[order, string] {
	return engine.Define[order, string]("orders", engine.Retry{MaxRetries: 3}).
		InputSchema(`{"type":"object","properties":{"count":{"type":"integer","minimum":1}}}`).
		ValidateInput(func(o order) (order, error) {
			if o.Name == "" {
				return o, errors.New("name: is empty")
			}
			o.Name = strings.ToUpper(o.Name)
			return o, nil
		})
}

func TestValidatorMayTransformTheInput(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := orders()
		w.executor(workers.Config{}, engine.Bind(task, func(_ context.Context, o order) (string, error) { return o.Name, nil }))
		h := enqueue(w, task, order{Name: "tea", Count: 2})
		equal(t, "output", result(w, h), "TEA")
		var stored order
		check(t, w.get(h.ID()).Input.Decode(&stored))
		equal(t, "stored input", stored, order{Name: "TEA", Count: 2})
	})
}

func TestInvalidInputIsRefusedInTheCallerAndNothingIsStored(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := orders()
		refused := func(err error, parts ...string) {
			t.Helper()
			if !errors.Is(err, engine.ErrInvalidInput) {
				t.Fatalf("error = %v, want ErrInvalidInput", err)
			}
			contains(t, "error", err.Error(), append(parts, `"orders"`)...)
		}
		_, err := task.Enqueue(t.Context(), w.client, order{Count: 1})
		refused(err, "name: is empty")
		_, err = task.Enqueue(t.Context(), w.client, order{Name: "tea"})
		refused(err, "count", "minimum")
		_, err = task.EnqueueMany(t.Context(), w.client, []order{{"tea", 1}, {"tea", 0}, {"tea", 1}})
		refused(err, "count", "minimum", "input 1")
		equal(t, "executions", w.count(), 0)
	})
}

func TestSchemaIsInferredFromTheGoType(t *testing.T) {
	text, err := json.Marshal(engine.Define[order, string]("orders").Schema())
	check(t, err)
	contains(t, "schema", string(text), `"name":{"type":"string"}`, `"count":{"type":"integer","minimum":-9223372036854776000,"exclusiveMaximum":9223372036854776000}`, `"required":["name","count"]`)
}

// fromElsewhere enqueues an execution like a client that knows only the name of the task, not its
// definition.
func fromElsewhere(w *world, task, id, input string) {
	w.t.Helper()
	if w.nc == nil {
		x := engine.Execution{
			ID: id, Task: task, Queue: engine.DefaultQueue, Status: engine.Ready,
			CreatedAt: now(), StartAt: now(), Input: codec.Payload{Type: codec.JSON, Data: []byte(input)},
			Policy: engine.Policy{Retry: engine.Retry{MaxRetries: 3}},
		}
		check(w.t, w.store.Enqueue(w.t.Context(), engine.Due{Execution: x}))
		return
	}
	js, err := jetstream.New(w.nc)
	check(w.t, err)
	_, err = js.Publish(w.t.Context(), "durable.ready.default."+task+"."+id, []byte(input))
	check(w.t, err)
}

func TestInputFromAnotherClientIsTransformedByTheExecutor(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := orders()
		w.executor(workers.Config{}, engine.Bind(task, func(_ context.Context, o order) (string, error) { return o.Name, nil }))
		fromElsewhere(w, "orders", "x1", `{"name":"tea","count":2,"more":"than known"}`)
		equal(t, "output", result(w, task.Handle(w.client, "x1")), "TEA")
	})
}

func TestInvalidInputFromAnotherClientFailsWithoutRetryAndTheSameMessage(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task, ran := orders(), false
		w.executor(workers.Config{}, engine.Bind(task, func(context.Context, order) (string, error) { ran = true; return "", nil }))
		for id, input := range map[string]string{
			"wrong-type":  `{"name":5,"count":1}`,
			"schema":      `{"name":"tea","count":0}`,
			"validator":   `{"name":"","count":1}`,
			"no-json":     `{"name":`,
			"not-the-one": `[]`,
		} {
			fromElsewhere(w, "orders", id, input)
			x := w.ends(id, engine.Failed)
			equal(t, id+": attempt", x.Attempt, 0)
			equal(t, id+": kind", x.Failure.Kind, engine.KindInvalidInput)
			contains(t, id+": failure", x.Failure.Message, `invalid input of task "orders"`)
			_, err := task.Handle(w.client, id).Wait(t.Context())
			if !errors.Is(err, engine.ErrInvalidInput) {
				t.Errorf("%s: wait: %v, want ErrInvalidInput", id, err)
			}
		}
		equal(t, "user code ran", ran, false)
		for id, in := range map[string]order{"schema": {"tea", 0}, "validator": {"", 1}} {
			_, err := task.Enqueue(t.Context(), w.client, in)
			if err == nil || !strings.HasSuffix(err.Error(), w.get(id).Failure.Message) {
				t.Errorf("%s: message in the caller %q, in the record %q", id, err, w.get(id).Failure.Message)
			}
		}
	})
}

func TestInputFromAnotherClientIsJudgedByTheInferredSchema(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[order, string]("plain")
		w.executor(workers.Config{}, engine.Bind(task, func(_ context.Context, o order) (string, error) { return o.Name, nil }))
		fromElsewhere(w, "plain", "good", `{"name":"tea","count":2}`)
		equal(t, "output", result(w, task.Handle(w.client, "good")), "tea")
		fromElsewhere(w, "plain", "bad", `{"name":"tea"}`)
		contains(t, "failure", w.ends("bad", engine.Failed).Failure.Message, `"plain"`, "count")
	})
}

func TestChildWithInvalidInputFailsItsParentAndNoSiblingIsCreated(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		child := orders()
		parent := engine.Define[string, engine.Gathered[int]]("parent", engine.Retry{MaxRetries: 3})
		w.executor(workers.Config{}, engine.Bind(child, returns[order]("")),
			engine.BindFanOut(parent, func(_ context.Context, _ string, c *engine.Children) (int, error) {
				child.Spawn(c, order{"tea", 1})
				child.Spawn(c, order{"tea", 0})
				child.Spawn(c, order{"", 1})
				return 0, nil
			}))
		h := enqueue(w, parent, "in")
		x := w.ends(h.ID(), engine.Failed)
		equal(t, "attempt", x.Attempt, 0)
		equal(t, "kind", x.Failure.Kind, engine.KindInvalidInput)
		contains(t, "failure", x.Failure.Message, "child 1", "child 2", `"orders"`, "count", "name: is empty")
		pass(time.Minute)
		equal(t, "executions", w.count(), 1)
	})
}

func TestParentWithoutFinalizeOutputsItsOwnAndItsChildrensInSpawnOrder(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		child := engine.Define[int, string]("child")
		other := engine.Define[int, order]("other")
		parent := engine.Define[string, engine.Gathered[string]]("parent")
		w.executor(workers.Config{},
			engine.Bind(child, func(ctx context.Context, n int) (string, error) {
				return sleeps[int](time.Duration(10-n)*time.Second, fmt.Sprint("child ", n))(ctx, n)
			}),
			engine.Bind(other, returns[int](order{"tea", 1})),
			engine.BindFanOut(parent, func(_ context.Context, in string, c *engine.Children) (string, error) {
				for n := range 3 {
					child.Spawn(c, n)
				}
				other.Spawn(c, 3)
				return "mid of " + in, nil
			}))
		h := enqueue(w, parent, "in", engine.ID("p"))
		out := result(w, h)

		x := w.get("p")
		p, err := w.client.Output(t.Context(), x)
		check(t, err)
		var got, want any
		text, err := json.Marshal(p)
		check(t, err)
		check(t, json.Unmarshal(text, &got))
		check(t, json.Unmarshal([]byte(`{"output":"mid of in","childrenOutputs":[
			{"index":0,"taskId":"child","executionId":"p.0","status":"completed","output":"child 0"},
			{"index":1,"taskId":"child","executionId":"p.1","status":"completed","output":"child 1"},
			{"index":2,"taskId":"child","executionId":"p.2","status":"completed","output":"child 2"},
			{"index":3,"taskId":"other","executionId":"p.3","status":"completed","output":{"name":"tea","count":1}}]}`), &want))
		if !reflect.DeepEqual(got, want) {
			t.Errorf("output = %s\nwant %v", text, want)
		}

		equal(t, "own output", out.Output, "mid of in")
		results := child.Results(out.Children)
		equal(t, "results of child", len(results), 3)
		for n, r := range results {
			v, err := r.Get()
			check(t, err)
			equal(t, "child's output", v, fmt.Sprint("child ", n))
		}
		v, err := other.Result(out.Children).Get()
		check(t, err)
		equal(t, "other's output", v, order{"tea", 1})
	})
}

func TestFinalizeGetsInputOutputAndChildrenAndItsOutputIsTheParents(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		child := engine.Define[int, int]("double")
		parent := engine.Define[order, []string]("parent")
		w.executor(workers.Config{}, engine.Bind(child, func(_ context.Context, n int) (int, error) { return 2 * n, nil }),
			engine.BindParent(parent, func(_ context.Context, in order, c *engine.Children) (map[string]engine.Child[int], error) {
				return map[string]engine.Child[int]{"four": child.Spawn(c, 4), "five": child.Spawn(c, 5)}, nil
			}, func(_ context.Context, j engine.Joined[order, map[string]engine.Child[int]]) ([]string, error) {
				four, err := j.Output["four"].Of(j.Children).Get()
				if err != nil {
					return nil, err
				}
				five, err := j.Output["five"].Of(j.Children).Get()
				return []string{j.Input.Name, fmt.Sprint(four), fmt.Sprint(five)}, err
			}))
		h := enqueue(w, parent, order{Name: "tea"})
		equal(t, "output", fmt.Sprint(result(w, h)), "[tea 8 10]")
	})
}

func TestFinalizeSeesTheDocumentsFields(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		child := engine.Define[int, int]("double")
		parent := engine.Define[string, string]("parent")
		raw := make(chan string, 1)
		w.executor(workers.Config{}, engine.Bind(child, func(_ context.Context, n int) (int, error) { return 2 * n, nil }),
			engine.BindParent(parent, func(_ context.Context, in string, c *engine.Children) (string, error) {
				child.Spawn(c, 4)
				return "mid", nil
			}, func(ctx context.Context, j engine.Joined[string, string]) (string, error) {
				x, err := engine.FromContext(ctx).Client.Get(ctx, engine.FromContext(ctx).ExecutionID)
				if err != nil {
					return "", err
				}
				p, err := w.client.InputOf(ctx, x)
				if err != nil {
					return "", err
				}
				text, err := json.Marshal(p.Joined)
				raw <- string(text)
				return "", err
			}))
		result(w, enqueue(w, parent, "in", engine.ID("p")))
		equal(t, "input of the finalize", <-raw,
			`{"input":"in","output":"mid","childrenTasksOutputs":[{"index":0,"taskId":"double","executionId":"p.0","status":"completed","output":8}]}`)
	})
}

func TestFinalizeMayBeAParentToAnyDepth(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		type j0 = engine.Joined[int, string]
		type j1 = engine.Joined[j0, string]
		type j2 = engine.Joined[j1, string]
		child := engine.Define[int, string]("child")
		root := engine.Define[int, string]("root")
		first := engine.Define[j0, string]("first")
		second := engine.Define[j1, string]("second")
		one := func(c *engine.Children, n int) { child.Spawn(c, n) }
		outputs := func(e engine.Ended) (s string) {
			for _, r := range child.Results(e) {
				v, _ := r.Get()
				s += v
			}
			return s
		}
		w.executor(workers.Config{},
			engine.Bind(child, func(_ context.Context, n int) (string, error) { return fmt.Sprint(n), nil }),
			engine.BindParentTask(root, func(_ context.Context, n int, c *engine.Children) (string, error) {
				one(c, n)
				return "root", nil
			}, first),
			engine.BindParentTask(first, func(_ context.Context, j j0, c *engine.Children) (string, error) {
				one(c, j.Input+1)
				return j.Output + outputs(j.Children) + " first", nil
			}, second),
			engine.BindParent(second, func(_ context.Context, j j1, c *engine.Children) (string, error) {
				one(c, j.Input.Input+2)
				return j.Output + outputs(j.Children) + " second", nil
			}, func(_ context.Context, j j2) (string, error) {
				return j.Output + outputs(j.Children) + " last", nil
			}))
		h := enqueue(w, root, 1)
		equal(t, "output", result(w, h), "root1 first2 second3 last")
		for _, below := range []string{"", ".f", ".f-f", ".f-f-f"} {
			w.want(h.ID()+below, engine.Completed)
		}
	})
}

func TestFinalizeWithoutAFinalizeOfItsOwnGivesTheParentWhatItGathers(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		child := engine.Define[int, int]("double")
		parent := engine.Define[string, engine.Gathered[string]]("parent")
		last := engine.Define[engine.Joined[string, string], engine.Gathered[string]]("last")
		w.executor(workers.Config{}, engine.Bind(child, func(_ context.Context, n int) (int, error) { return 2 * n, nil }),
			engine.BindParentTask(parent, noChildren, last),
			engine.BindFanOut(last, func(_ context.Context, j engine.Joined[string, string], c *engine.Children) (string, error) {
				child.Spawn(c, 4)
				return "last of " + j.Output, nil
			}))
		out := result(w, enqueue(w, parent, "in"))
		equal(t, "output", out.Output, "last of mid of in")
		v, err := child.Result(out.Children).Get()
		check(t, err)
		equal(t, "child's output", v, 8)
	})
}

func TestParentWithoutChildrenGoesStraightToItsFinalize(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		parent := engine.Define[string, int]("parent")
		w.executor(workers.Config{}, engine.BindParent(parent, noChildren,
			func(_ context.Context, j engine.Joined[string, string]) (int, error) { return len(j.Children), nil }))
		h := enqueue(w, parent, "in")
		equal(t, "children", result(w, h), 0)
		equal(t, "executions", w.count(), 2)
	})
}

func TestParentWithoutChildrenOrFinalizeCompletesWithAnEmptyList(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		parent := engine.Define[string, engine.Gathered[string]]("parent")
		w.executor(workers.Config{}, engine.BindFanOut(parent, noChildren))
		h := enqueue(w, parent, "in")
		out := result(w, h)
		equal(t, "own output", out.Output, "mid of in")
		if out.Children == nil || len(out.Children) != 0 {
			t.Errorf("children = %#v, want an empty list", out.Children)
		}
		p, err := w.client.Output(t.Context(), w.get(h.ID()))
		check(t, err)
		text, err := json.Marshal(p)
		check(t, err)
		equal(t, "output", string(text), `{"childrenOutputs":[],"output":"mid of in"}`)
	})
}

// tooLarge fails unless err says that this size is over the limit.
func tooLarge(t *testing.T, w *world, message string, size int) {
	t.Helper()
	contains(t, "error", message, "too large", fmt.Sprint(size), fmt.Sprint(w.store.Limits().Payload))
}

func TestInputPastTheLimitIsRefusedBeforeAnythingIsStored(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		limit := w.store.Limits().Payload
		task := engine.Define[[]byte, int]("task")
		w.executor(workers.Config{}, engine.Bind(task, func(_ context.Context, b []byte) (int, error) { return len(b), nil }))
		_, err := task.Enqueue(t.Context(), w.client, make([]byte, limit))
		if !errors.Is(err, engine.ErrTooLarge) {
			t.Fatalf("error = %v, want ErrTooLarge", err)
		}
		tooLarge(t, w, err.Error(), limit+5)
		_, err = task.EnqueueMany(t.Context(), w.client, [][]byte{{1}, make([]byte, limit)})
		if !errors.Is(err, engine.ErrTooLarge) {
			t.Fatalf("error = %v, want ErrTooLarge", err)
		}
		equal(t, "executions", w.count(), 0)
		equal(t, "output", result(w, enqueue(w, task, make([]byte, limit-5))), limit-5)
	})
}

func TestChildsInputPastTheLimitFailsTheParentAndNoSiblingIsCreated(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		limit := w.store.Limits().Payload
		child := engine.Define[[]byte, int]("child")
		parent := engine.Define[string, engine.Gathered[int]]("parent", engine.Retry{MaxRetries: 2})
		w.executor(workers.Config{}, engine.Bind(child, returns[[]byte](1)),
			engine.BindFanOut(parent, func(_ context.Context, _ string, c *engine.Children) (int, error) {
				child.Spawn(c, []byte{1})
				child.Spawn(c, make([]byte, limit))
				return 0, nil
			}))
		x := w.ends(enqueue(w, parent, "in").ID(), engine.Failed)
		tooLarge(t, w, x.Failure.Message, limit+5)
		equal(t, "attempt", x.Attempt, 0)
		pass(time.Minute)
		equal(t, "executions", w.count(), 1)
	})
}

func TestOutputPastTheLimitFailsWithoutRetry(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		limit := w.store.Limits().Payload
		task := engine.Define[int, []byte]("task", engine.Retry{MaxRetries: 2})
		w.executor(workers.Config{}, engine.Bind(task, func(_ context.Context, n int) ([]byte, error) { return make([]byte, n), nil }))
		x := w.ends(enqueue(w, task, limit).ID(), engine.Failed)
		tooLarge(t, w, x.Failure.Message, limit+5)
		equal(t, "kind", x.Failure.Kind, engine.KindOutput)
		equal(t, "attempt", x.Attempt, 0)
		equal(t, "output", len(result(w, enqueue(w, task, limit-5))), limit-5)
	})
}

func TestInputAndOutputAtTheLimitFitOneRecordWithAFullHistory(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		limit := w.store.Limits().Payload
		if w.nc != nil {
			limit = (1<<20 - 80<<10) / 2 // the longest payload that is stored in the record itself
		}
		task := engine.Define[[]byte, []byte]("task", engine.Retry{MaxRetries: 20})
		h := enqueue(w, task, make([]byte, limit-5))
		r, err := w.store.Get(t.Context(), h.ID())
		check(t, err)
		var tries []engine.Event // 20 of them, in one write
		for range 20 {
			tries = append(tries, engine.Claimed{At: now(), Executor: strings.Repeat("x", 64)},
				engine.Erred{At: now(), Failure: engine.Failure{Kind: engine.KindError, Message: strings.Repeat("long", 1000)}})
		}
		_, _, err = engine.Move(t.Context(), w.store, r, tries...)
		check(t, err)
		w.executor(workers.Config{}, engine.Bind(task, func(_ context.Context, in []byte) ([]byte, error) { return in, nil }))
		equal(t, "output", len(result(w, h)), limit-5)
		equal(t, "history", len(w.get(h.ID()).History), 20)
	})
}

func TestOutputThatCantBeEncodedFailsWithoutRetry(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[int, any]("task", engine.Retry{MaxRetries: 2})
		w.executor(workers.Config{}, engine.Bind(task, func(context.Context, int) (any, error) { return make(chan int), nil }))
		x := w.ends(enqueue(w, task, 1).ID(), engine.Failed)
		equal(t, "kind", x.Failure.Kind, engine.KindOutput)
		contains(t, "failure", x.Failure.Message, "chan int")
		equal(t, "attempt", x.Attempt, 0)
	})
}

func TestInputThatCantBeEncodedIsRefusedInTheCaller(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[any, int]("task")
		_, err := task.Enqueue(t.Context(), w.client, any(make(chan int)))
		if err == nil {
			t.Fatal("a channel was accepted as an input")
		}
		contains(t, "error", err.Error(), `"task"`, "chan int")
		equal(t, "executions", w.count(), 0)
	})
}

func TestOutputsOfManyChildrenTogetherNeverWedgeTheParent(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		const n = 12
		size := w.store.Limits().Payload / 4 // together far more than the longest message
		child := engine.Define[int, []byte]("child")
		parent := engine.Define[string, int]("parent")
		gathers := engine.Define[string, engine.Gathered[int]]("gathers")
		spawn := func(_ context.Context, _ string, c *engine.Children) (int, error) {
			for i := range n {
				child.Spawn(c, i)
			}
			return n, nil
		}
		w.executor(workers.Config{},
			engine.Bind(child, func(_ context.Context, i int) ([]byte, error) { return make([]byte, size), nil }),
			engine.BindParent(parent, spawn, func(_ context.Context, j engine.Joined[string, int]) (int, error) {
				sum := 0
				for _, r := range child.Results(j.Children) {
					b, err := r.Get()
					if err != nil {
						return 0, err
					}
					sum += len(b)
				}
				return sum, nil
			}),
			engine.BindFanOut(gathers, spawn))
		equal(t, "sum in the finalize", result(w, enqueue(w, parent, "in")), n*size)
		equal(t, "children gathered", len(result(w, enqueue(w, gathers, "in")).Children), n)
	})
}
