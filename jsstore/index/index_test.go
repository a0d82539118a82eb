package index_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/index"
	"github.com/durable-execution/durable/jsstore/jstest"
)

const (
	lease     = time.Second
	retention = 10 * time.Second
)

// A world is a namespace and an index of it, which must list the same.
type world struct {
	t     *testing.T
	nc    *nats.Conn
	js    jetstream.JetStream
	s     *jsstore.Store
	path  string
	x     *index.Index
	limit func(*index.Index) // sets the limits of each index that the world opens; may be nil
	claim engine.Feed[*engine.Delivery]
}

// run runs fn with an empty namespace in a bubble.
func run(t *testing.T, fn func(t *testing.T, w *world)) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		w := &world{t: t, nc: nc, path: filepath.Join(t.TempDir(), "sub dir?", "index 100%.db")}
		var err error
		w.js, err = jetstream.New(nc)
		check(t, err)
		w.s, err = jsstore.Open(t.Context(), nc, jsstore.Config{Lease: lease, Retention: retention})
		check(t, err)
		w.claim, err = w.s.Claim(t.Context(), "q")
		check(t, err)
		w.open()
		defer func() {
			w.claim.Close()
			check(t, w.x.Close())
			check(t, w.s.Close())
		}()
		fn(t, w)
	})
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) open() {
	w.t.Helper()
	var err error
	w.x, err = index.Open(w.s, w.path)
	check(w.t, err)
	if w.limit != nil {
		w.limit(w.x)
	}
}

// reopen closes and opens the index, as another process would do.
func (w *world) reopen() {
	w.t.Helper()
	check(w.t, w.x.Close())
	w.open()
}

func (w *world) catchUp() index.Progress {
	w.t.Helper()
	p, err := w.x.CatchUp(w.t.Context(), time.Time{}, nil)
	check(w.t, err)
	if !p.Complete || p.Left != 0 {
		w.t.Errorf("progress = %+v, want complete, nothing left", p)
	}
	return p
}

func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// ready returns an execution to enqueue.
func ready(id string) engine.Execution {
	return engine.Execution{ID: id, Task: "t", Queue: "q", Status: engine.Ready, Validated: true,
		Input:     codec.Payload{Type: codec.JSON, Data: []byte(`{"of":"` + id + `"}`)},
		CreatedAt: now(), StartAt: now(), ChangedAt: now()}
}

func (w *world) enqueue(list ...engine.Execution) {
	w.t.Helper()
	for _, x := range list {
		check(w.t, w.s.Enqueue(w.t.Context(), engine.Due{Execution: x, Exclusive: true}))
	}
}

// move applies events to the record of x, or to x itself, and writes the result.
func (w *world) move(x engine.Execution, events ...engine.Event) (engine.Execution, []engine.Effect) {
	w.t.Helper()
	r, err := w.s.Get(w.t.Context(), x.ID)
	if errors.Is(err, engine.ErrNotFound) {
		r, err = engine.Record{Execution: x}, nil
	}
	check(w.t, err)
	var fx []engine.Effect
	for _, ev := range events {
		r.Execution, fx, err = engine.Apply(r.Execution, ev)
		check(w.t, err)
	}
	_, err = w.s.Update(w.t.Context(), r.Execution, r.Revision)
	check(w.t, err)
	return r.Execution, fx
}

func claimed() engine.Event { return engine.Claimed{At: now(), Executor: "e"} }

func failed(text string) engine.Event {
	return engine.Erred{At: now(), Failure: engine.Failure{Kind: engine.KindError, Message: text}, Final: true}
}

// scan is the model: it returns what the store lists, in order, and the ids for which the
// result is uncertain. Their time has ended, and the server takes up to a quarter of a second
// to notice; then they are gone or, if they are still queued, ready.
func (w *world) scan(f engine.Filter) (list []engine.Execution, over map[string]bool) {
	w.t.Helper()
	list, over = []engine.Execution{}, map[string]bool{}
	for r, err := range w.s.List(w.t.Context(), engine.Filter{}) {
		check(w.t, err)
		x := r.Execution
		if d, ends := x.TimeToLive(w.s.Limits()); ends && !x.FinishedAt.Add(d).After(now()) {
			over[x.ID] = true
			continue
		}
		if !f.Matches(x) {
			continue
		}
		x.Input, x.Output, x.Spawns, x.Steps, x.Finalize, x.History, x.Unknown = codec.Payload{}, codec.Payload{}, nil, nil, nil, nil, nil
		list = append(list, x)
	}
	slices.SortFunc(list, engine.NewestFirst)
	return list, over
}

