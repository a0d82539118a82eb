package semantics_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/workers"
)

// secret is a text that must never be stored unencrypted.
const secret = "the secret of the tests"

// keyed returns a codec that compresses and encrypts. Each id makes a key. k1 and k1:other make
// different keys with the id k1. The first key is the current one.
func keyed(t *testing.T, ids ...string) *codec.Codec {
	t.Helper()
	keys, current := map[string][]byte{}, ""
	for _, id := range ids {
		name, _, _ := strings.Cut(id, ":")
		if current == "" {
			current = name
		}
		keys[name] = fmt.Appendf(nil, "%-32s", id)
	}
	aes, err := codec.AESGCM(current, keys)
	check(t, err)
	c, err := codec.New(codec.Config{Wrappers: []codec.Wrapper{codec.Gzip(0, 0), aes}})
	check(t, err)
	return c
}

// with makes c the codec of the world's client.
func (w *world) with(c *codec.Codec) *world {
	w.client = engine.NewClient(w.store, engine.WithCodec(c))
	return w
}

// keeps fails if a record contains the secret, or a payload that is not encrypted. It returns the
// number of payloads.
func (w *world) keeps(what string) int {
	w.t.Helper()
	n := 0
	for r, err := range w.store.List(w.t.Context(), engine.Filter{}) {
		check(w.t, err)
		list := []codec.Payload{r.Input, r.Output}
		spawns, err := w.store.Spawns(w.t.Context(), r.Execution)
		check(w.t, err)
		for _, s := range spawns {
			list = append(list, s.Input)
		}
		for _, p := range list {
			if p.IsZero() {
				continue
			}
			n++
			if bytes.Contains(p.Data, []byte(secret)) || !strings.Contains(string(p.Type), what) {
				w.t.Errorf("%s: %d bytes of %s, want them %s", r.ID, len(p.Data), p.Type, what)
			}
		}
	}
	return n
}

func TestParentWithChildrenAndFinalizeWorksCompressedAndEncrypted(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		c := keyed(t, "k1")
		w.with(c)
		child := engine.Define[string, string]("child", engine.Retry{MaxRetries: 1})
		parent := engine.Define[string, string]("parent")
		gathers := engine.Define[string, engine.Gathered[string]]("gathers")
		failed := &journal{}
		spawn := func(_ context.Context, in string, kids *engine.Children) (string, error) {
			for i := range 3 {
				child.Spawn(kids, fmt.Sprint(in, i))
			}
			return "mid " + in, nil
		}
		w.executor(workers.Config{Codec: c},
			engine.Bind(child, func(ctx context.Context, in string) (string, error) {
				if engine.FromContext(ctx).Attempt == 0 {
					failed.add("%s", in)
					return "", errLuck
				}
				return in + strings.Repeat(" long", 1000), nil
			}),
			engine.BindParent(parent, spawn, func(_ context.Context, j engine.Joined[string, string]) (string, error) {
				text := j.Input + ", " + j.Output
				for _, r := range child.Results(j.Children) {
					out, err := r.Get()
					if err != nil {
						return "", err
					}
					text += ", " + strings.TrimSuffix(out, strings.Repeat(" long", 1000))
				}
				return text, nil
			}),
			engine.BindFanOut(gathers, spawn))
		equal(t, "output", result(w, enqueue(w, parent, secret)),
			secret+", mid "+secret+", "+secret+"0, "+secret+"1, "+secret+"2")
		out := result(w, enqueue(w, gathers, secret))
		equal(t, "own output", out.Output, "mid "+secret)
		for i, r := range child.Results(out.Children) {
			text, err := r.Get()
			check(t, err)
			equal(t, "output of a child", text, fmt.Sprint(secret, i, strings.Repeat(" long", 1000)))
		}
		equal(t, "attempts that failed", len(failed.all()), 6)
		if n := w.keeps("aes-gcm.k1"); n < 20 {
			t.Errorf("%d payloads, want an input and an output of each", n)
		}
	})
}

