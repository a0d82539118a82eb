package doctor_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/doctor"
	"github.com/durable-execution/durable/jsstore/jstest"
)

// mend runs the doctor with Mend and returns its report.
func (w *ward) mend() doctor.Examination {
	w.Helper()
	return w.examine(doctor.Config{Mend: true})
}

// mended fails unless a finding of the check says, with this text, that it was mended.
func (w *ward) mended(x doctor.Examination, check, subject, text string) {
	w.Helper()
	for _, f := range x.Findings {
		if f.Check == check && f.Subject == subject && f.Mended != "" && strings.Contains(f.Mended, text) {
			return
		}
	}
	w.Errorf("no %s of %q was mended: %q; found\n%s", check, subject, text, told(x))
}

// delivered returns what an executor of the queue receives within a while.
func (w *ward) delivered(queue string) (list []*engine.Delivery) {
	w.Helper()
	f, err := w.s.Claim(w.Context(), queue)
	w.check(err)
	defer f.Close()
	f.Request(10)
	for {
		select {
		case d := <-f.Messages():
			list = append(list, d)
			w.check(d.Done(w.Context()))
		case <-time.After(10 * time.Second):
			return list
		}
	}
}

func TestMendHasStuckExecutionsGoOn(t *testing.T) {
	waiting := engine.Execution{Status: engine.WaitingForChildren, Spawned: 2, Spawns: []engine.Spawn{{Task: "task", Queue: "default"}, {Task: "task", Queue: "default"}}}
	finalize := engine.Execution{Status: engine.WaitingForFinalize, Finalize: &engine.Spawn{Task: "end", Queue: "default"}}
	ended := func(i int, s engine.Status) engine.Execution {
		return engine.Execution{ID: fmt.Sprint("x.", i), Parent: "x", Index: i, Status: s, FinishedAt: time.Now()}
	}
	for _, c := range []struct {
		name  string
		spoil func(w *ward)
		want  string   // ids of the delivered executions
		told  []string // ids of the closures to x
	}{
		{"ready", func(w *ward) { w.record(engine.Execution{ID: "x", Status: engine.Ready}) }, "x", nil},
		{"running", func(w *ward) { w.record(engine.Execution{ID: "x", Status: engine.Running, Executor: "gone"}) }, "x", nil},
		{"asleep", func(w *ward) {
			w.record(engine.Execution{ID: "x", Status: engine.Running, Sleeping: true, ExpiresAt: time.Now().Add(time.Minute)})
		}, "x", nil},
		{"without children", func(w *ward) { w.waits(waiting) }, "x.0 x.1", nil},
		{"told by one of its children", func(w *ward) { w.waits(waiting, ended(0, engine.Completed), ended(1, engine.Failed)) }, "", []string{"x.0", "x.1"}},
		{"a finalize that does not exist", func(w *ward) { w.waits(finalize) }, "x.f", nil},
		{"a finalize that has ended", func(w *ward) {
			w.waits(finalize, engine.Execution{ID: "x.f", Task: "end", Parent: "x", IsFinalize: true, Status: engine.Completed, FinishedAt: time.Now()})
		}, "", []string{"x.f"}},
		{"a child", func(w *ward) {
			w.waits(waiting, ended(0, engine.Completed), engine.Execution{ID: "x.1", Parent: "x", Index: 1, Status: engine.Ready})
		}, "x.1", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
				w := admit(t, nc)
				c.spoil(w)
				time.Sleep(2 * time.Minute)
				w.shows(w.examine(doctor.Config{}), symptom{"work.stuck", doctor.Problem, idOf(c.want, "x"), "durable doctor --mend"})
				x := w.mend()
				w.mended(x, "work.stuck", idOf(c.want, "x"), "")
				w.only(w.examine(doctor.Config{}), "queue.served queue.tasks queue.timers")
				got := map[string]bool{}
				for _, d := range w.delivered("default") {
					got[d.Execution.ID] = true
					if d.Fresh {
						t.Errorf("%s is delivered as if nobody could have recorded it", d.Execution.ID)
					}
				}
				for _, id := range strings.Fields(c.want) {
					if !got[id] {
						t.Errorf("%s is not delivered, but %v", id, got)
					}
				}
				if r, err := w.s.Get(t.Context(), "x"); err != nil || c.name == "running" && (r.Status != engine.Ready || r.Crashes != 1) {
					t.Errorf("x is %s with %d crashes, %v", r.Status, r.Crashes, err)
				}
				f, err := w.s.Closures(t.Context())
				w.check(err)
				defer f.Close()
				f.Request(10)
				for _, id := range c.told {
					select {
					case m := <-f.Messages():
						if m.Closure.ID != id || !m.Closure.Again {
							t.Errorf("notified of %s (again: %v), want %s", m.Closure.ID, m.Closure.Again, id)
						}
						w.check(m.Done(t.Context()))
					case <-time.After(10 * time.Second):
						t.Errorf("%s is not reported", id)
					}
				}
			})
		})
	}
}

