package semantics_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/workers"
)

// A mute store carries out writes of records with one status, but returns an error.
type mute struct {
	engine.Store
	status  engine.Status
	answers atomic.Int32 // how many answers to lose
}

func (m *mute) Update(ctx context.Context, x engine.Execution, at engine.Revision) (engine.Revision, error) {
	r, err := m.Store.Update(ctx, x, at)
	if err == nil && x.Status == m.status && m.answers.Add(-1) >= 0 {
		return 0, errors.New("no answer, for longer than a store has patience")
	}
	return r, err
}

// TestClaimWhoseAnswerWasLostIsTheExecutorsOwn loses the answer to the write of a claim: of one that
// is recorded before the code runs, and of one that is recorded after the grace.
func TestClaimWhoseAnswerWasLostIsTheExecutorsOwn(t *testing.T) {
	for name, test := range map[string]struct {
		opts  []engine.Option
		takes time.Duration
	}{
		"before the code":                    {[]engine.Option{engine.ID("given")}, 4 * time.Minute},
		"after the grace":                    {nil, 4 * time.Minute},
		"after the grace, and it ends first": {nil, 100 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				var runs journal
				task := engine.Define[string, string]("task")
				line := &mute{Store: w.store, status: engine.Running}
				line.answers.Store(1)
				x := w.start(line, workers.Config{}, []engine.Binding{engine.Bind(task, func(ctx context.Context, in string) (string, error) {
					runs.add("attempt %d", engine.FromContext(ctx).Attempt)
					return sleeps[string](test.takes, "out")(ctx, in)
				})})
				h := enqueue(w, task, "in", test.opts...)
				equal(t, "output", result(w, h), "out")
				runs.wants(t, "attempt 0")
				equal(t, "crashes", w.get(h.ID()).Crashes, 0)
				equal(t, "attempts that were lost", x.logged("lease lost: the result of an attempt is discarded"), 0)
				if line.answers.Load() > 0 {
					t.Error("no answer was lost: the test tests nothing")
				}
			})
		})
	}
}

// TestTheEndOfChildrenWhoseAnswerWasLostLeadsOn loses the answer to the write that records the
// children in their parent. The executor that tries again finds that the parent has counted the
// children, and must carry out the effects nevertheless.
func TestTheEndOfChildrenWhoseAnswerWasLostLeadsOn(t *testing.T) {
	for name, children := range map[string][]kid{"only child": {{}}, "siblings": {{}, {}}} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				parent := engine.Define[string, string]("parent")
				line := &mute{Store: w.store, status: engine.WaitingForFinalize}
				line.answers.Store(1)
				w.start(line, workers.Config{}, []engine.Binding{engine.Bind(kids, grow), engine.BindParent(parent, spawns(children...), joins)})
				h := enqueue(w, parent, "in")
				result(w, h)
				if line.answers.Load() > 0 {
					t.Error("no answer was lost: the test tests nothing")
				}
			})
		})
	}
}

// TestAClosureThatIsToldAgainLeadsOn has a parent that has counted its child, but whose finalize is
// not enqueued, because the executor that wrote the record has died. The next executor that gets
// the child's message may be unable to write the parent's record: then it publishes a closure.
func TestAClosureThatIsToldAgainLeadsOn(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		parent := engine.Define[string, string]("parent")
		w.start(w.store, workers.Config{}, []engine.Binding{engine.BindParent(parent, spawns(kid{}), joins)}) // without the child's code
		h := enqueue(w, parent, "in")
		pass(time.Second)
		w.want(h.ID(), engine.WaitingForChildren)
		r, err := w.store.Get(w.ctx, h.ID())
		check(t, err)
		end := engine.Closure{Parent: h.ID(), ID: h.ID() + ".0", Task: "kid", Status: engine.Completed}
		_, _, err = engine.Move(w.ctx, w.store, r, engine.ChildrenEnded{At: now(), Children: []engine.Closure{end}})
		check(t, err)
		check(t, w.store.Carry(w.ctx, engine.TellParent{Closure: end}))
		pass(time.Minute)
		w.want(h.ID(), engine.WaitingForFinalize) // the closure is new to this executor: it leaves the effects to the executor that wrote the record
		end.Again = true
		check(t, w.store.Carry(w.ctx, engine.TellParent{Closure: end}))
		w.start(w.store, workers.Config{}, []engine.Binding{engine.Bind(kids, grow)})
		result(w, h)
	})
}
