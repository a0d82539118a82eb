package semantics_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"pgregory.net/rapid"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/workers"
)

// TestTreesEndAsTheModelSays runs random trees of random tasks, and compares each of them with the
// model. A forest has 36 trees on average; -rapid.checks=1000 tries ten times as many forests.
// rapid shrinks a forest that fails, shows it, and keeps it in a file for -rapid.failfile.
func TestTreesEndAsTheModelSays(t *testing.T) {
	for name, store := range map[string]struct {
		in    func(*testing.T, func(*testing.T, *world))
		share int // of the checks, in percent
		model model
	}{
		"memstore":  {onMemstore, 55, model{late: time.Millisecond}},
		"jetstream": {onRAM, 28, model{late: late}},
	} {
		t.Run(name, func(t *testing.T) {
			checks := flag.Lookup("rapid.checks")
			all := checks.Value.String()
			n, err := strconv.Atoi(all)
			check(t, err)
			check(t, checks.Value.Set(strconv.Itoa(max(n*store.share/100/sparing, 1))))
			defer func() { _ = checks.Value.Set(all) }()
			forests, sum := forests(), figures{}
			rapid.Check(t, func(rt *rapid.T) {
				f := forests.Draw(rt, "forest")
				g := &growth{forest: f, model: store.model}
				store.in(t, func(_ *testing.T, w *world) { g.grow(w) })
				for _, wrong := range g.wrong {
					rt.Error(wrong)
				}
				sum.add(g.sum)
			})
			t.Logf("%d trees, of which a race decides %d; %d executions, %d; %d attempts", sum.trees, sum.vagueTrees, sum.executions, sum.vague, sum.attempts)
			if sum.vagueTrees > sum.trees/4 {
				t.Errorf("%d trees of %d are decided by a race: the model says too little", sum.vagueTrees, sum.trees)
			}
		})
	}
}

// onRAM is onJetStream with the server's files in memory if the machine allows that: on a busy
// disk, a server spends most of its time waiting for renames of files. Finished executions are
// kept for ever, without a timer, so that only records are left at the end.
func onRAM(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	if shm, err := os.MkdirTemp("/dev/shm", "durable"); err == nil {
		t.Setenv("TMPDIR", shm)
		defer func() { _ = os.RemoveAll(shm) }()
	}
	onNamespace(t, jsstore.Config{Retention: engine.Forever}, fn)
}

type figures struct{ trees, vagueTrees, executions, vague, attempts int }

func (s *figures) add(o figures) {
	s.trees += o.trees
	s.vagueTrees += o.vagueTrees
	s.executions += o.executions
	s.vague += o.vague
	s.attempts += o.attempts
}

// A growth is a forest that runs.
type growth struct {
	forest
	model
	sum figures

	mu       sync.Mutex
	wrong    []string
	began    map[string][]time.Time      // when the attempts began, by execution
	finished map[string]engine.Execution // the first record of each finished execution
	answers  map[string]map[string]error // the results of Cancel, by root and by the rest of the id
}

func (g *growth) errorf(format string, args ...any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.wrong) < 20 {
		g.wrong = append(g.wrong, fmt.Sprintf(format, args...))
	}
}

// begin is called at the start of each attempt.
func (g *growth) begin(r engine.Run) {
	g.mu.Lock()
	n := len(g.began[r.ExecutionID])
	g.began[r.ExecutionID] = append(g.began[r.ExecutionID], now())
	g.mu.Unlock()
	if r.Attempt != n {
		g.errorf("%s: attempt %d is the run %d of its code", r.ExecutionID, r.Attempt, n)
	}
	if (r.PrevError != nil) != (n > 0) {
		g.errorf("%s: attempt %d is told of the error %v", r.ExecutionID, n, r.PrevError)
	}
}

// A witness is a store that reports all writes of executors to g.
type witness struct {
	engine.Store
	g *growth
}

func (s witness) Update(ctx context.Context, x engine.Execution, at engine.Revision) (engine.Revision, error) {
	r, err := s.Store.Update(ctx, x, at)
	if err == nil {
		s.g.saw(x)
	}
	return r, err
}