func TestSequenceWorksEncrypted(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		c := keyed(t, "k1")
		w.with(c)
		kids := engine.Define[string, string]("kid")
		fan := engine.Define[string, engine.Gathered[string]]("fan")
		last := engine.Define[engine.Gathered[string], string]("last")
		all := engine.Define[string, string]("all")
		w.executor(workers.Config{Codec: c},
			engine.BindSequence(all, engine.Then(fan, last)),
			engine.Bind(kids, func(_ context.Context, in string) (string, error) { return in + "!", nil }),
			engine.BindFanOut(fan, func(_ context.Context, in string, k *engine.Children) (string, error) {
				kids.Spawn(k, in)
				return in, nil
			}),
			engine.Bind(last, func(_ context.Context, g engine.Gathered[string]) (string, error) {
				out, err := kids.Result(g.Children).Get()
				return g.Output + " " + out, err
			}))
		equal(t, "output", result(w, enqueue(w, all, secret)), secret+" "+secret+"!")
		w.keeps("aes-gcm.k1")
	})
}

func TestExecutorWithoutTheKeyLeavesTheExecutionToOneThatHasIt(t *testing.T) {
	for _, c := range []struct{ name, wrong string }{{"another key", "k2"}, {"another key of the same id", "k1:other"}, {"no codec", ""}} {
		t.Run(c.name, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				right := keyed(t, "k1")
				w.with(right)
				var wrong *codec.Codec
				if c.wrong != "" {
					wrong = keyed(t, c.wrong)
				}
				task, ran := engine.Define[string, string]("task"), &journal{}
				code := engine.Bind(task, func(_ context.Context, in string) (string, error) {
					ran.add("%s", in)
					return in, nil
				})
				x := w.executor(workers.Config{Codec: wrong}, code)
				known, fresh := enqueue(w, task, secret+"1", engine.ID("known")), enqueue(w, task, secret+"2")
				pass(10 * time.Minute)
				for _, h := range []engine.Handle[string]{known, fresh} {
					y := w.want(h.ID(), engine.Ready)
					equal(t, "attempt", y.Attempt, 0)
					equal(t, "crashes", y.Crashes, 0)
					equal(t, "history", len(y.History), 0)
					equal(t, "was started", y.StartedAt.IsZero(), true)
				}
				ran.wants(t)
				const message = "an input can't be read here: the execution is left to another executor"
				if n := x.logged(message); n < 30 || n > 90 { // more often at first, until roll calls say that no executor can
					t.Errorf("it was tried %d times in 10 minutes, want every 30 s in the end, for each of two", n)
				}
				line := x.logs.FilterMessage(message).All()[0].ContextMap()
				contains(t, "log", fmt.Sprint(line["error"]), "aes-gcm", "input of")
				w.executor(workers.Config{Codec: right}, code)
				equal(t, "output", result(w, known), secret+"1")
				equal(t, "output", result(w, fresh), secret+"2")
				for _, h := range []engine.Handle[string]{known, fresh} {
					equal(t, "history", len(w.get(h.ID()).History), 1)
				}
				w.keeps("aes-gcm.k1")
			})
		})
	}
}

func TestFinalizeAndStepsAreLeftToAnExecutorWithTheKeysToo(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		// The child is encrypted with a key that the executor of the parent lacks.
		child := engine.Define[string, string]("child", engine.Queue("children"))
		parent := engine.Define[string, string]("parent", engine.Retry{MaxRetries: 3})
		bind := engine.BindParent(parent, func(_ context.Context, in string, k *engine.Children) (int, error) {
			child.Spawn(k, in)
			return 0, nil
		}, func(_ context.Context, j engine.Joined[string, int]) (string, error) {
			return child.Result(j.Children).Get()
		})
		w.with(keyed(t, "k1"))
		w.executor(workers.Config{Codec: keyed(t, "k1")}, bind)
		w.executor(workers.Config{Codec: keyed(t, "k2", "k1"), Queues: map[string]int{"children": 1}},
			engine.Bind(child, func(_ context.Context, in string) (string, error) { return in + "!", nil }))
		h := enqueue(w, parent, secret)
		pass(10 * time.Minute)
		w.want(h.ID(), engine.WaitingForFinalize)
		w.want(h.ID()+".f", engine.Ready)
		w.executor(workers.Config{Codec: keyed(t, "k1", "k2")}, bind)
		equal(t, "output", result(w, h), secret+"!")
	})
}

