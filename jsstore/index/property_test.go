package index_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/index"
)

var (
	seeds = flag.Int("seeds", 3, "how many lives of a namespace the property test makes")
	seed0 = flag.Uint64("seed", 1, "the first of them")
)

// TestTheIndexAlwaysListsWhatTheStoreLists creates random histories of a namespace, with an
// index that is restarted, late, thrown away and damaged meanwhile.
func TestTheIndexAlwaysListsWhatTheStoreLists(t *testing.T) {
	for i := range *seeds {
		seed := *seed0 + uint64(i)
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				w.limit = func(x *index.Index) { x.Narrow([]int{5000, 0, 3}[seed%3], []int{400, 1}[seed%2]) }
				w.limit(w.x)
				l := life{world: w, rand: rand.New(rand.NewPCG(seed, 0))}
				for range 250 / sparing {
					l.step()
				}
				l.compare()
			})
		})
	}
}

// A life is a world in which random things happen.
type life struct {
	*world
	rand  *rand.Rand
	roots []string
	made  int
	ends  []time.Time // of times to live
}

// mortal notes when the execution that was just written vanishes, if it does.
func (l *life) mortal(x engine.Execution) {
	if d, ends := x.TimeToLive(l.s.Limits()); ends {
		l.ends = append(l.ends, now().Add(d))
	}
	if at, ends := x.GoneAt(l.s.Limits()); ends {
		l.ends = append(l.ends, at)
	}
}

// settle waits until nothing is about to vanish: the server and the index notice it up to a
// quarter of a second apart.
func (l *life) settle() {
	for slices.ContainsFunc(l.ends, func(at time.Time) bool { return time.Until(at).Abs() < 500*time.Millisecond }) {
		time.Sleep(100 * time.Millisecond)
	}
}

func (l *life) one(of int) bool { return l.rand.IntN(of) == 0 }

func pick[T any](l *life, list ...T) T { return list[l.rand.IntN(len(list))] }

func (l *life) step() {
	l.t.Helper()
	switch n := l.rand.IntN(100); {
	case n < 25:
		l.enqueueSome()
	case n < 55:
		l.execute()
	case n < 62:
		l.cancelOne()
	case n < 70:
		l.deleteOne()
	case n < 76:
		l.spoil()
	case n < 84:
		time.Sleep(time.Duration(l.rand.IntN(8000)) * time.Millisecond)
	case n < 90:
		l.interrupt()
	case n < 92:
		l.reopen()
	case n == 92:
		check(l.t, l.x.Close())
		if l.one(2) {
			if err := os.Remove(l.path); !errors.Is(err, os.ErrNotExist) {
				check(l.t, err)
			}
		} else {
			check(l.t, os.WriteFile(l.path, []byte("rubbish"), 0o600))
		}
		l.open()
	default:
		l.compare()
	}
}

func (l *life) metadata() engine.Metadata {
	return pick(l, nil, engine.Metadata{"k": "1"}, engine.Metadata{"k": "2", "team": "blue"}, engine.Metadata{"k": "1", "team": "red"})
}

func (l *life) enqueueSome() {
	x := ready(fmt.Sprintf("r%d", l.made))
	l.made++
	if len(l.roots) > 0 && l.one(6) {
		// Once more, as a client does, but not while it is queued.
		id := pick(l, l.roots...)
		if r, err := l.s.Get(l.t.Context(), id); errors.Is(err, engine.ErrNotFound) || err == nil && r.Revision > 0 {
			x = ready(id)
		}
	}
	x.Task, x.Metadata = pick(l, "t", "u"), l.metadata()
	if l.one(4) {
		x.Policy.Delay = time.Duration(1+l.rand.IntN(20)) * time.Second
		x.StartAt = x.CreatedAt.Add(x.Policy.Delay)
	}
	x.Policy.Retry = engine.Retry{MaxRetries: l.rand.IntN(2), BaseDelay: 2 * time.Second}
	err := l.s.Enqueue(l.t.Context(), engine.Due{Execution: x, Exclusive: true})
	if err != nil && !errors.Is(err, engine.ErrExists) {
		l.t.Fatal(err)
	}
	l.roots = append(l.roots, x.ID)
}