// saw checks that a finished execution does not change.
func (g *growth) saw(x engine.Execution) {
	if !x.Status.Finished() {
		return
	}
	g.mu.Lock()
	first, again := g.finished[x.ID]
	if !again {
		g.finished[x.ID] = x
	}
	g.mu.Unlock()
	if again && (first.Status != x.Status || !first.FinishedAt.Equal(x.FinishedAt) || string(first.Output.Data) != string(x.Output.Data) || first.OutputOf != x.OutputOf) {
		g.errorf("%s: %s at %s became %s at %s", x.ID, first.Status, first.FinishedAt, x.Status, x.FinishedAt)
	}
}

// grow runs the forest in a world. It notes errors in g, and does not fail the test itself,
// because rapid must learn of the failure.
func (g *growth) grow(w *world) {
	g.began, g.finished, g.answers = map[string][]time.Time{}, map[string]engine.Execution{}, map[string]map[string]error{}
	var fleet []*executor
	for _, queues := range g.Fleet {
		fleet = append(fleet, w.start(witness{w.store, g}, workers.Config{Slots: g.Slots, Queues: evenly(queues...)}, forestBindings(g.begin)))
	}
	began := now()
	ids := make([]string, len(g.Trees))
	var cancels sync.WaitGroup
	for i, tree := range g.Trees {
		var opts []engine.Option
		if tree.Named {
			opts = append(opts, engine.ID(fmt.Sprint("tree-", i)))
		}
		id, err := tree.enqueue(w.ctx, w.client, opts...)
		if err != nil {
			g.errorf("enqueue tree %d: %v", i, err)
			return
		}
		answers := map[string]error{}
		ids[i], g.answers[id] = id, answers
		for at, when := range tree.Cancels {
			cancels.Go(func() {
				time.Sleep(time.Until(began.Add(when)))
				err := w.client.Cancel(w.ctx, id+at, "enough")
				g.mu.Lock()
				defer g.mu.Unlock()
				answers[at] = err
			})
		}
	}
	cancels.Wait()
	for i, id := range ids {
		if _, err := w.client.Wait(w.ctx, id); err != nil {
			g.errorf("tree %d does not end: %v", i, err)
			return
		}
	}
	pass(10 * time.Minute)
	stored := map[string]map[string]engine.Execution{}
	for x, err := range w.client.List(w.ctx, engine.Filter{}) {
		if err != nil {
			g.errorf("list: %v", err)
			return
		}
		if stored[x.Root()] == nil {
			stored[x.Root()] = map[string]engine.Execution{}
		}
		stored[x.Root()][strings.TrimPrefix(x.ID, x.Root())] = x
	}
	for i, id := range ids {
		g.compare(w, i, g.Trees[i], id, began, stored[id])
		delete(stored, id)
	}
	if len(stored) > 0 {
		g.errorf("nobody has enqueued %v", slices.Collect(maps.Keys(stored)))
	}
	for _, e := range fleet {
		e.stop()
		if err := <-e.done; err != nil {
			g.errorf("run: %v", err)
		}
	}
	g.nothingLeft(w)
}

