package semantics_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/workers"
)

func (w *world) streams() map[string]jetstream.StreamState { return streamsOf(w.t, w.nc) }

// streamsOf returns the state of each stream of the namespace.
func streamsOf(t testing.TB, nc *nats.Conn) map[string]jetstream.StreamState {
	t.Helper()
	js, err := jetstream.New(nc)
	check(t, err)
	states := map[string]jetstream.StreamState{}
	for name, stream := range map[string]string{
		"ready": "durable-ready", "timers": "durable-timers", "control": "durable-control", "records": "KV_durable-executions",
	} {
		s, err := js.Stream(t.Context(), stream)
		check(t, err)
		states[name] = s.CachedInfo().State
	}
	return states
}

// stored returns how many messages each stream of the namespace has ever stored.
func (w *world) stored() map[string]int {
	w.t.Helper()
	counts := map[string]int{}
	for name, state := range w.streams() {
		counts[name] = int(state.LastSeq)
	}
	return counts
}

// kept returns how many messages there are in all streams, not counting the key that
// executors use to take turns at looking for overdue timers.
func (w *world) kept() int {
	w.t.Helper()
	n := 0
	for _, state := range w.streams() {
		n += int(state.Msgs)
	}
	js, err := jetstream.New(w.nc)
	check(w.t, err)
	s, err := js.Stream(w.t.Context(), "KV_durable-executions")
	check(w.t, err)
	if _, err := s.GetLastMsgForSubject(w.t.Context(), "$KV.durable-executions.=overdue"); err == nil {
		n--
	}
	return n
}

// hears counts the messages that are published on a subject, by the word that word returns.
func (w *world) hears(subject string, word func(*nats.Msg) string) func() map[string]int {
	w.t.Helper()
	var mu sync.Mutex
	counts := map[string]int{}
	sub, err := w.nc.Subscribe(subject, func(m *nats.Msg) {
		mu.Lock()
		defer mu.Unlock()
		counts[word(m)]++
	})
	check(w.t, err)
	w.t.Cleanup(func() { check(w.t, sub.Unsubscribe()) })
	return func() map[string]int {
		mu.Lock()
		defer mu.Unlock()
		return maps.Clone(counts)
	}
}

func TestShortRootTaskStoresTwoMessagesAndMakesOneAckAndReadsNothing(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("short")
		w.executor(workers.Config{}, engine.Bind(task, returns[string]("out")))
		pass(time.Second)
		acks := w.hears("$JS.ACK.>", func(m *nats.Msg) string { return string(m.Data) })
		calls := w.hears("$JS.API.>", func(m *nats.Msg) string {
			return strings.Join(strings.Split(m.Subject, ".")[2:5], ".")
		})
		js, err := jetstream.New(w.nc)
		check(t, err)
		delivered := func() int {
			c, err := js.Consumer(t.Context(), "durable-ready", "queue-default")
			check(t, err)
			return int(c.CachedInfo().Delivered.Consumer)
		}
		before, already := w.stored(), delivered()

		const n = 10
		for range n {
			enqueue(w, task, "in")
			pass(time.Second)
		}
		asked := calls()

		after := w.stored()
		for name, want := range map[string]int{"ready": n, "records": n, "control": 0, "timers": 0} {
			equal(t, "messages stored in "+name, after[name]-before[name], want)
		}
		equal(t, "deliveries", delivered()-already, n)
		equal(t, "acks", fmt.Sprint(acks()), fmt.Sprint(map[string]int{"+ACK": n}))
		for call, count := range asked {
			// Pulls are not reads, and the info requests are this test's own.
			if call != "CONSUMER.MSG.NEXT" && !strings.HasPrefix(call, "STREAM.INFO") && !strings.HasPrefix(call, "CONSUMER.INFO") {
				t.Errorf("%d calls of %s, want none: it reads nothing", count, call)
			}
		}
		equal(t, "executions", w.count(), n)
	})
}