// idOf returns the stuck execution of a case: the delivered one, unless that is a child that
// was missing.
func idOf(want, otherwise string) string {
	if want == "x.1" {
		return want
	}
	return otherwise
}

func TestMendLeavesAloneWhatIsDriven(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		w := admit(t, nc)
		w.record(engine.Execution{ID: "queued", Status: engine.Ready})
		w.enqueue(engine.Execution{ID: "queued", Task: "task"})
		w.record(engine.Execution{ID: "running", Status: engine.Running, Executor: "one"})
		w.enqueue(engine.Execution{ID: "running", Task: "task"})
		w.record(engine.Execution{ID: "asleep", Status: engine.Running, Sleeping: true})
		w.record(engine.Execution{ID: "later", Status: engine.Ready})
		w.later("later", "task")
		time.Sleep(10 * time.Minute)
		before := jstest.StreamInfo(t, nc, "KV_durable-executions").State
		ready, timers := int(jstest.StreamInfo(t, nc, "durable-ready").State.Msgs), int(jstest.StreamInfo(t, nc, "durable-timers").State.Msgs)
		w.mend()
		if after := jstest.StreamInfo(t, nc, "KV_durable-executions").State; after.LastSeq != before.LastSeq || after.Msgs != before.Msgs {
			t.Errorf("records: %d up to %d, were %d up to %d", after.Msgs, after.LastSeq, before.Msgs, before.LastSeq)
		}
		if int(jstest.StreamInfo(t, nc, "durable-ready").State.Msgs) != ready || int(jstest.StreamInfo(t, nc, "durable-timers").State.Msgs) != timers {
			t.Errorf("%d ready, %d in the timers: want %d and %d", int(jstest.StreamInfo(t, nc, "durable-ready").State.Msgs), int(jstest.StreamInfo(t, nc, "durable-timers").State.Msgs), ready, timers)
		}
	})
}

// Records that a killed server brings back if the bucket kept only one revision.
func TestMendRemovesWhatHasComeBack(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		w := admit(t, nc)
		old := time.Now()
		w.record(engine.Execution{ID: "root", Status: engine.Running})
		w.record(engine.Execution{ID: "done", Status: engine.Completed, Spawned: 1, FinishedAt: old})
		w.record(engine.Execution{ID: "done.0", Parent: "done", Status: engine.Completed, FinishedAt: old})
		w.record(engine.Execution{ID: "nobody.0", Parent: "nobody", Status: engine.Running})
		w.record(engine.Execution{ID: "nobody.0-1", Parent: "nobody.0", Index: 1, Status: engine.Completed})
		time.Sleep(8 * 24 * time.Hour)
		w.record(engine.Execution{ID: "young", Status: engine.Ready})
		time.Sleep(time.Minute)
		x := w.examine(doctor.Config{})
		w.shows(x, symptom{"work.expired", doctor.Warning, "", "1 tree is still there"}, symptom{"work.orphans", doctor.Warning, "", "1 missing root, nobody among them"},
			symptom{"work.stuck", doctor.Problem, "root", ""}, symptom{"work.stuck", doctor.Problem, "young", ""})
		x = w.mend()
		w.mended(x, "work.stuck", "root", "outlived the retention")
		w.mended(x, "work.stuck", "young", "published again")
		w.mended(x, "work.expired", "", "removed")
		w.mended(x, "work.orphans", "", "removed")
		time.Sleep(5 * time.Second)
		if got := jstest.Keys(t, nc); len(got) != 1 || got[0] != "young" {
			t.Errorf("keys = %q, want the young one", got)
		}
	})
}

