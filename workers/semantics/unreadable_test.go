package semantics_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/workers"
)

const recordSubject = "$KV.durable-executions."

// publish stores a message without using the engine.
func (w *world) publish(m *nats.Msg) {
	w.t.Helper()
	js, err := jetstream.New(w.nc)
	check(w.t, err)
	_, err = js.PublishMsg(w.t.Context(), m)
	check(w.t, err)
}

// record returns the stored fields of a record.
func (w *world) record(id string) map[string]any {
	w.t.Helper()
	js, err := jetstream.New(w.nc)
	check(w.t, err)
	s, err := js.Stream(w.t.Context(), "KV_durable-executions")
	check(w.t, err)
	m, err := s.GetLastMsgForSubject(w.t.Context(), recordSubject+id)
	check(w.t, err)
	var fields map[string]any
	check(w.t, codec.UnmarshalRecord(m.Data, &fields))
	return fields
}

// rewrite stores a record with changed fields, like another version.
func (w *world) rewrite(id string, fields map[string]any) {
	w.t.Helper()
	all := w.record(id)
	for name, value := range fields {
		all[name] = value
	}
	data, err := codec.Marshal(all)
	check(w.t, err)
	w.publish(&nats.Msg{Subject: recordSubject + id, Data: data})
}

// aside returns the Place of each dead letter.
func (w *world) aside() []string {
	w.t.Helper()
	var list []string
	for a, err := range w.store.Aside(w.t.Context()) {
		check(w.t, err)
		list = append(list, a.Place)
	}
	return list
}

// nothingWaits fails if any message is left.
func (w *world) nothingWaits() {
	w.t.Helper()
	for name, state := range w.streams() {
		if name != "records" && state.Msgs > 0 {
			w.t.Errorf("%d messages left in %s, want none", state.Msgs, name)
		}
	}
}

// TestWhatLeadsToADamagedRecordIsSetAside cuts records in half: the record of a parent whose child
// ends, of a running attempt, of an execution that waits for its retry, of one that is cancelled,
// and of a root whose retention is over. No executor loops, the messages that need these records
// are set aside, and all other executions continue.
func TestWhatLeadsToADamagedRecordIsSetAside(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		child := engine.Define[int, int]("child", engine.Delay(10*time.Second))
		parent := engine.Define[int, engine.Gathered[int]]("parent", engine.Retention(time.Hour))
		long := engine.Define[int, int]("long")
		flaky := engine.Define[int, int]("flaky", engine.Retry{MaxRetries: 1, BaseDelay: 10 * time.Second})
		var stopped error
		x := w.executor(workers.Config{Slots: 3},
			engine.Bind(child, returns[int](1)),
			engine.BindFanOut(parent, func(_ context.Context, n int, c *engine.Children) (int, error) {
				child.Spawn(c, n)
				return n, nil
			}),
			engine.Bind(long, func(ctx context.Context, _ int) (int, error) {
				<-ctx.Done()
				stopped = context.Cause(ctx)
				return 0, stopped
			}),
			engine.Bind(flaky, fails[int, int](errLuck)))
		enqueue(w, parent, 1, engine.ID("parent"))
		enqueue(w, long, 1, engine.ID("long"))
		enqueue(w, flaky, 1, engine.ID("flaky"))
		done := enqueue(w, parent, 1, engine.ID("done"))
		pass(time.Second)
		for _, id := range []string{"parent", "long", "flaky"} {
			data, err := codec.Marshal(w.record(id))
			check(t, err)
			w.publish(&nats.Msg{Subject: recordSubject + id, Data: data[:len(data)/2]})
		}
		check(t, w.store.Cancel(t.Context(), engine.Cancel{ID: "flaky", At: now(), Reason: "why"}))

		other := enqueue(w, parent, 2)
		result(w, other)
		result(w, done)
		w.publish(&nats.Msg{Subject: recordSubject + "done", Data: []byte{0x80}})
		pass(3 * time.Hour)

		got := w.aside()
		slices.Sort(got)
		want := []string{
			// Messages.
			"durable.cancel.flaky", "durable.closure.parent", "durable.due.=expire.done", "durable.due.default.flaky.flaky", "durable.ready.default.long.long",
			// Records.
			recordSubject + "done", recordSubject + "flaky", recordSubject + "long", recordSubject + "parent",
		}
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("aside: %q\nwant %q", got, want)
		}
		if stopped == nil {
			t.Error("the attempt goes on whose record is damaged, want it stopped")
		}
		w.nothingWaits()
		equal(t, "logged as set aside", x.logged("messages are set aside: the record that they need is damaged"), 5)
		if n := x.Stats().Running; n != 0 {
			t.Errorf("%d attempts run, want none", n)
		}
	})
}