// execute takes a due execution, if there is one, and does what an executor might do, including
// leaving it unfinished.
func (l *life) execute() {
	l.claim.Request(1)
	var d *engine.Delivery
	select {
	case d = <-l.claim.Messages():
	case <-time.After(200 * time.Millisecond):
		return
	}
	ctx := l.t.Context()
	if d.Invalid != nil {
		check(l.t, d.SetAside(ctx, "test"))
		return
	}
	r, err := l.s.Get(ctx, d.Execution.ID)
	if err != nil || r.Status != engine.Ready && r.Status != engine.Running {
		check(l.t, d.Done(ctx)) // it has run, or its tree is gone
		return
	}
	x := r.Execution
	if x.Status == engine.Ready {
		x, _, err = engine.Apply(x, claimed())
		check(l.t, err)
	}
	var ev engine.Event
	switch l.rand.IntN(6) {
	case 0: // nothing more: it is running, and its message will be redelivered
	case 1:
		ev = engine.Erred{At: now(), Failure: engine.Failure{Kind: engine.KindError, Message: pick(l, "Disk full", "no answer from HOST-1", "hi", "Zoë's disk")}}
	case 2:
		ret := engine.Returned{At: now()}
		for range 1 + l.rand.IntN(3) {
			ret.Children = append(ret.Children, engine.Spawn{Task: pick(l, "t", "child"), Queue: pick(l, "q", "elsewhere"), Metadata: l.metadata()})
		}
		ev = ret
	default:
		ev = engine.Returned{At: now()}
	}
	var fx []engine.Effect
	if ev != nil {
		x, fx, err = engine.Apply(x, ev)
		check(l.t, err)
	}
	_, err = l.s.Update(ctx, x, r.Revision)
	check(l.t, err)
	l.mortal(x)
	check(l.t, l.s.Carry(ctx, fx...))
	switch {
	case ev == nil:
	case x.Status == engine.Ready:
		check(l.t, d.Return(ctx, x.StartAt, true))
	case !l.one(10): // otherwise the executor dies before that
		check(l.t, d.Done(ctx))
	}
}

// any returns an execution that the store has.
func (l *life) any(f engine.Filter) (engine.Record, bool) {
	var list []engine.Record
	for r, err := range l.s.List(l.t.Context(), f) {
		check(l.t, err)
		list = append(list, r)
	}
	if len(list) == 0 {
		return engine.Record{}, false
	}
	return list[l.rand.IntN(len(list))], true
}

func (l *life) cancelOne() {
	r, ok := l.any(engine.Filter{})
	if !ok || r.Status.Finished() {
		return
	}
	x, fx, err := engine.Apply(r.Execution, engine.CancelRequested{At: now(), Reason: pick(l, "because", "DISK")})
	check(l.t, err)
	if _, err = l.s.Update(l.t.Context(), x, r.Revision); errors.Is(err, engine.ErrConflict) {
		return // the list is a view
	}
	check(l.t, err)
	l.mortal(x)
	check(l.t, l.s.Carry(l.t.Context(), fx...))
}

func (l *life) deleteOne() {
	r, ok := l.any(engine.Filter{Roots: true})
	if !ok || r.Revision == 0 || !r.Status.Finished() {
		return
	}
	// The queue of a tree is empty when an executor deletes it; here it may not be.
	if err := l.s.Delete(l.t.Context(), r.ID, r.Revision); !errors.Is(err, engine.ErrConflict) {
		check(l.t, err)
	}
}