// An id is enqueued again while its removed records are back. If the doctor comes before the
// executors, the execution runs with its new input.
func TestMendMakesRoomForWhatWasEnqueuedUnderAnIDThatCameBack(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		w := admit(t, nc)
		w.record(engine.Execution{ID: "back", Status: engine.Running, Executor: "gone"})
		w.record(engine.Execution{ID: "held", Status: engine.Running, Executor: "gone"})
		held := time.Now()
		time.Sleep(8 * 24 * time.Hour)
		w.check(w.s.Enqueue(t.Context(), engine.Due{Execution: engine.Execution{ID: "held", Task: "task", Queue: engine.DefaultQueue, Status: engine.Ready, CreatedAt: held, StartAt: held}}))
		w.enqueue(engine.Execution{ID: "back", Task: "task", Metadata: engine.Metadata{"life": "2"}})
		w.record(engine.Execution{ID: "young", Status: engine.Running, Executor: "gone"})
		time.Sleep(time.Minute)
		w.enqueue(engine.Execution{ID: "young", Task: "task"})
		x := w.mend()
		w.mended(x, "work.stuck", "back", "outlived the retention")
		for _, f := range x.Findings {
			if f.Check == "work.stuck" && f.Subject != "back" && f.Severity != doctor.Note {
				t.Errorf("%+v", f)
			}
		}
		time.Sleep(5 * time.Second)
		r, err := w.s.Get(t.Context(), "back")
		if err != nil || r.Revision != 0 || r.Metadata["life"] != "2" {
			t.Errorf("back: %+v, %v: want what is queued", r, err)
		}
		for _, id := range []string{"held", "young"} {
			if r, err := w.s.Get(t.Context(), id); err != nil || r.Status != engine.Running {
				t.Errorf("%s is %s, %v: want it running", id, r.Status, err)
			}
		}
	})
}

func TestMendMendsMany(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		w := admit(t, nc)
		for i := range 30 {
			w.record(engine.Execution{ID: fmt.Sprint("x", i), Status: engine.Ready})
		}
		time.Sleep(time.Minute)
		w.mended(w.mend(), "work.stuck", "", "20 of 20: published again")
		if n := int(jstest.StreamInfo(t, nc, "durable-timers").State.Msgs); n != 30 {
			t.Errorf("%d timers, want 30", n)
		}
	})
}

func TestMendSetsAsideWhatNobodyCanServe(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		w := admit(t, nc)
		subjects := []string{"durable.ready.default", "durable.ready.default.task", "durable.ready.no$queue.task.x", "durable.ready.default.task.no$id", "durable.ready.q.t.i.d.e"}
		for _, s := range subjects {
			_, err := w.js.Publish(t.Context(), s, []byte("body"))
			w.check(err)
		}
		w.enqueue(engine.Execution{ID: "good", Task: "task", Queue: "other"})
		x := w.examine(doctor.Config{})
		for _, s := range subjects {
			w.shows(x, symptom{"queue.subject", doctor.Problem, s, "durable doctor --mend sets it aside"})
		}
		x = w.mend()
		for _, s := range subjects {
			w.mended(x, "queue.subject", s, "set aside")
		}
		list := jstest.Asides(t, w.s)
		if len(list) != len(subjects) || int(jstest.StreamInfo(t, nc, "durable-ready").State.Msgs) != 1 {
			t.Errorf("%d are set aside and %d are queued, want %d and 1", len(list), int(jstest.StreamInfo(t, nc, "durable-ready").State.Msgs), len(subjects))
		}
		w.only(w.examine(doctor.Config{}), "queue.served work.set_aside")
		for _, a := range list {
			w.check(w.s.Forget(t.Context(), a.Name))
		}
	})
}

func TestIDThatLiesInAnotherQueueIsToldAndSetAside(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		w := admit(t, nc)
		w.record(engine.Execution{ID: "x", Status: engine.Completed, FinishedAt: time.Now()})
		w.enqueue(engine.Execution{ID: "x", Task: "task", Queue: "typo"}, engine.Execution{ID: "y", Task: "task", Queue: "typo"})
		x := w.examine(doctor.Config{})
		w.shows(x, symptom{"queue.stray", doctor.Problem, "x", "in queue default, and is completed"}, symptom{"queue.served", doctor.Problem, "typo", "durable cancel y"},
			symptom{"queue.served", doctor.Problem, "typo", "1 execution is"})
		w.check(engine.NewClient(w.s).Cancel(t.Context(), "y", "as advised"))
		w.mended(w.mend(), "queue.stray", "x", "set aside")
		if n := int(jstest.StreamInfo(t, nc, "durable-ready").State.Msgs); n != 0 {
			t.Errorf("%d messages in the queue, want none", n)
		}
		if list := jstest.Asides(t, w.s); len(list) != 1 || list[0].ID != "x" {
			t.Errorf("aside: %+v, want x", list)
		}
		r, err := w.s.Get(t.Context(), "x")
		if err != nil || r.Status != engine.Completed {
			t.Errorf("x is %s, %v", r.Status, err)
		}
	})
}