func TestWaitWithoutTheKeySaysSoAndTheOutputStays(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task")
		right := keyed(t, "k1")
		w.executor(workers.Config{Codec: right}, engine.Bind(task, func(_ context.Context, in string) (string, error) { return in, nil }))
		h := enqueue(w.with(right), task, secret)
		w.ends(h.ID(), engine.Completed)
		for _, wrong := range []*codec.Codec{nil, keyed(t, "k2"), keyed(t, "k1:other")} {
			_, err := task.Handle(engine.NewClient(w.store, engine.WithCodec(wrong)), h.ID()).Wait(t.Context())
			if !errors.Is(err, codec.ErrKey) {
				t.Fatalf("error = %v, want ErrKey", err)
			}
			contains(t, "error", err.Error(), h.ID(), "aes-gcm")
		}
		equal(t, "output", result(w, h), secret)
	})
}

func TestSameIDWithTheSameInputIsTheSameExecutionThoughItIsEncryptedAnew(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[order, string]("task")
		w.with(keyed(t, "k1"))
		tea := order{"tea", 1}
		enqueue(w, task, tea, engine.ID("order"))
		enqueue(w, task, tea, engine.ID("order"))
		enqueue(w.with(keyed(t, "k2", "k1")), task, tea, engine.ID("order")) // the keys were rotated in the meantime
		enqueue(w, task, tea, engine.ID("order"), engine.Encoding{Type: codec.JSON})
		_, err := task.Enqueue(t.Context(), w.client, order{"tea", 2}, engine.ID("order"))
		if !errors.Is(err, engine.ErrIDConflict) {
			t.Errorf("another input: %v, want ErrIDConflict", err)
		}
		_, err = task.Enqueue(t.Context(), engine.NewClient(w.store), tea, engine.ID("order"))
		if !errors.Is(err, codec.ErrKey) || errors.Is(err, engine.ErrIDConflict) {
			t.Errorf("without the key: %v, want ErrKey", err)
		}
		equal(t, "executions", w.count(), 1)
	})
}

func TestTaskChoosesItsEncodingAndTheRecordSaysWhich(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		aes, err := codec.AESGCM("k1", map[string][]byte{"k1": []byte(strings.Repeat("k", 32))})
		check(t, err)
		c, err := codec.New(codec.Config{Type: codec.JSON, Wrappers: []codec.Wrapper{aes}, Apply: []string{}})
		check(t, err)
		w.with(c)
		echo := func(_ context.Context, in string) (string, error) { return in, nil }
		var bindings []engine.Binding
		long := strings.Repeat("long ", 1000)
		for _, x := range []struct {
			name string
			opts []engine.Option
			want codec.Type
		}{
			{"namespace", nil, "application/json"},
			{"msgpack", []engine.Option{engine.Encoding{Type: codec.MsgPack}}, "application/msgpack"},
			{"zipped", []engine.Option{engine.Encoding{Layers: []string{"gzip"}}}, "application/json; enc=gzip"},
			{"sealed", []engine.Option{engine.Encoding{Layers: []string{"aes-gcm", "gzip"}}}, "application/json; enc=gzip+aes-gcm.k1"},
			{"open", []engine.Option{engine.Encoding{Type: codec.JSON, Layers: []string{}}}, "application/json"},
		} {
			task := engine.Define[string, string](x.name, x.opts...)
			bindings = append(bindings, engine.Bind(task, echo))
			enqueue(w, task, long, engine.ID(x.name))
			equal(t, x.name+": input", w.get(x.name).Input.Type, x.want)
		}
		plain := engine.Define[string, string]("plain", engine.Encoding{Layers: []string{}})
		enqueue(w, plain, long, engine.ID("asked"), engine.Encoding{Layers: []string{"aes-gcm"}})
		w.executor(workers.Config{Codec: c}, append(bindings, engine.Bind(plain, echo))...)
		for _, id := range []string{"namespace", "msgpack", "zipped", "sealed", "open", "asked"} {
			x := w.ends(id, engine.Completed)
			equal(t, id+": output", x.Output.Type, x.Input.Type)
			p, err := w.client.Output(t.Context(), x)
			check(t, err)
			var out string
			check(t, p.Decode(&out))
			equal(t, id+": output", out, long)
		}
	})
}

func TestTaskThatMustBeEncryptedIsRefusedWhereThereIsNoKey(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task", engine.Encoding{Layers: []string{"aes-gcm"}})
		_, err := task.Enqueue(t.Context(), w.client, secret)
		if !errors.Is(err, codec.ErrKey) {
			t.Errorf("enqueued: %v, want ErrKey", err)
		}
		contains(t, "error", err.Error(), `"task"`, "aes-gcm")
		_, err = workers.New(w.store, workers.Config{}, engine.Bind(task, returns[string]("out")))
		if !errors.Is(err, codec.ErrKey) {
			t.Errorf("executor: %v, want ErrKey", err)
		}
		equal(t, "executions", w.count(), 0)
	})
}

