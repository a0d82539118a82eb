package semantics_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/workers"
)

var (
	chaosSeeds = flag.Int("chaos-seeds", 40, "how many lives of a restless fleet to try on memstore, and a quarter of it on JetStream; a fifth under the race detector")
	chaosFirst = flag.Uint64("chaos-first", 1, "the first seed")
)

// A plant is a random tree whose inputs say how each execution has to end.
type plant struct {
	Nap      time.Duration
	Fails    int // how many attempts fail
	Retry    engine.Retry
	WaitAll  bool
	Branches []plant
}

func growPlant(r *rand.Rand, depth int) plant {
	p := plant{
		Nap:     []time.Duration{0, 10 * time.Millisecond, 300 * time.Millisecond, 7 * time.Second}[r.IntN(4)],
		WaitAll: r.IntN(2) == 0,
		Retry:   engine.Retry{MaxRetries: 2, BaseDelay: []time.Duration{0, 300 * time.Millisecond, 4 * time.Second}[r.IntN(3)]},
	}
	if r.IntN(3) == 0 {
		p.Fails = 1 + r.IntN(3)
	}
	if depth > 0 {
		for range r.IntN(4) {
			p.Branches = append(p.Branches, growPlant(r, depth-1))
		}
	}
	return p
}

// ends returns how the root of p ends, and its output if it completes.
func (p plant) ends() (engine.Status, int) {
	if p.Fails > p.Retry.MaxRetries {
		return engine.Failed, 0
	}
	sum := 1
	for _, b := range p.Branches {
		status, n := b.ends()
		if status != engine.Completed && !p.WaitAll {
			return engine.ChildrenFailed, 0
		}
		sum += n
	}
	return engine.Completed, sum
}

func (p plant) options() []engine.Option {
	policy := engine.FailFast
	if p.WaitAll {
		policy = engine.WaitAll
	}
	return []engine.Option{p.Retry, policy}
}

var plants = engine.Define[plant, int]("plant")

func plantBinding() engine.Binding {
	return engine.BindParent(plants, func(ctx context.Context, p plant, c *engine.Children) (int, error) {
		select {
		case <-time.After(p.Nap):
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
		if engine.FromContext(ctx).Attempt < p.Fails {
			return 0, errLuck
		}
		for _, b := range p.Branches {
			plants.Spawn(c, b, b.options()...)
		}
		return len(p.Branches), nil
	}, func(_ context.Context, j engine.Joined[plant, int]) (int, error) {
		sum := 1
		for _, r := range plants.Results(j.Children) {
			n, err := r.Get()
			failed := (*engine.ChildError)(nil)
			if err != nil && (!errors.As(err, &failed) || !j.Input.WaitAll) {
				return 0, err
			}
			sum += n
		}
		return sum, nil
	})
}

// TestTreesEndAsTheyShouldInARestlessFleet kills, stalls and stops executors at random while
// random trees run, and cancels some of the trees. The other trees end as they would without
// these faults. All executions finish and are closed, and no work is left.
func TestTreesEndAsTheyShouldInARestlessFleet(t *testing.T) {
	for name, test := range map[string]struct {
		in    func(*testing.T, func(*testing.T, *world))
		seeds int
	}{"memstore": {onMemstore, *chaosSeeds / sparing}, "jetstream": {onJetStream, *chaosSeeds / 4 / sparing}} {
		t.Run(name, func(t *testing.T) {
			for seed := *chaosFirst; seed < *chaosFirst+uint64(test.seeds); seed++ {
				t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
					test.in(t, func(t *testing.T, w *world) { w.restless(rand.New(rand.NewPCG(seed, 0))) })
				})
			}
		})
	}
}

func (w *world) restless(r *rand.Rand) {
	t := w.t
	w.calls = &journal{}
	config := workers.Config{Drain: workers.NoDrain, Slots: 8, CrashCap: 1000}
	hire := func() *executor { return w.tapped(config, plantBinding()) }
	fleet := []*executor{hire(), hire(), hire()}

	type tree struct {
		plant
		engine.Handle[int]
		cancelled bool
	}
	var trees []*tree
	for range 10 {
		p := growPlant(r, 3)
		trees = append(trees, &tree{plant: p, Handle: enqueue(w, plants, p, p.options()...)})
	}
	for range 40 {
		time.Sleep(time.Duration(r.Int64N(int64(5 * time.Second))))
		switch i := r.IntN(len(fleet)); r.IntN(5) {
		case 0: // kill it
			fleet[i].tap.kill()
			fleet[i].stop()
			fleet[i] = hire()
		case 1: // stall it, sometimes for longer than a lease
			fleet[i].stall(time.Duration(r.Int64N(int64(3 * lease))))
		case 2: // shut it down
			fleet[i].stop()
			fleet[i] = hire()
		case 3: // cancel a tree, or a branch of it
			tree := trees[r.IntN(len(trees))]
			id := tree.ID() + []string{"", ".0", ".1", ".f", ".0-0", ".0-f", ".1-0-1"}[r.IntN(7)]
			err := w.client.Cancel(t.Context(), id, "enough")
			switch {
			case err == nil:
				tree.cancelled = true
			case !errors.Is(err, engine.ErrFinished) && !errors.Is(err, engine.ErrNotFound):
				t.Errorf("cancel %s: %v", id, err)
			}
		}
	}
	hire() // one executor without faults
	for n, tree := range trees {
		out, err := tree.Wait(w.ctx)
		if w.ctx.Err() != nil {
			t.Fatalf("tree %d, %s, does not end: %+v\n%s", n, tree.ID(), w.get(tree.ID()), w.calls.about(tree.ID()))
		}
		if tree.cancelled {
			continue
		}
		status, want := tree.ends()
		if x := w.get(tree.ID()); x.Status != status || out != want {
			t.Errorf("tree %d, %s: %s with %d (%v), want %s with %d", n, tree.ID(), x.Status, out, err, status, want)
		}
	}
	pass(10 * time.Minute)
	for x, err := range w.client.List(w.ctx, engine.Filter{}) {
		check(t, err)
		if x = w.get(x.ID); !x.Status.Finished() || !x.Closed {
			t.Errorf("%s: %s, closed %v (%v)", x.ID, x.Status, x.Closed, x.Failure)
		}
	}
}