func TestMendDeliversWhatAConsumerHasPassedOver(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		w := admit(t, nc)
		w.enqueue(engine.Execution{ID: "x", Task: "task"}, engine.Execution{ID: "y", Task: "task"})
		w.check(w.s.Carry(t.Context(), engine.TellParent{Closure: engine.Closure{Parent: "p", ID: "p.0", Status: engine.Failed}}))
		for stream, consumer := range map[string]string{"durable-ready": "queue-default", "durable-control": "closures"} {
			s, err := w.js.Stream(t.Context(), stream)
			w.check(err)
			_, err = s.ResetConsumerToSequence(t.Context(), consumer, uint64(int(jstest.StreamInfo(t, nc, stream).State.Msgs)+1))
			w.check(err)
		}
		if got := w.delivered("default"); len(got) != 0 {
			t.Fatalf("%d delivered, want none: the test tests nothing", len(got))
		}
		x := w.mend()
		w.mended(x, "consumer.skipped", "durable-ready/queue-default", "2 of 2: sent again")
		w.mended(x, "consumer.skipped", "durable-control/closures", "1 of 1: sent again")
		w.mend() // one repair is enough
		got := map[string]int{}
		for _, d := range w.delivered("default") {
			got[d.Execution.ID]++
			if d.Fresh || d.Invalid != nil || d.Execution.Task != "task" {
				t.Errorf("%+v: fresh %v, %v", d.Execution, d.Fresh, d.Invalid)
			}
		}
		if len(got) != 2 || got["x"] != 1 || got["y"] != 1 {
			t.Errorf("delivered %v, want x and y once", got)
		}
		f, err := w.s.Closures(t.Context())
		w.check(err)
		defer f.Close()
		f.Request(1)
		if m := <-f.Messages(); m.Closure.ID != "p.0" {
			t.Errorf("closure of %s", m.Closure.ID)
		}
	})
}

// skips publishes a ready message of the execution x with this header block, and makes its consumer
// skip the message.
func (w *ward) skips(block string) {
	w.Helper()
	conn, err := w.nc.Opts.InProcessServer.InProcessConn()
	w.check(err)
	raw, err := jstest.NewRaw(conn)
	w.check(err)
	defer raw.Close()
	a, err := raw.Publish("durable.ready.default.task.x", []byte(block), []byte("1"))
	if w.check(err); a.Stored == 0 {
		w.Fatalf("publish: %+v, want it stored", a)
	}
	s, err := w.js.Stream(w.Context(), "durable-ready")
	w.check(err)
	_, err = s.ResetConsumerToSequence(w.Context(), "queue-default", a.Stored+1)
	w.check(err)
}

// A client with the right to enqueue can store header names that nats.go does not publish.
func TestMendDeliversWhatHasHeaderNamesThatNoClientPublishes(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		w := admit(t, nc)
		w.skips("NATS/1.0\r\nBad/Name: 1\r\n\r\n")
		w.mended(w.mend(), "consumer.skipped", "durable-ready/queue-default", "1 of 1: sent again")
		if got := w.delivered("default"); len(got) != 1 || got[0].Execution.ID != "x" || got[0].Invalid != nil {
			t.Errorf("delivered %d, want x alone", len(got))
		}
	})
}

// An executor records such a message as failed. Without its headers it would run as if it never
// had any.
func TestMendDoesNotSendAgainWhatHasUnreadableHeaders(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		w := admit(t, nc)
		w.skips("NATS/1.0\r\nno header\r\n\r\n")
		w.mended(w.mend(), "consumer.skipped", "durable-ready/queue-default", "set aside")
		if got := w.delivered("default"); len(got) != 0 {
			t.Errorf("delivered %d (the first: %v), want none", len(got), got[0].Invalid)
		}
		if list := jstest.Asides(t, w.s); len(list) != 1 || list[0].ID != "x" || !strings.Contains(list[0].Reason, "header block") {
			t.Errorf("aside: %+v, want x", list)
		}
	})
}

