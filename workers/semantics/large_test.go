package semantics_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/jstest"
	"github.com/durable-execution/durable/workers"
)

// large is many times the length of the longest message in these tests.
const large = 20 << 20 / sparing

// onLarge calls fn in a world on JetStream that accepts large payloads.
func onLarge(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	if testing.Short() {
		t.Skip("moves hundreds of megabytes")
	}
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		s, err := jsstore.Open(t.Context(), nc, jsstore.Config{})
		check(t, err)
		t.Cleanup(func() { check(t, s.Close()) })
		if most := nc.MaxPayload(); most*20/sparing > large {
			t.Fatalf("a message may have %d bytes: the test tests less than it says", most)
		}
		fn(t, newWorld(t, s, nc))
	})
}

// noise returns n bytes that do not repeat, so that they can't be compressed or shared.
func noise(n int, seed uint64) []byte {
	b := make([]byte, n)
	for i := range b {
		seed = seed*6364136223846793005 + 1442695040888963407
		b[i] = byte(seed >> 56)
	}
	return b
}

func isNoise(t *testing.T, what string, got []byte, n int, seed uint64) {
	t.Helper()
	if !bytes.Equal(got, noise(n, seed)) {
		t.Errorf("%s: %d bytes, and not those that were given, which are %d", what, len(got), n)
	}
}

func TestLargeInputAndOutputGoThroughARetryUnharmed(t *testing.T) {
	onLarge(t, func(t *testing.T, w *world) {
		task := engine.Define[[]byte, []byte]("task", engine.Retry{MaxRetries: 1, BaseDelay: time.Minute})
		w.executor(workers.Config{}, engine.Bind(task, func(ctx context.Context, in []byte) ([]byte, error) {
			isNoise(t, "input", in, large, 1)
			if engine.FromContext(ctx).Attempt == 0 {
				return nil, errLuck
			}
			return noise(large, 2), nil
		}))
		in := noise(large, 1)
		h := enqueue(w, task, in, engine.ID("x"))
		isNoise(t, "output", result(w, h), large, 2)
		enqueue(w, task, in, engine.ID("x")) // the input counts as the same
		_, err := task.Enqueue(t.Context(), w.client, noise(large, 3), engine.ID("x"))
		if !errors.Is(err, engine.ErrIDConflict) {
			t.Errorf("another input: %v, want ErrIDConflict", err)
		}
		equal(t, "executions", w.count(), 1)
		delayed := enqueue(w, task, in, engine.Delay(time.Hour)) // through a timer
		isNoise(t, "output", result(w, delayed), large, 2)
	})
}

func TestLargePayloadsOfALoneRootGoWithIt(t *testing.T) {
	onLarge(t, func(t *testing.T, w *world) {
		task := engine.Define[[]byte, []byte]("task", engine.Retention(time.Minute))
		w.executor(workers.Config{}, engine.Bind(task, func(_ context.Context, in []byte) ([]byte, error) { return in[1:], nil }))
		out := result(w, enqueue(w, task, append([]byte{0}, noise(large, 1)...)))
		isNoise(t, "output", out, large, 1)
		pass(25 * time.Hour) // an active tree delays its expiry by a day
		equal(t, "messages kept", w.kept(), 1)
	})
}

func TestLargePayloadsGoThroughParentChildrenAndFinalizeUnharmed(t *testing.T) {
	onLarge(t, func(t *testing.T, w *world) {
		const kids = 2
		c := keyed(t, "k1") // encrypted noise is as long
		w.with(c)
		child := engine.Define[[]byte, []byte]("child")
		parent := engine.Define[[]byte, []byte]("parent")
		w.executor(workers.Config{Codec: c, Slots: 2},
			engine.Bind(child, func(_ context.Context, in []byte) ([]byte, error) {
				i := int(in[0])
				isNoise(t, fmt.Sprint("input of child ", i), in[1:], large, uint64(i))
				return noise(large, 10+uint64(i)), nil
			}),
			engine.BindParent(parent, func(_ context.Context, in []byte, k *engine.Children) ([]byte, error) {
				isNoise(t, "input of the parent", in, large, 20)
				for i := range kids {
					child.Spawn(k, append([]byte{byte(i)}, noise(large, uint64(i))...))
				}
				return noise(large, 21), nil
			}, func(_ context.Context, j engine.Joined[[]byte, []byte]) ([]byte, error) {
				isNoise(t, "parent's input in the finalize", j.Input, large, 20)
				isNoise(t, "parent's output in the finalize", j.Output, large, 21)
				for i, r := range child.Results(j.Children) {
					out, err := r.Get()
					if err != nil {
						return nil, err
					}
					isNoise(t, fmt.Sprint("output of child ", i), out, large, 10+uint64(i))
				}
				return noise(large, 22), nil
			}))
		h := enqueue(w, parent, noise(large, 20))
		isNoise(t, "output", result(w, h), large, 22)
		x := w.get(h.ID())
		equal(t, "input in the record", x.Input.Type, codec.Type("application/msgpack; enc=aes-gcm.k1+blob"))
		if n := len(x.Input.Data) + len(x.Output.Data); n > 300 {
			t.Errorf("the record has %d bytes of payloads, want references", n)
		}
	})
}