// find returns what the index lists, in pages of this size. It does not check the total while
// some executions are over, because a later page may still count them.
func (w *world) find(f engine.Filter, limit int, over map[string]bool) []engine.Execution {
	w.t.Helper()
	list := []engine.Execution{}
	for after := (engine.Cursor{}); ; {
		p, err := w.x.Find(w.t.Context(), f, after, limit)
		check(w.t, err)
		for _, r := range p.Executions {
			list = append(list, r.Execution)
		}
		if after = p.Next; after.ID == "" {
			if p.Total >= 0 && p.Total != len(list) && len(over) == 0 {
				w.t.Errorf("%+v: total = %d, but %d were listed", f, p.Total, len(list))
			}
			return list
		}
		if limit > 0 && len(p.Executions) != limit {
			w.t.Errorf("%+v: a page of %d with another behind it, want %d", f, len(p.Executions), limit)
		}
	}
}

// agree fails unless the index lists exactly what the store lists.
func (w *world) agree(f engine.Filter, limit int) bool {
	w.t.Helper()
	want, over := w.scan(f)
	got := slices.DeleteFunc(w.find(f, limit, over), func(x engine.Execution) bool { return over[x.ID] })
	if reflect.DeepEqual(got, want) {
		return true
	}
	w.t.Errorf("%+v by %d:\nthe index lists %s\nthe store lists %s", f, limit, ids(got), ids(want))
	for i := range got {
		if i < len(want) && got[i].ID == want[i].ID && !reflect.DeepEqual(got[i], want[i]) {
			w.t.Errorf("got %+v\nwant %+v", got[i], want[i])
			break
		}
	}
	return false
}

func ids(list []engine.Execution) string {
	var b strings.Builder
	for _, x := range list {
		fmt.Fprintf(&b, "%s(%s) ", x.ID, x.Status)
	}
	return b.String()
}

func TestAnIndexOfNothingListsNothing(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		if _, err := w.x.Find(t.Context(), engine.Filter{}, engine.Cursor{}, 0); !errors.Is(err, index.ErrIncomplete) {
			t.Errorf("before it was built: %v, want ErrIncomplete", err)
		}
		w.catchUp()
		w.agree(engine.Filter{}, 0)
		w.agree(engine.Filter{Task: "t", Error: "x"}, 3)
	})
}

func TestQueuedAndDelayedOnesAreFound(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		late := ready("late")
		late.Policy.Delay = time.Hour
		late.StartAt = late.CreatedAt.Add(time.Hour)
		w.enqueue(ready("a"), ready("b"), late)
		w.catchUp()
		w.agree(engine.Filter{Status: engine.Ready}, 0)
		w.claim.Request(3) // this moves the delayed one to the timers
		for range 2 {
			<-w.claim.Messages()
		}
		time.Sleep(100 * time.Millisecond)
		w.catchUp()
		if got := ids(w.find(engine.Filter{}, 2, nil)); got != "a(ready) b(ready) late(ready) " {
			t.Errorf("the index lists %s", got)
		}
		w.agree(engine.Filter{}, 1)
	})
}

func TestWhatLeftTheQueueWithoutARecordIsForgotten(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.enqueue(ready("a"), ready("b"), ready("c"))
		w.catchUp()
		st, err := w.js.Stream(t.Context(), "durable-ready")
		check(t, err)
		check(t, st.DeleteMsg(t.Context(), 2)) // b, as an operator does
		w.agree(engine.Filter{}, 0)            // a page with it looks it up
		w.catchUp()
		w.agree(engine.Filter{}, 1) // and now the total is right too
		check(t, st.Purge(t.Context()))
		w.catchUp()
		w.agree(engine.Filter{}, 0)
	})
}