func TestParentOfAThousandIsWrittenFarFewerThanAThousandTimes(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		const n = 1000
		child := engine.Define[int, int]("child")
		parent := engine.Define[int, engine.Gathered[int]]("parent")
		var lines []*tap
		for range 4 {
			x := w.tapped(workers.Config{Slots: 100},
				engine.Bind(child, func(_ context.Context, i int) (int, error) {
					time.Sleep(time.Duration(i%7) * time.Second) // the children end in another order than they began
					return 10 * i, nil
				}),
				engine.BindFanOut(parent, func(_ context.Context, n int, c *engine.Children) (int, error) {
					for i := range n {
						child.Spawn(c, i)
					}
					return n, nil
				}))
			lines = append(lines, x.tap)
		}
		began := time.Now()
		out := result(w, enqueue(w, parent, n, engine.ID("p")))
		took := time.Since(began)
		equal(t, "children", len(out.Children), n)
		for i, r := range child.Results(out.Children) {
			v, err := r.Get()
			check(t, err)
			if v != 10*i || r.Child.Index != i {
				t.Fatalf("output %d = %d of child %d, want %d", i, v, r.Child.Index, 10*i)
			}
		}
		writes := 0
		for _, line := range lines {
			writes += line.written("p")
		}
		// Children end at full seconds. Each second, an executor writes the parent once for
		// the first closures that it receives, and once for those that gather during that
		// write. It does not let the last few dozen gather. The parent's own attempt and the
		// last closure cost two more writes.
		most := 4*2*(int(took/time.Second)+1) + 32 + 2
		t.Logf("%d writes of the parent's record in %s, at most %d", writes, took, most)
		if writes > min(most, n/4) {
			t.Errorf("%d writes of the parent's record, want at most %d", writes, min(most, n/4))
		}
	})
}

func TestParentOfTenThousandCompletes(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	run(t, func(t *testing.T, w *world) {
		const n = 10_000
		child := engine.Define[int, int]("child")
		parent := engine.Define[int, int]("parent")
		for range 4 {
			w.executor(workers.Config{},
				engine.Bind(child, func(_ context.Context, i int) (int, error) { return i, nil }),
				engine.BindParent(parent, func(_ context.Context, n int, c *engine.Children) (int, error) {
					for i := range n {
						child.Spawn(c, i)
					}
					return n, nil
				}, func(_ context.Context, j engine.Joined[int, int]) (int, error) {
					sum := 0
					for i, r := range child.Results(j.Children) {
						if v, err := r.Get(); err != nil || v != i {
							return 0, fmt.Errorf("child %d: %d, %w", i, v, err)
						}
						sum++
					}
					return sum, nil
				}, engine.NoTimeout))
		}
		equal(t, "children", result(w, enqueue(w, parent, n)), n)
	})
}

// TestIdleExecutorAsksFiveTimesInHalfALease counts the requests of idle executors: one for each
// pull that ends. An executor of one queue has five pulls (ready, timers, closures, cancels,
// expiries). All other requests belong to periodic duties.
func TestIdleExecutorAsksFiveTimesInHalfALease(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		task := engine.Define[int, int]("task")
		for range 2 {
			w.executor(workers.Config{Slots: 64}, engine.Bind(task, returns[int](1)))
		}
		pass(time.Minute)
		asked := w.hears("$JS.API.>", func(m *nats.Msg) string {
			if strings.HasPrefix(m.Subject, "$JS.API.CONSUMER.MSG.NEXT.") {
				return "pulls"
			}
			return "others"
		})
		pass(time.Hour)
		half := w.store.Limits().Lease / 2
		counts := asked()
		if most := 2 * 5 * int(time.Hour/half); counts["pulls"] > most || counts["pulls"] < most/2 {
			t.Errorf("two idle executors made %d pulls in an hour, want %d at most, and half as many at least", counts["pulls"], most)
		}
		t.Logf("two executors, an hour: %v", counts)
	})
}
