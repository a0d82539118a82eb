package history

import (
	"slices"

	"github.com/durable-execution/durable/engine"
)

// families finds parents that counted a child twice, not at all, or before it had finished, and
// children that their parent has not spawned.
func (e *evidence) families() {
	children := map[string][]engine.Execution{}
	for _, x := range e.Records {
		if x.Parent == "" {
			continue
		}
		if _, ok := e.records[x.Parent]; !ok {
			e.broken(x.ID, "its parent %s has no record", x.Parent)
		}
		children[x.Parent] = append(children[x.Parent], x)
	}
	for _, p := range e.Records {
		places := map[int]engine.Execution{}
		finalizes := 0
		for _, c := range children[p.ID] {
			switch {
			case c.IsFinalize:
				finalizes++
			case c.Index < 0 || c.Index >= p.Spawned:
				e.broken(c.ID, "is child %d of %s, which has %d", c.Index, p.ID, p.Spawned)
			default:
				if other, taken := places[c.Index]; taken {
					e.broken(c.ID, "and %s are both child %d of %s", other.ID, c.Index, p.ID)
				}
				places[c.Index] = c
			}
		}
		e.counted(p, places, finalizes)
	}
}

// counted checks a finished parent's record against the records of its children.
func (e *evidence) counted(p engine.Execution, children map[int]engine.Execution, finalizes int) {
	if !p.Status.Finished() {
		return
	}
	for i := range 8 * len(p.Ended) {
		c, exists := children[i]
		switch {
		case !p.Ended.Has(i):
		case i >= p.Spawned:
			e.broken(p.ID, "counts child %d of %d", i, p.Spawned)
		case !exists:
			e.broken(p.ID, "counts child %d, which has no record", i)
		case !c.Status.Finished():
			e.broken(p.ID, "counts child %d, but that child is %s", i, c.Status)
		}
	}
	joined := p.Status == engine.Completed || p.Status == engine.FinalizeFailed
	if n := p.Ended.Len(); joined && n != p.Spawned {
		e.broken(p.ID, "is %s, but has counted %d of %d children", p.Status, n, p.Spawned)
	}
	if joined && (p.Finalize != nil) != (finalizes == 1) {
		e.broken(p.ID, "is %s with %d finalizes", p.Status, finalizes)
	}
	for _, f := range p.ChildFailures {
		c, exists := children[f.Index]
		if !exists || c.Status != f.Status || c.ID != f.ID {
			e.broken(p.ID, "says that child %d, %s, is %s, but the child's record says %s", f.Index, f.ID, f.Status, c.Status)
		}
	}
	e.tooEarly(p, children)
}

// tooEarly finds a finalize that began before the children had finished.
func (e *evidence) tooEarly(p engine.Execution, children map[int]engine.Execution) {
	runs := e.below[engine.RootOf(p.ID)]
	begins := slices.IndexFunc(runs, func(r run) bool {
		x, ok := e.records[r.Execution]
		return ok && x.IsFinalize && x.Parent == p.ID
	})
	if begins < 0 {
		return
	}
	for i, c := range children {
		if r := runs[begins]; c.FinishedAt.After(r.At.Add(e.Skew)) {
			e.broken(p.ID, "its finalize began in %s at %s, but child %d finished at %s", r.Process, at(r.At), i, at(c.FinishedAt))
		}
	}
}
