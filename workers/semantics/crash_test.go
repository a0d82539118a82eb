package semantics_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/storetest"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/jstest"
	"github.com/durable-execution/durable/workers"
)

// crashEvery reduces the number of crashes on JetStream, where each takes 60 ms, or 200 ms with
// the race detector.
var crashEvery = flag.Int("crash-every", 2, "on JetStream crash at every k-th store call only; 1 is all of them")

// plotRetention is how long the tree of a plot is kept: longer than the test reads it.
const plotRetention = 10 * time.Minute

// A plot is a tree, whose root has the id r, and what happens to it.
type plot struct {
	name     string
	bindings []engine.Binding
	begin    func(ctx context.Context, c *engine.Client) error
	// cancels says to cancel the root when all executions run.
	cancels bool
	root    engine.Status
}

func plots() []plot {
	root := engine.Define[string, string]("root")
	middle := engine.Define[string, string]("middle")
	flaky := engine.Define[string, string]("flaky", engine.Retry{MaxRetries: 1, BaseDelay: 2 * time.Second})
	begin := func(ctx context.Context, c *engine.Client) error {
		_, err := root.Enqueue(ctx, c, "in", engine.ID("r"), engine.Retention(plotRetention))
		return err
	}
	leaves := []engine.Binding{engine.Bind(kids, grow), engine.BindParent(middle, spawns(kid{After: time.Hour}), joins)}
	return []plot{
		{
			name: "completed", root: engine.Completed, begin: begin,
			bindings: append([]engine.Binding{
				engine.Bind(flaky, func(ctx context.Context, in string) (string, error) {
					if engine.FromContext(ctx).Attempt == 0 {
						return "", errLuck
					}
					return "out of " + in, nil
				}),
				engine.BindParent(root, func(_ context.Context, in string, c *engine.Children) (string, error) {
					kids.Spawn(c, kid{After: 200 * time.Millisecond})
					flaky.Spawn(c, in)
					return "mid of " + in, nil
				}, func(_ context.Context, j engine.Joined[string, string]) (string, error) {
					a, err := kids.Result(j.Children).Get()
					b, err2 := flaky.Result(j.Children).Get()
					return strings.Join([]string{j.Input, j.Output, a, b}, ", "), errors.Join(err, err2)
				}),
			}, leaves...),
		},
		{
			name: "cancelled", root: engine.Cancelled, begin: begin, cancels: true,
			bindings: append([]engine.Binding{
				engine.BindParent(root, func(_ context.Context, in string, c *engine.Children) (string, error) {
					kids.Spawn(c, kid{After: time.Hour})
					middle.Spawn(c, in)
					kids.Spawn(c, kid{}, engine.Delay(time.Hour))
					return in, nil
				}, joins),
			}, leaves...),
		},
		{
			name: "fail-fast", root: engine.ChildrenFailed, begin: begin,
			bindings: append([]engine.Binding{
				engine.BindParent(root, func(_ context.Context, in string, c *engine.Children) (string, error) {
					// Late enough for all children to run, even if a crash delays some by a lease.
					kids.Spawn(c, kid{After: 40 * time.Second, Fails: true})
					middle.Spawn(c, in)
					kids.Spawn(c, kid{After: time.Hour})
					return in, nil
				}, joins),
			}, leaves...),
		},
	}
}

// play runs a plot on an executor that dies in its n-th store call, and on a second executor,
// which starts at the same time if together is set, and otherwise when the first has died. It
// returns how each execution ended, and whether the first executor died. No work may be left at
// the end, and no record after the retention.
func (w *world) play(p plot, n int, mode storetest.Mode, together bool) (ends []string, died bool) {
	w.t.Helper()
	line := storetest.Crashing(w.store, n, mode)
	mortal := w.start(line, workers.Config{Name: "mortal", Drain: workers.NoDrain}, p.bindings)
	var second *executor
	if together {
		second = w.executor(workers.Config{Name: "second", Drain: workers.NoDrain}, p.bindings...)
	}
	takesOver := func() {
		if died {
			return
		}
		select {
		case <-line.Crashed():
			died = true
			mortal.stop()
			if second != nil {
				return
			}
			second = w.executor(workers.Config{Name: "second", Drain: workers.NoDrain}, p.bindings...)
		default:
		}
	}
	check(w.t, p.begin(w.t.Context(), w.client))
	if p.cancels {
		pass(5 * time.Second)
		if takesOver(); died || together {
			pass(2 * time.Minute) // until all executions run again
		}
		check(w.t, w.client.Cancel(w.t.Context(), "r", "enough"))
	}
	pass(2 * time.Minute)
	takesOver()
	w.ends("r", p.root)
	pass(2 * time.Minute)

	for x, err := range w.client.List(w.t.Context(), engine.Filter{Tree: "r"}) {
		check(w.t, err)
		x = w.get(x.ID)
		end := fmt.Sprintf("%s of %s: %s, attempt %d, closed %v", x.ID, x.Task, x.Status, x.Attempt, x.Closed)
		if x.Status == engine.Completed {
			out, err := w.client.Output(w.t.Context(), x)
			check(w.t, err)
			text, err := json.Marshal(out)
			check(w.t, err)
			end += ": " + string(text)
		} else if x.Failure != nil && x.Failure.Kind != engine.KindCancelled { // the reason of a cancellation depends on which one was heard first
			end += ": " + x.Failure.Message
		}
		ends = append(ends, end)
	}
	slices.Sort(ends)

	removed := w.get("r").FinishedAt.Add(plotRetention + 2*lease)
	pass(time.Until(removed) - time.Second)
	equal(w.t, "executions before the retention is over", w.count(), len(ends))
	pass(time.Second + late)
	takesOver()
	pass(2 * time.Minute)
	equal(w.t, "executions after it", w.count(), 0)
	mortal.stop()
	<-mortal.done
	if second != nil {
		second.stop()
		<-second.done
	}
	if w.nc == nil {
		w.quiet()
	}
	return ends, died
}