func TestLargePayloadsGoThroughASequenceUnharmed(t *testing.T) {
	onLarge(t, func(t *testing.T, w *world) {
		first := engine.Define[[]byte, []byte]("first")
		fan := engine.Define[[]byte, engine.Gathered[[]byte]]("fan")
		kid := engine.Define[int, []byte]("kid")
		last := engine.Define[engine.Gathered[[]byte], []byte]("last")
		all := engine.Define[[]byte, []byte]("all")
		w.executor(workers.Config{},
			engine.BindSequence(all, engine.Then(engine.Then(first, fan), last)),
			engine.Bind(first, func(_ context.Context, in []byte) ([]byte, error) {
				isNoise(t, "input of the first step", in, large, 1)
				return noise(large, 2), nil
			}),
			engine.BindFanOut(fan, func(_ context.Context, in []byte, k *engine.Children) ([]byte, error) {
				isNoise(t, "input of the second step", in, large, 2)
				kid.Spawn(k, 3)
				return noise(large, 4), nil
			}),
			engine.Bind(kid, func(_ context.Context, seed int) ([]byte, error) { return noise(large, uint64(seed)), nil }),
			engine.Bind(last, func(_ context.Context, g engine.Gathered[[]byte]) ([]byte, error) {
				isNoise(t, "output of the second step", g.Output, large, 4)
				out, err := kid.Result(g.Children).Get()
				isNoise(t, "output of its child", out, large, 3)
				return out, err
			}))
		isNoise(t, "output", result(w, enqueue(w, all, noise(large, 1))), large, 3)
	})
}

func TestLargePayloadsSurviveAnExecutorThatDies(t *testing.T) {
	onLarge(t, func(t *testing.T, w *world) {
		task := engine.Define[[]byte, []byte]("task")
		parent := engine.Define[[]byte, engine.Gathered[int]]("parent")
		bs := []engine.Binding{
			engine.Bind(task, func(_ context.Context, in []byte) ([]byte, error) {
				isNoise(t, "input", in, large, 1)
				return in, nil
			}),
			engine.BindFanOut(parent, func(_ context.Context, in []byte, k *engine.Children) (int, error) {
				task.Spawn(k, in)
				return 0, nil
			}),
		}
		// The executor dies after it has written the record that refers to the child's input, and
		// before it spawns the child.
		x := w.tapped(workers.Config{}, bs...)
		x.tap.on(func(call, _ string) error {
			if call == "SpawnChildren" {
				x.tap.kill()
			}
			return nil
		})
		h := enqueue(w, parent, noise(large, 1))
		pass(time.Second)
		w.want(h.ID(), engine.WaitingForChildren)
		w.executor(workers.Config{}, bs...)
		out, err := task.Result(result(w, h).Children).Get()
		check(t, err)
		isNoise(t, "output", out, large, 1)
	})
}

func TestLargeInputIsTheNewTreesOwnWhenOneIsStartedAgain(t *testing.T) {
	onLarge(t, func(t *testing.T, w *world) {
		w.with(keyed(t, "k1"))
		task, fixed := engine.Define[[]byte, []byte]("task"), false
		w.executor(workers.Config{Codec: keyed(t, "k1")}, engine.Bind(task, func(_ context.Context, in []byte) ([]byte, error) {
			isNoise(t, "input", in, large, 1)
			if !fixed {
				return nil, errLuck
			}
			return in, nil
		}))
		h := enqueue(w, task, noise(large, 1))
		w.ends(h.ID(), engine.Failed)
		fixed = true
		next, err := w.client.Retry(t.Context(), h.ID(), nil)
		check(t, err)
		js, err := jetstream.New(w.nc)
		check(t, err)
		bucket, err := js.Stream(t.Context(), "KV_durable-executions")
		check(t, err)
		check(t, bucket.Purge(t.Context(), jetstream.WithPurgeSubject("$KV.durable-executions."+h.ID()+".>")))
		isNoise(t, "output", result(w, task.Handle(w.client, next)), large, 1)
	})
}

func TestLargeOutputWakesAnExecutionOfLargeInput(t *testing.T) {
	onLarge(t, func(t *testing.T, w *world) {
		w.with(keyed(t, "k1"))
		ask := engine.DefineSleeping[[]byte, []byte]("ask")
		w.executor(workers.Config{})
		h := enqueue(w, ask.Task, noise(large, 1))
		pass(time.Second)
		check(t, ask.Wake(t.Context(), w.client, h.ID(), noise(large, 2)))
		isNoise(t, "output", result(w, h), large, 2)
	})
}
