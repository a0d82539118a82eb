package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/durable-execution/durable/engine"
)

// settling is how long the view waits, after the watched execution has finished, until the
// executions below it have finished too.
const settling = 2 * time.Second

// watchTree shows a tree and keeps it up to date until the execution id has finished. Then it
// returns the tree, or nil if the user left the view before.
func (a *app) watchTree(ctx context.Context, s *store, id string) (*node, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// Subscribe before reading, so that the end can't be missed.
	changes, err := s.changes(ctx, engine.RootOf(id))
	if err != nil {
		return nil, err
	}
	g := &growing{s: s, id: id, changed: make(chan struct{}, 1)}
	if err := g.read(ctx); err != nil {
		return nil, err
	}
	n, ended := g.now()
	switch {
	case n == nil:
		return nil, engine.ErrNotFound
	case n.settled() || ended && s.own:
		return n, nil
	case s.own:
		return nil, a.nobodyExecutes()
	}
	var following sync.WaitGroup
	defer following.Wait()
	defer stop()
	following.Go(func() { g.follow(ctx, changes) })
	var lost vigil
	if a.out.terminal && !a.json {
		following.Go(func() { lost.keep(ctx, s, g.list, g.redraw) })
	}
	if a.out.terminal && !a.json {
		err = a.live(ctx, g.changed, func(on *app, v *viewport) (bool, error) {
			if n, ended = g.now(); n != nil && !ended {
				n.lose(lost.now())
				v.head = treeHead(n)
				on.printTree(n.only(v), time.Now(), v.room())
			}
			return ended, g.failure()
		})
	} else {
		ended, err = true, g.end(ctx)
	}
	if !ended || err != nil {
		return nil, err
	}
	if n, err = grow(ctx, s, id); err == nil { // the last executions may have appeared without a change
		n.lose(s.lost(ctx, n.all(nil)))
	}
	return n, err
}

// only returns the tree with the executions that match the filter, and their ancestors.
func (n *node) only(v *viewport) *node {
	if v.filter == "" {
		return n
	}
	pruned := &node{Execution: n.Execution, lost: n.lost}
	for _, b := range n.below {
		if b = b.only(v); len(b.below) > 0 || v.shows(b.ID, b.Task, string(b.Status), errorOf(b.Execution), pairsOf(b.Metadata)) {
			pruned.below = append(pruned.below, b)
		}
	}
	return pruned
}

// A growing is the state of a live tree. It rereads the whole tree when there may be new
// executions: a queued execution has no record yet, so no change announces it.
type growing struct {
	s       *store
	id      string
	changed chan struct{} // receives a value after each change

	mu    sync.Mutex
	all   map[string]engine.Execution
	ended time.Time // when the view first saw that the execution had finished
	err   error
}

func (g *growing) read(ctx context.Context) error {
	all, err := readTree(ctx, g.s, g.id)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all = all
	return nil
}

// now returns the current tree, and whether there will be no more changes.
func (g *growing) now() (n *node, ended bool) {
	g.mu.Lock()
	all := maps.Clone(g.all)
	g.mu.Unlock()
	n = grown(all, g.id)
	if n == nil || !n.Status.Finished() {
		return n, false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended.IsZero() {
		g.ended = time.Now()
	}
	return n, n.settled() || time.Since(g.ended) > settling
}

func (g *growing) failure() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// end returns once there will be no more changes.
func (g *growing) end(ctx context.Context) error {
	tick := time.NewTicker(frame)
	defer tick.Stop()
	for {
		_, ended := g.now()
		if err := g.failure(); ended || err != nil {
			return err
		}
		select {
		case <-g.changed:
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// follow applies changes until there are no more; they end with ctx.
func (g *growing) follow(ctx context.Context, changes func(func(engine.Execution, error) bool)) {
	var rest time.Time // don't reread the tree before then: a large one takes a while
	for x, err := range changes {
		if err != nil {
			g.mu.Lock()
			g.err = err
			g.mu.Unlock()
		} else if began := time.Now(); g.take(x) && began.After(rest) {
			_ = g.read(ctx) // if the server is gone, the changes end with an error too
			rest = time.Now().Add(10 * time.Since(began))
		}
		g.redraw()
	}
}

// redraw asks for a redraw of the tree.
func (g *growing) redraw() {
	select {
	case g.changed <- struct{}{}:
	default: // a redraw is pending already
	}
}

// list returns the executions of the tree.
func (g *growing) list() []engine.Execution {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Collect(maps.Values(g.all))
}

// take applies a change, and reports whether there may be new executions below it.
func (g *growing) take(x engine.Execution) (more bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	before, known := g.all[x.ID]
	g.all[x.ID] = x
	return !known || x.Spawned > before.Spawned || (x.Status == engine.WaitingForFinalize && before.Status != x.Status)
}

// fit shortens the tree to height lines. It folds adjacent settled siblings into one line. If
// that is not enough, it cuts lines at the end. It returns how many executions it cut.
func fit(limbs []limb, height int) (shown []limb, left int) {
	lines := func(list []limb) (n int) {
		for _, l := range list {
			n += l.height()
		}
		return n
	}
	if lines(limbs) <= height {
		return limbs, 0
	}
	for i := 0; i < len(limbs); {
		j := i
		for j < len(limbs) && limbs[j].status != "" && limbs[j].depth == limbs[i].depth {
			j++
		}
		if j-i < 2 {
			shown = append(shown, limbs[i])
			i++
			continue
		}
		shown = append(shown, together(limbs[i:j]))
		i = j
	}
	if lines(shown) <= height {
		return shown, 0
	}
	for len(shown) > 2 && lines(shown) > height {
		left += shown[len(shown)-1].stands
		shown = shown[:len(shown)-1]
	}
	return shown, left
}

// together returns one line for several settled executions.
func together(limbs []limb) limb {
	l := limb{depth: limbs[0].depth, status: limbs[0].status}
	counts := map[engine.Status]int{}
	for _, one := range limbs {
		counts[one.status]++
		l.stands += one.stands
	}
	var list []string
	for _, s := range slices.Sorted(maps.Keys(counts)) {
		list = append(list, grouped(counts[s])+" "+string(s))
	}
	l.name = fmt.Sprintf("%s ended: %s", grouped(len(limbs)), strings.Join(list, ", "))
	return l
}