func TestCrashAtEveryStoreCallLosesNothing(t *testing.T) {
	for _, p := range plots() {
		t.Run(p.name, func(t *testing.T) {
			for _, mode := range []storetest.Mode{storetest.Before, storetest.After} {
				t.Run(string(mode), func(t *testing.T) {
					t.Run("memstore", func(t *testing.T) { crashEverywhere(t, p, mode, 1, onMemstore) })
					t.Run("jetstream", func(t *testing.T) {
						jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
							crashEverywhere(t, p, mode, *crashEvery*sparing, onNamespaceOf(t, nc))
						})
					})
				})
			}
		})
	}
}

// crashEverywhere plays p once without a crash, and then once for each k-th store call of an
// executor, with a crash there. Each has a world of its own.
func crashEverywhere(t *testing.T, p plot, mode storetest.Mode, k int, in func(*testing.T, func(*testing.T, *world))) {
	t.Helper()
	var want []string
	in(t, func(t *testing.T, w *world) { want, _ = w.play(p, 0, mode, false) })
	first := 1
	if mode == storetest.After {
		first = 1 + k/2 // between the calls that storetest.Before uses
	}
	crashes := 0
	for n, died := first, true; died && !t.Failed(); n += k {
		in(t, func(t *testing.T, w *world) {
			var ends []string
			if ends, died = w.play(p, n, mode, false); died {
				crashes++
			}
			same(t, fmt.Sprintf("crash %s call %d", mode, n), ends, want)
		})
	}
	t.Logf("%d crashes; every execution ended as without one:\n%s", crashes, strings.Join(want, "\n"))
	if crashes < 20/k {
		t.Errorf("%d crashes, want all of a tree's life", crashes)
	}
}

// same fails unless all executions ended as in want.
func same(t *testing.T, when string, ends, want []string) {
	t.Helper()
	if !slices.Equal(ends, want) {
		t.Errorf("%s:\n%s\nwithout a crash:\n%s", when, strings.Join(ends, "\n"), strings.Join(want, "\n"))
	}
}

func TestCrashAtEveryStoreCallBesideAnotherExecutorLosesNothing(t *testing.T) {
	for _, p := range plots() {
		for _, mode := range []storetest.Mode{storetest.Before, storetest.After} {
			t.Run(p.name+"/"+string(mode), func(t *testing.T) {
				var want []string
				onMemstore(t, func(t *testing.T, w *world) { want, _ = w.play(p, 0, mode, false) })
				// Chance decides how many of the calls the mortal executor makes.
				for n, crashes := 1, 0; n <= 100 && !t.Failed(); n++ {
					onMemstore(t, func(t *testing.T, w *world) {
						ends, died := w.play(p, n, mode, true)
						if died {
							crashes++
						}
						same(t, fmt.Sprintf("crash %s call %d", mode, n), ends, want)
					})
				}
			})
		}
	}
}

// onNamespaceOf makes worlds on one server, each with its own namespace. That is ten times as fast
// as a server for each. No messages may be left in the streams.
func onNamespaceOf(t *testing.T, nc *nats.Conn) func(*testing.T, func(*testing.T, *world)) {
	t.Helper()
	js, err := jetstream.New(nc)
	check(t, err)
	// With the last stream, the server removes a directory that the next stream is about to need.
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "stays"})
	check(t, err)
	made := 0
	return func(t *testing.T, fn func(*testing.T, *world)) {
		t.Helper()
		made++
		name := fmt.Sprint("world-", made)
		s, err := jsstore.Open(t.Context(), nc, jsstore.Config{Namespace: name})
		check(t, err)
		fn(t, newWorld(t, s, nc))
		check(t, s.Close())
		for _, stream := range []string{name + "-ready", name + "-timers", name + "-control", "KV_" + name + "-executions"} {
			st, err := js.Stream(t.Context(), stream)
			check(t, err)
			want := uint64(0)
			if strings.HasPrefix(stream, "KV_") {
				want = 1 // the namespace's own record
			}
			if left := st.CachedInfo().State.Msgs; left != want {
				t.Errorf("%d messages left in %s, want %d", left, stream, want)
			}
			check(t, js.DeleteStream(t.Context(), stream))
		}
	}
}