func TestOfTwoMessagesOfOneIDTheIndexHasTheOneThatTheStoreHas(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		x := ready("a")
		x.Policy.Delay = time.Hour
		x.StartAt = x.CreatedAt.Add(time.Hour)
		w.enqueue(x)
		w.claim.Request(1) // this moves it to the timers
		time.Sleep(time.Second)
		w.move(x, claimed())
		w.catchUp()
		w.enqueue(ready("a")) // again, and not delayed
		w.catchUp()
		w.agree(engine.Filter{}, 0)
		r, err := w.s.Get(t.Context(), "a")
		check(t, err)
		check(t, w.s.Delete(t.Context(), "a", r.Revision))
		w.catchUp()
		w.agree(engine.Filter{}, 0)
	})
}

func TestWhatCanNotBeUnderstoodIsListedUntilAnExecutorSaysWhy(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		for _, id := range []string{"odd", "odd.0"} { // the second is not the id of an execution
			_, err := w.js.PublishMsg(t.Context(), &nats.Msg{Subject: "durable.ready.q.t." + id, Header: nats.Header{codec.HeaderTimeout: {"soon"}}})
			check(t, err)
		}
		w.catchUp()
		if w.agree(engine.Filter{}, 0); ids(w.find(engine.Filter{}, 0, nil)) != "odd(ready) " {
			t.Errorf("the index lists %s", ids(w.find(engine.Filter{}, 0, nil)))
		}
	})
}

func TestDeletedTreesAreForgottenThoughNobodyWatched(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		for i := range 300 {
			x, _ := w.move(ready(fmt.Sprintf("root-%d", i)), claimed(), engine.Returned{At: now(), Children: []engine.Spawn{{Task: "c", Queue: "q"}}})
			w.move(x.Child(0, x.Spawns[0]), claimed(), failed("child"))
			w.move(x, engine.CancelRequested{At: now(), Reason: "test"})
		}
		w.catchUp()
		w.agree(engine.Filter{}, 0)
		for _, i := range []int{0, 7, 8, 150, 299} {
			id := fmt.Sprintf("root-%d", i)
			r, err := w.s.Get(t.Context(), id)
			check(t, err)
			check(t, w.s.Delete(t.Context(), id, r.Revision))
		}
		time.Sleep(3 * time.Second) // the graves are gone
		w.catchUp()
		w.agree(engine.Filter{}, 0)
		w.agree(engine.Filter{Status: engine.Failed}, 100)
		// Most of them, which the index finds in another way than a few.
		for i := 9; i < 150; i++ {
			id := fmt.Sprintf("root-%d", i)
			r, err := w.s.Get(t.Context(), id)
			check(t, err)
			check(t, w.s.Delete(t.Context(), id, r.Revision))
		}
		time.Sleep(3 * time.Second)
		w.enqueue(ready("root-9")) // its id is free again
		w.catchUp()
		w.agree(engine.Filter{}, 0)
	})
}

func TestSingleRootsAreForgottenAtTheEndOfTheirTime(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		const retention = 24 * time.Hour // with a shorter one, an executor removes them
		a, b := ready("a"), ready("b")
		a.Policy.Retention, b.Policy.Retention = retention, retention
		w.move(a, claimed(), engine.Returned{At: now()})
		time.Sleep(5 * time.Second)
		w.move(b, claimed(), failed("oh"))
		w.catchUp()
		w.agree(engine.Filter{}, 0)
		time.Sleep(retention - 2*time.Second) // a is over, with its two leases, b is not
		if got := ids(w.find(engine.Filter{}, 0, nil)); got != "b(failed) " {
			t.Errorf("without catching up the index lists %s", got)
		}
		w.catchUp()
		w.agree(engine.Filter{}, 0)
		time.Sleep(retention)
		w.catchUp()
		w.agree(engine.Filter{}, 0)
	})
}

func TestWhatIsNoRecordIsPassedOver(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		put := func(key string, data []byte) {
			t.Helper()
			_, err := w.js.Publish(t.Context(), "$KV.durable-executions."+key, data)
			check(t, err)
		}
		w.move(ready("a"), claimed(), failed("oh"))
		w.move(ready("b"), claimed())
		put("damaged", []byte("no MessagePack"))
		put("a.=page.0", []byte("a page"))
		put("=aside.x.1-2", []byte("set aside"))
		w.catchUp()
		w.agree(engine.Filter{}, 0)
		put("b", []byte{0x80}) // a record that was good
		w.catchUp()
		w.agree(engine.Filter{}, 0)
		// The record of a later version, with a status that is unknown here.
		later, err := codec.Marshal(map[string]any{"v": 99, "executionId": "later", "taskId": "t", "queue": "q", "status": "dreaming", "createdAt": now().UnixMilli()})
		check(t, err)
		put("later", later)
		w.catchUp()
		w.agree(engine.Filter{}, 0)
		w.agree(engine.Filter{Status: "dreaming"}, 0)
	})
}