// spoil does what nobody should do.
func (l *life) spoil() {
	ctx := l.t.Context()
	switch l.rand.IntN(4) {
	case 0: // an unreadable record with an id of its own
		_, err := l.js.Publish(ctx, fmt.Sprintf("$KV.durable-executions.bad%d", l.rand.IntN(5)), []byte("rubbish"))
		check(l.t, err)
	case 1: // a message that nobody understands
		id := pick(l, "odd%d", "odd%d.0")
		m := &nats.Msg{Subject: fmt.Sprintf("durable.ready.q.t."+id, l.made), Data: []byte("1"), Header: nats.Header{}}
		if l.one(2) {
			m.Header.Set(pick(l, codec.HeaderTimeout, codec.HeaderMetadata+"a.b"), "soon")
		}
		_, err := l.js.PublishMsg(ctx, m)
		check(l.t, err)
		l.made++
	case 2: // a payload of a record
		if len(l.roots) > 0 {
			_, err := l.js.Publish(ctx, fmt.Sprintf("$KV.durable-executions.%s.=blob.%d", pick(l, l.roots...), l.rand.IntN(3)), []byte("part"))
			check(l.t, err)
		}
	case 3: // messages purged out of the queue
		st, err := l.js.Stream(ctx, "durable-ready")
		check(l.t, err)
		info, err := st.Info(ctx)
		check(l.t, err)
		if info.State.Msgs > 0 {
			_ = st.DeleteMsg(ctx, info.State.FirstSeq+l.rand.Uint64N(info.State.LastSeq-info.State.FirstSeq+1)) // if it exists
		}
	}
}

// interrupt starts to catch up and is killed meanwhile.
func (l *life) interrupt() {
	ctx, cancel := context.WithCancel(l.t.Context())
	d := &dying{Context: ctx, cancel: cancel}
	d.left.Store(int64(50 * l.rand.IntN(4)))
	if _, err := l.x.CatchUp(d, time.Time{}, nil); err != nil && !errors.Is(err, context.Canceled) {
		l.t.Fatal(err)
	}
	cancel()
	if l.one(2) {
		l.reopen()
	}
}

// A dying context ends after its Err was called a number of times.
type dying struct {
	context.Context
	cancel context.CancelFunc
	left   atomic.Int64
}

func (d *dying) Err() error {
	if d.left.Add(-1) < 0 {
		d.cancel()
	}
	return d.Context.Err()
}

func (l *life) compare() {
	l.t.Helper()
	time.Sleep(20 * time.Millisecond) // acks under way arrive
	l.settle()
	l.catchUp()
	if !l.agree(engine.Filter{}, pick(l, 0, 1, 7)) {
		l.t.FailNow()
	}
	for range 3 {
		f := engine.Filter{}
		for range 1 + l.rand.IntN(2) {
			switch l.rand.IntN(12) {
			case 0:
				f.Task = pick(l, "t", "u", "child", "none")
			case 1:
				f.Status = pick(l, engine.Statuses()...)
			case 2:
				f.Queue = pick(l, "q", "elsewhere")
			case 3:
				f.Roots = true
			case 4:
				f.Error = pick(l, "disk", "host", "HI", "ZOË", "i", "x")
			case 5:
				f.Metadata = pick(l, engine.Metadata{"k": "1"}, engine.Metadata{"k": "2", "team": "blue"}, engine.Metadata{"team": "green"})
			case 6:
				f.Created.From = now().Add(-time.Duration(l.rand.IntN(100)) * time.Second)
			case 7:
				f.Finished.Until = now().Add(-time.Duration(l.rand.IntN(30)) * time.Second)
			case 8:
				f.Started.From = now().Add(-time.Duration(l.rand.IntN(60)) * time.Second)
			case 9:
				f.Prefix = pick(l, "r", "r1", "r2", "bad")
			case 10:
				if len(l.roots) > 0 {
					f.Tree, f.Parent = pick(l, l.roots...), pick(l, "", f.Tree)
				}
			case 11:
				f.Statuses = []engine.Status{pick(l, engine.Statuses()...), pick(l, engine.Statuses()...)}
			}
		}
		if !l.agree(f, pick(l, 0, 2, 5)) {
			l.t.FailNow()
		}
	}
}