// TestWhatALaterVersionHasWrittenIsLeftToIt makes all records say that a reader needs the next
// version.
func TestWhatALaterVersionHasWrittenIsLeftToIt(t *testing.T) {
	onJetStream(t, func(t *testing.T, w *world) {
		child := engine.Define[int, int]("child")
		parent := engine.Define[int, engine.Gathered[int]]("parent", engine.Retention(time.Hour))
		flaky := engine.Define[int, int]("flaky", engine.Retry{MaxRetries: 1, BaseDelay: 10 * time.Second})
		ran := &journal{}
		w.executor(workers.Config{Slots: 2},
			engine.Bind(child, returns[int](1)),
			engine.BindFanOut(parent, func(_ context.Context, n int, c *engine.Children) (int, error) {
				ran.add("parent")
				child.Spawn(c, n, engine.Delay(time.Duration(n)*10*time.Second))
				return n, nil
			}),
			engine.Bind(flaky, func(ctx context.Context, _ int) (int, error) {
				ran.add("flaky %d", engine.FromContext(ctx).Attempt)
				if engine.FromContext(ctx).Attempt == 0 {
					return 0, errLuck
				}
				return 1, nil
			}))
		enqueue(w, parent, 1, engine.ID("parent"))
		pass(time.Second)                             // the executions are independent: enqueued together, either could be first
		enqueue(w, parent, 1000, engine.ID("doomed")) // its child never ends on its own
		pass(time.Second)
		enqueue(w, flaky, 1, engine.ID("flaky"))
		pass(time.Second)
		ran.wants(t, "parent", "parent", "flaky 0")

		w.rewrite("parent", map[string]any{"v": 2, "dream": "of sheep"})
		w.rewrite("doomed", map[string]any{"v": 2})
		w.rewrite("flaky", map[string]any{"v": 2})
		w.publish(&nats.Msg{Subject: "durable.ready.default.flaky.new", Data: []byte("1"), Header: nats.Header{"Durable-Version": {"2"}}})
		check(t, w.store.Cancel(t.Context(), engine.Cancel{ID: "doomed", At: now(), Reason: "why"}))
		if err := w.client.Cancel(t.Context(), "flaky", "why"); !errors.Is(err, engine.ErrNewer) {
			t.Errorf("cancel of what a later version has written: %v, want ErrNewer", err)
		}
		before := map[string]any{"parent": w.record("parent"), "doomed": w.record("doomed"), "flaky": w.record("flaky")}
		pass(10 * time.Minute)

		ran.wants(t, "parent", "parent", "flaky 0")
		for id, fields := range before {
			if got, want := w.record(id), fields.(map[string]any); len(got) != len(want) || got["dream"] != want["dream"] || got["status"] != want["status"] {
				t.Errorf("record of %s = %v, want it untouched: %v", id, got, want)
			}
		}
		if got := w.aside(); len(got) != 0 {
			t.Errorf("aside: %q, want nothing", got)
		}
		equal(t, "status of what waits", w.get("new").Status, engine.Ready)

		// With a version that this executor knows, everything continues from where it was.
		w.rewrite("flaky", map[string]any{"v": 1})
		w.rewrite("parent", map[string]any{"v": 1})
		w.rewrite("doomed", map[string]any{"v": 1})
		pass(time.Minute)
		w.want("parent", engine.Completed)
		w.want("doomed", engine.Cancelled)
		w.want("flaky", engine.Completed)
		equal(t, "field of a later version", w.record("parent")["dream"], any("of sheep"))
	})
}

