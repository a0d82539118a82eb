package doctor_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/doctor"
	"github.com/durable-execution/durable/jsstore/jstest"
)

func TestWorkThatNothingMovesOnIsFound(t *testing.T) {
	waiting := engine.Execution{Status: engine.WaitingForChildren, Spawned: 2}
	finalize := engine.Execution{Status: engine.WaitingForFinalize, Finalize: &engine.Spawn{Task: "end", Queue: "default"}}
	child := engine.Execution{ID: "x.0", Parent: "x", Status: engine.Completed}
	second := engine.Execution{ID: "x.1", Parent: "x", Index: 1, Status: engine.Failed, Failure: &engine.Failure{Message: "no"}}
	for _, c := range []struct {
		name  string
		spoil func(w *ward)
		want  string // empty if it is not stuck
	}{
		{"ready, and not queued", func(w *ward) { w.record(engine.Execution{ID: "x", Status: engine.Ready}) }, "has no message in the queue or the timers"},
		{"ready and queued", func(w *ward) {
			w.record(engine.Execution{ID: "x", Status: engine.Ready})
			w.enqueue(engine.Execution{ID: "x", Task: "task"})
		}, ""},
		{"ready and delayed", func(w *ward) { w.record(engine.Execution{ID: "x", Status: engine.Ready}); w.later("x", "task") }, ""},
		{"running, without a message, its executor gone", func(w *ward) { w.record(engine.Execution{ID: "x", Status: engine.Running, Executor: "gone"}) },
			"its executor gone does not answer"},
		{"running, without a message, its executor there", func(w *ward) {
			w.record(engine.Execution{ID: "x", Status: engine.Running, Executor: "one"})
			w.attend(engine.Presence{Executor: "one"})
		}, "its executor one answers"},
		{"running", func(w *ward) {
			w.record(engine.Execution{ID: "x", Status: engine.Running, Executor: "gone"})
			w.enqueue(engine.Execution{ID: "x", Task: "task"})
		}, ""},
		{"asleep", func(w *ward) { w.record(engine.Execution{ID: "x", Status: engine.Running, Sleeping: true}) }, ""},
		{"asleep without its timer", func(w *ward) {
			w.record(engine.Execution{ID: "x", Status: engine.Running, Sleeping: true, ExpiresAt: time.Now().Add(time.Hour)})
		}, "the timer of its time-out is gone"},
		{"waiting for children that were never spawned", func(w *ward) { w.waits(waiting) }, "waits for 2 children of 2: 2 of these don't exist"},
		{"waiting for children that have ended", func(w *ward) { w.waits(waiting, child, second) }, "0 of these don't exist and 2 have ended"},
		{"waiting for a child that is queued", func(w *ward) {
			w.waits(waiting, child)
			w.enqueue(engine.Execution{ID: "x.1", Parent: "x", Index: 1, Task: "task"})
		}, ""},
		{"waiting while it is told", func(w *ward) {
			w.waits(waiting, child, second)
			w.check(w.s.Carry(w.Context(), engine.TellParent{Closure: engine.Closure{Parent: "x", ID: "x.1", Index: 1, Status: engine.Failed}}))
		}, ""},
		{"waiting for a finalize that does not exist", func(w *ward) { w.waits(finalize) }, "waits for its finalize, which does not exist"},
		{"waiting for a finalize that has ended", func(w *ward) {
			w.waits(finalize, engine.Execution{ID: "x.f", Parent: "x", IsFinalize: true, Status: engine.Completed})
		}, "waits for its finalize, which is completed and has told it"},
		{"waiting for a finalize that is queued", func(w *ward) {
			w.waits(finalize)
			w.enqueue(engine.Execution{ID: "x.f", Parent: "x", IsFinalize: true, Task: "end"})
		}, ""},
		{"finished", func(w *ward) { w.record(engine.Execution{ID: "x", Status: engine.Completed}) }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
				w := admit(t, nc)
				c.spoil(w)
				time.Sleep(time.Second)
				// The record was just written; the executor that it names may be lost at once.
				w.only(w.examine(doctor.Config{}), "queue.served queue.tasks executor.lost")
				time.Sleep(time.Minute)
				x := w.examine(doctor.Config{})
				if c.want == "" {
					w.shows(x, symptom{"work.stuck", doctor.OK, "", "none is stuck"})
					return
				}
				w.shows(x, symptom{"work.stuck", doctor.Problem, "x", c.want}, symptom{"work.stuck", doctor.Problem, "x", "durable cancel x, then durable retry x"})
			})
		})
	}
}

// waits records an execution x and others below it.
func (w *ward) waits(x engine.Execution, below ...engine.Execution) {
	w.Helper()
	x.ID = "x"
	w.record(x)
	for _, b := range below {
		w.record(b)
	}
}

func TestTheSampleIsBoundedAndSaysSo(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		w := admit(t, nc)
		for i := range 30 {
			w.record(engine.Execution{ID: fmt.Sprint("x", i), Status: engine.Ready})
		}
		time.Sleep(time.Minute)
		x := w.examine(doctor.Config{Sample: 12})
		w.shows(x, symptom{"work.stuck", doctor.Problem, "x9", ""}, symptom{"work.stuck", doctor.Problem, "", "2 more are stuck"})
		if x.Sampled != 12 || x.Records != 30 {
			t.Errorf("%d of %d looked at, want 12 of 30", x.Sampled, x.Records)
		}
		if x = w.examine(doctor.Config{Sample: -1}); x.Sampled != 30 {
			t.Errorf("%d looked at, want all 30", x.Sampled)
		}
	})
}

func TestWhatLiesAsideIsTold(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		w := admit(t, nc)
		f, err := w.s.Closures(t.Context())
		w.check(err)
		defer f.Close()
		f.Request(20)
		for range 12 {
			_, err := w.js.Publish(t.Context(), "durable.closure.x", []byte("rubbish"))
			w.check(err)
		}
		time.Sleep(time.Second)
		var names []string
		for a, err := range w.s.Aside(t.Context()) {
			w.check(err)
			names = append(names, a.Name)
		}
		x := w.examine(doctor.Config{})
		w.shows(x, symptom{"work.set_aside", doctor.Warning, names[0], "set aside, from durable.closure.x"},
			symptom{"work.set_aside", doctor.Warning, names[9], "durable forget " + names[9]},
			symptom{"work.set_aside", doctor.Warning, "", "2 more messages are set aside"})
		w.only(x, "work.set_aside")
	})
}