func TestANamespaceThatIsMadeAnewIsReadAnew(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.move(ready("old"), claimed())
		w.enqueue(ready("queued"))
		w.catchUp()
		w.claim.Close()
		for _, name := range []string{"durable-ready", "durable-timers", "durable-control", "KV_durable-executions"} {
			check(t, w.js.DeleteStream(t.Context(), name))
		}
		check(t, w.s.Close())
		time.Sleep(time.Second)
		var err error
		w.s, err = jsstore.Open(t.Context(), w.nc, jsstore.Config{Lease: lease, Retention: retention})
		check(t, err)
		w.claim, err = w.s.Claim(t.Context(), "q")
		check(t, err)
		w.reopen()
		for i := range 5 {
			w.move(ready(fmt.Sprint("new-", i)), claimed())
		}
		w.catchUp()
		w.agree(engine.Filter{}, 0)
	})
}

func TestAFileThatIsNoIndexIsReplaced(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.move(ready("a"), claimed())
		for what, damage := range map[string]func() error{
			"no database": func() error { return os.WriteFile(w.path, []byte(strings.Repeat("rubbish ", 4096)), 0o600) },
			"half of it":  func() error { return os.Truncate(w.path, 8192) },
			"empty":       func() error { return os.Truncate(w.path, 0) },
		} {
			w.catchUp()
			check(t, w.x.Close())
			check(t, damage())
			w.open()
			if w.catchUp(); !w.agree(engine.Filter{}, 0) {
				t.Error(what)
			}
		}
	})
}

// TestADamagedPageIsNeverMoreThanAnotherBuild damages one page of the file after the other. A
// search that finds the damage throws the file away.
func TestADamagedPageIsNeverMoreThanAnotherBuild(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		for i := range 80 {
			x := ready(fmt.Sprintf("root-%d", i))
			x.Metadata = engine.Metadata{"order": fmt.Sprint(i)}
			w.move(x, claimed(), failed(fmt.Sprint("no such order: ", i)))
		}
		filters := []engine.Filter{{}, {Error: "order: 1"}, {Metadata: engine.Metadata{"order": "7"}}, {Prefix: "root-1"}, {Finished: engine.Span{From: now().Add(-time.Hour)}}}
		w.catchUp()
		check(t, w.x.Close())
		whole, err := os.ReadFile(w.path)
		check(t, err)
		const page = 4096
		thrown := 0
		for at := 0; at < len(whole); at += page * sparing {
			spoilt := slices.Clone(whole)
			for i := range page {
				spoilt[at+i] = byte(i*7 + at)
			}
			for _, suffix := range []string{"-wal", "-shm"} {
				_ = os.Remove(w.path + suffix) // if it is there
			}
			check(t, os.WriteFile(w.path, spoilt, 0o600))
			w.open()
			w.catchUp()
			for _, f := range filters {
				if _, err := w.x.Find(t.Context(), f, engine.Cursor{}, 0); errors.Is(err, index.ErrIncomplete) {
					thrown++
					w.catchUp()
				}
				w.agree(f, 0)
			}
			check(t, w.x.Close())
		}
		if thrown == 0 {
			t.Error("no search came upon a damaged page")
		}
		w.open()
	})
}

func TestAnIndexThatIsLateSaysSo(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		for i := range 50 {
			w.move(ready(fmt.Sprint("x-", i)), claimed())
		}
		past := time.Now().Add(-time.Second)
		p, err := w.x.CatchUp(t.Context(), past, nil)
		check(t, err)
		if p.Complete || p.Left == 0 {
			t.Errorf("progress = %+v, want incomplete, with something left", p)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := w.x.CatchUp(ctx, time.Time{}, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		w.catchUp()
		w.move(ready("new"), claimed())
		if p, err = w.x.CatchUp(t.Context(), past, nil); err != nil || !p.Complete || p.Left == 0 {
			t.Errorf("progress = %+v, %v, want complete, with something left", p, err)
		}
		w.catchUp()
		w.agree(engine.Filter{}, 7)
	})
}