// TestShutdownDoesNotWaitForDamagedRecords stops an executor that holds messages whose records are
// damaged: of running attempts, of executions that wait for a retry, of parents whose children end,
// and of cancelled executions.
func TestShutdownDoesNotWaitForDamagedRecords(t *testing.T) {
	for name, full := range map[string]bool{"set aside": false, "no room to set them aside": true} {
		t.Run(name, func(t *testing.T) {
			onJetStream(t, func(t *testing.T, w *world) {
				child := engine.Define[int, int]("child", engine.Delay(10*time.Second))
				parent := engine.Define[int, engine.Gathered[int]]("parent")
				long := engine.Define[int, int]("long")
				flaky := engine.Define[int, int]("flaky", engine.Retry{MaxRetries: 1, BaseDelay: 10 * time.Second})
				bound := []engine.Binding{
					engine.Bind(child, returns[int](1)),
					engine.BindFanOut(parent, func(_ context.Context, n int, c *engine.Children) (int, error) {
						child.Spawn(c, n)
						return n, nil
					}),
					engine.Bind(long, sleeps[int](20*time.Second, 1)),
					engine.Bind(flaky, fails[int, int](errLuck)),
				}
				x := w.tapped(workers.Config{}, bound...)
				const n = 4
				var ids []string
				for i := range n {
					ids = append(ids,
						enqueue(w, long, i, engine.ID("long"+strconv.Itoa(i))).ID(),
						enqueue(w, flaky, i, engine.ID("flaky"+strconv.Itoa(i))).ID(),
						enqueue(w, parent, i, engine.ID("parent"+strconv.Itoa(i))).ID())
				}
				pass(time.Second)
				for _, id := range ids {
					data, err := codec.Marshal(w.record(id))
					check(t, err)
					w.publish(&nats.Msg{Subject: recordSubject + id, Data: data[:len(data)/2]})
				}
				for i := range n {
					check(t, w.store.Cancel(t.Context(), engine.Cancel{ID: "flaky" + strconv.Itoa(i), At: now(), Reason: "why"}))
				}
				x.tap.on(func(call, _ string) error {
					if full && call == "SetAside" {
						return errors.New("no room")
					}
					return nil
				})
				if full {
					pass(time.Minute)
					if held := x.Stats().InHand; held < 3*n {
						t.Errorf("%d messages in hand, want at least %d", held, 3*n)
					}
				} else {
					pass(18900 * time.Millisecond) // the attempts end 100 ms after the stop
				}
				began := now()
				x.stop()
				check(t, <-x.done)
				between(t, "end", now(), began, began.Add(3*time.Second))

				// Another executor sets the messages aside.
				w.executor(workers.Config{}, bound...)
				pass(time.Minute)
				w.nothingWaits()
				equal(t, "set aside: messages of 4 kinds, and records", len(w.aside()), 4*n+3*n)
			})
		})
	}
}

// An executor takes cancellations until its last attempt has ended. One that it can't handle comes
// back in the meantime.
func TestShutdownDoesNotSpinOnAMessageThatNothingCanBeDoneAbout(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task")
		x := w.tapped(workers.Config{}, engine.Bind(task, sleeps[string](80*time.Second, "out")))
		h := enqueue(w, task, "in")
		var tries atomic.Int64
		x.tap.on(func(call, id string) error {
			if call == "Get" && id == "other" {
				tries.Add(1)
				return errors.New("no answer")
			}
			return nil
		})
		check(t, w.store.Cancel(t.Context(), engine.Cancel{ID: "other", Reason: "enough"}))
		pass(time.Minute)
		tries.Store(0)
		began := now()
		x.stop()
		check(t, <-x.done)
		equal(t, "drained in", now().Sub(began), 20*time.Second)
		if n := tries.Load(); n < 2 || n > 41 {
			t.Errorf("tried %d times in 20 s, want at most twice a second", n)
		}
		equal(t, "output", result(w, h), "out")
	})
}