// A message below the ack floor that an executor has in hand is not sent again.
func TestMendDoesNotSendAgainWhatIsInHand(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		w := admit(t, nc)
		w.enqueue(engine.Execution{ID: "x", Task: "task"}, engine.Execution{ID: "y", Task: "task"}, engine.Execution{ID: "z", Task: "task"})
		f, err := w.s.Claim(t.Context(), "default")
		w.check(err)
		defer f.Close()
		f.Request(3)
		held := []*engine.Delivery{<-f.Messages(), <-f.Messages(), <-f.Messages()}
		// The fault of nats-server that moves ack floors: see jstest.
		s, err := w.js.Stream(t.Context(), "durable-ready")
		w.check(err)
		w.check(s.Purge(t.Context(), jetstream.WithPurgeSubject("durable.ready.default.task.z")))
		w.enqueue(engine.Execution{ID: "last", Task: "task"})
		f.Request(1)
		w.check((<-f.Messages()).Done(t.Context()))
		time.Sleep(time.Second)
		x := w.mend()
		for _, found := range x.Findings {
			if found.Check == "consumer.skipped" && found.Mended != "" {
				t.Errorf("mended: %+v", found)
			}
		}
		if n := int(jstest.StreamInfo(t, nc, "durable-timers").State.Msgs); n != 0 {
			t.Errorf("%d timers: a message in hand was sent again", n)
		}
		for _, d := range held {
			w.check(d.Done(t.Context()))
		}
	})
}

func TestLostMessagesAreTold(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(w *ward)
		text  string // empty if nothing is lost
	}{
		{"nothing", func(w *ward) {}, ""},
		{"all ran", func(w *ward) { w.delivered("default") }, ""},
		{"some ran", func(w *ward) { w.takes(3) }, ""},
		{"one was cancelled", func(w *ward) { w.check(engine.NewClient(w.s).Cancel(w.Context(), "x5", "why")) }, ""},
		{"the last was cancelled", func(w *ward) { w.check(engine.NewClient(w.s).Cancel(w.Context(), "x9", "why")) }, ""},
		{"all were cancelled", func(w *ward) {
			for i := range 10 {
				w.check(engine.NewClient(w.s).Cancel(w.Context(), fmt.Sprint("x", i), "why"))
			}
		}, ""},
		{"purged", func(w *ward) { w.purge() }, "the stream was purged"},
		{"purged after some ran", func(w *ward) {
			w.takes(3)
			time.Sleep(time.Second)
			w.enqueue(engine.Execution{ID: "more", Task: "task"})
			w.purge()
		}, "the stream was purged"},
		{"some were deleted by hand", func(w *ward) { w.delete(4, 6) }, "2 messages that were never delivered are gone"},
		{"one was cancelled and one deleted", func(w *ward) {
			w.check(engine.NewClient(w.s).Cancel(w.Context(), "x5", "why"))
			w.delete(8)
		}, "1 message that was never delivered is gone"},
		{"the end is cut off", func(w *ward) {
			w.record(engine.Execution{ID: "ran", Status: engine.Completed, FinishedAt: time.Now(), Message: "durable-ready 99"})
		}, "it ends at 10, but message 99 was delivered"},
	} {
		t.Run(c.name, func(t *testing.T) {
			jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
				w := admit(t, nc)
				time.Sleep(time.Second)
				for i := range 10 {
					w.enqueue(engine.Execution{ID: fmt.Sprint("x", i), Task: "task"})
				}
				time.Sleep(time.Second)
				c.spoil(w)
				time.Sleep(time.Second)
				x := w.examine(doctor.Config{})
				if c.text == "" {
					w.shows(x, symptom{"stream.lost", doctor.OK, "", ""})
					return
				}
				severity := doctor.Problem
				if strings.Contains(c.text, "never delivered") {
					severity = doctor.Warning // the cause may be a cancellation that is no longer known
				}
				w.shows(x, symptom{"stream.lost", severity, "durable-ready", c.text})
			})
		})
	}
}

// takes makes the consumer deliver n executions, and acknowledges them.
func (w *ward) takes(n int) {
	w.Helper()
	f, err := w.s.Claim(w.Context(), "default")
	w.check(err)
	defer f.Close()
	f.Request(n)
	for range n {
		w.check((<-f.Messages()).Done(w.Context()))
	}
}

func (w *ward) purge() {
	w.Helper()
	s, err := w.js.Stream(w.Context(), "durable-ready")
	w.check(err)
	w.check(s.Purge(w.Context()))
}

func (w *ward) delete(sequences ...uint64) {
	w.Helper()
	s, err := w.js.Stream(w.Context(), "durable-ready")
	w.check(err)
	for _, n := range sequences {
		w.check(s.DeleteMsg(w.Context(), n))
	}
}