// compare compares a tree with the model.
func (g *growth) compare(w *world, i int, tree sapling, id string, began time.Time, stored map[string]engine.Execution) {
	m := g.model
	if m.cancels = tree.Cancels; g.Slots == few {
		m.slot = unknown
	}
	root := m.fate("", tree.node, span{}, span{never, never})
	g.sum.trees++
	g.sum.executions += len(stored)
	if root.vague {
		g.sum.vagueTrees++
	}
	wrong := func(at, format string, args ...any) {
		x := stored[at]
		g.errorf("tree %d, %s (%s of %s, %v): %s", i, id+at, x.Status, x.Task, x.Failure, fmt.Sprintf(format, args...))
	}
	for at, x := range stored {
		g.sum.attempts += len(g.began[x.ID])
		if x, err := w.client.Get(w.ctx, x.ID); err != nil || !x.Status.Finished() || !x.Closed {
			wrong(at, "it is %s, closed %v, %v", x.Status, x.Closed, err)
		}
		if n := len(g.began[x.ID]); n > x.Attempt+1 || n <= x.Attempt && !(n == x.Attempt && x.Status == engine.Cancelled) && !strings.HasPrefix(x.Task, line) {
			wrong(at, "its code ran %d times, and it is at attempt %d", n, x.Attempt)
		}
		for _, began := range g.began[x.ID] {
			if began.After(x.FinishedAt) {
				wrong(at, "an attempt began at %s, but it had finished at %s", began, x.FinishedAt)
			}
		}
		if x.Status == engine.Completed && x.Ended.Len() != x.Spawned {
			wrong(at, "it has counted %d of %d children", x.Ended.Len(), x.Spawned)
		}
	}
	var unclear []string
	expected := map[string]bool{}
	var visit func(f fate)
	visit = func(f fate) {
		expected[f.id] = true
		x, ok := stored[f.id]
		switch {
		case f.vague:
			unclear = append(unclear, f.id)
			if ok && f.or != "" && x.Status != f.status && x.Status != f.or {
				wrong(f.id, "want %s or %s", f.status, f.or)
			}
			return
		case !ok:
			wrong(f.id, "it does not exist, want it %s", f.status)
			return
		case x.Status != f.status:
			wrong(f.id, "want %s", f.status)
		}
		if n := len(g.began[x.ID]); n != f.attempts && !strings.HasPrefix(x.Task, line) {
			wrong(f.id, "%d attempts, want %d", n, f.attempts)
		}
		if ended := x.FinishedAt.Sub(began); ended < f.at.from.Truncate(time.Millisecond) || ended > f.at.to+margin {
			wrong(f.id, "it finished after %s, want between %s and %s", ended, f.at.from, f.at.to)
		}
		if f.status == engine.Completed {
			out, err := w.client.Output(w.ctx, x)
			said := sayOne(engine.EndedChild{Task: x.Task, Status: x.Status, Output: out})
			whole := !x.IsFinalize && x.Task != walk && x.Task != stride // the outputs of finalizes and steps contain earlier outputs
			if err != nil || whole && said != f.said {
				wrong(f.id, "its output is %s, %v, want %s", said, err, f.said)
			}
		}
		for _, c := range f.below {
			visit(c)
		}
	}
	visit(root)
	vague := func(at string) bool {
		return slices.ContainsFunc(unclear, func(top string) bool { return strings.HasPrefix(at, top) })
	}
	hits := map[string]bool{}
	var find func(f fate)
	find = func(f fate) {
		hits[f.id] = f.hit
		for _, c := range f.below {
			find(c)
		}
	}
	find(root)
	for at := range stored {
		if vague(at) {
			g.sum.vague++
		} else if !expected[at] {
			wrong(at, "it should not exist")
		}
	}
	for at, err := range g.answers[id] {
		if !vague(at) && (err == nil) != hits[at] {
			wrong(at, "cancel: %v, want a hit: %v", err, hits[at])
		}
		if err != nil && !errors.Is(err, engine.ErrFinished) && !errors.Is(err, engine.ErrNotFound) {
			wrong(at, "cancel: %v", err)
		}
	}
}

// nothingLeft checks that the store has no work left for an executor. It allows expiries, which
// are there to remove records that may have been written too late.
func (g *growth) nothingLeft(w *world) {
	if w.nc != nil {
		js, err := jetstream.New(w.nc)
		check(w.t, err)
		for _, name := range []string{"durable-ready", "durable-timers", "durable-control"} {
			s, err := js.Stream(w.ctx, name)
			check(w.t, err)
			info, err := s.Info(w.ctx, jetstream.WithSubjectFilter(">"))
			check(w.t, err)
			for subject, n := range info.State.Subjects {
				if !strings.Contains(subject, ".=expire.") {
					g.errorf("%d messages are left in %s, on %s", n, name, subject)
				}
			}
		}
		return
	}
	for _, queue := range []string{engine.DefaultQueue, "other"} {
		feed, err := w.store.Claim(w.ctx, queue)
		check(w.t, err)
		left(g, "executions in "+queue, feed)
	}
	closures, err := w.store.Closures(w.ctx)
	check(w.t, err)
	left(g, "closures", closures)
	cancels, err := w.store.Cancels(w.ctx)
	check(w.t, err)
	left(g, "cancels", cancels)
}

// left checks that a feed delivers nothing, now or in an hour.
func left[M any](g *growth, what string, feed engine.Feed[M]) {
	feed.Request(100)
	pass(time.Hour)
	n := 0
	for {
		select {
		case <-feed.Messages():
			n++
			continue
		default:
		}
		break
	}
	if n > 0 {
		g.errorf("%d %s are left", n, what)
	}
	feed.Close()
}