func TestChildrenOfAnEncryptedInputAreEncrypted(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		aes, err := codec.AESGCM("k1", map[string][]byte{"k1": []byte(strings.Repeat("k", 32))})
		check(t, err)
		c, err := codec.New(codec.Config{Wrappers: []codec.Wrapper{aes}, Apply: []string{}})
		check(t, err)
		w.with(c)
		child := engine.Define[string, string]("child")
		parent := engine.Define[string, string]("parent")
		w.executor(workers.Config{Codec: c},
			engine.Bind(child, func(_ context.Context, in string) (string, error) { return in, nil }),
			engine.BindParent(parent, func(_ context.Context, in string, k *engine.Children) (string, error) {
				child.Spawn(k, in)
				return in, nil
			}, func(_ context.Context, j engine.Joined[string, string]) (string, error) { return j.Input, nil }))
		h := enqueue(w, parent, secret, engine.Encoding{Layers: []string{"aes-gcm"}})
		equal(t, "output", result(w, h), secret)
		w.keeps("aes-gcm.k1")
	})
}

func TestDamagedInputFailsForGoodAndSaysSo(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task", engine.Retry{MaxRetries: 3})
		w.executor(workers.Config{}, engine.Bind(task, returns[string]("out")))
		x := engine.Execution{
			ID: "bad", Task: "task", Queue: engine.DefaultQueue, Status: engine.Ready, CreatedAt: now(), StartAt: now(), Validated: true,
			Input: codec.Payload{Type: "application/msgpack; enc=gzip", Data: []byte("no gzip")}, Policy: engine.Policy{Retry: engine.Retry{MaxRetries: 3}},
		}
		check(t, w.store.Enqueue(t.Context(), engine.Due{Execution: x}))
		y := w.ends("bad", engine.Failed)
		equal(t, "kind", y.Failure.Kind, engine.KindInvalidInput)
		equal(t, "attempt", y.Attempt, 0)
		contains(t, "failure", y.Failure.Message, "input of bad", "gzip")
	})
}

func TestWhatWakesAnEncryptedExecutionIsEncrypted(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.with(keyed(t, "k1"))
		ask := engine.DefineSleeping[string, string]("ask")
		w.executor(workers.Config{}) // an executor needs no key to put it to sleep
		h := enqueue(w, ask.Task, secret)
		pass(time.Second)
		check(t, ask.Wake(t.Context(), w.client, h.ID(), secret))
		equal(t, "output", result(w, h), secret)
		equal(t, "payloads", w.keeps("aes-gcm.k1"), 2)

		other := enqueue(w, ask.Task, secret)
		pass(time.Second)
		if err := ask.Wake(t.Context(), engine.NewClient(w.store), other.ID(), secret); !errors.Is(err, codec.ErrKey) {
			t.Errorf("wake without the key: %v, want %v", err, codec.ErrKey)
		}
		w.want(other.ID(), engine.Running)
	})
}

func TestExecutorsTellWhichKeyIsMissing(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task")
		bind := engine.Bind(task, func(_ context.Context, in string) (string, error) { return in, nil })
		w.executor(workers.Config{Codec: keyed(t, "k1")}, bind)
		h := enqueue(w.with(keyed(t, "k2")), task, secret)
		missing := func() (list []string) {
			answers, err := w.store.RollCall(t.Context(), engine.RollCall{})
			check(t, err)
			for _, a := range answers {
				for what := range a.Failing {
					if strings.HasPrefix(what, engine.NoKey) {
						list = append(list, what)
					}
				}
			}
			return list
		}
		equal(t, "missing at first", len(missing()), 0)
		pass(time.Minute)
		if got := missing(); len(got) != 1 || !strings.Contains(got[0], `"k2"`) || !strings.Contains(got[0], "aes-gcm") {
			t.Errorf("missing %q, want key k2 of aes-gcm", got)
		}
		w.executor(workers.Config{Codec: keyed(t, "k2", "k1")}, bind)
		equal(t, "output", result(w, h), secret)
		pass(2 * time.Minute)
		equal(t, "missing at the end", len(missing()), 0)
	})
}
