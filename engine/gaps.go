package engine

import (
	"cmp"
	"fmt"
	"slices"
)

// A Gap is a task whose executions must wait, because no present executor can run them.
type Gap struct {
	Task string
	// From is the task that leads to Task, as a child, a step or a finalize. It is empty if the
	// executor has a binding for Task, but no executor with a binding serves its queue.
	From string
	// Queue is the queue that no executor with a binding serves. It is empty if no executor has
	// a binding.
	Queue string
}

// String describes the gap.
func (g Gap) String() string {
	if g.From == "" {
		return fmt.Sprintf("task %q goes to queue %s, but no executor that binds the task serves this queue", g.Task, g.Queue)
	}
	return fmt.Sprintf("task %q leads to task %q, which no executor binds", g.From, g.Task)
}

// Gaps returns the gaps of an executor, from its bindings, the queues that it serves, and the
// presences of the other executors. It reports two kinds: a task that the executor binds,
// whose default queue no executor with a binding serves; and a task that no executor binds,
// although a task of this executor leads to it: as a step, as a finalize or as a child.
// Spawned has the children: the id of each spawned task, and the id of the task that spawned it.
func Gaps(bindings map[string]Binding, queues map[string]int, spawned map[string]string, others []Presence) []Gap {
	var gaps []Gap
	leads := map[string]string{}
	for child, parent := range spawned {
		leads[child] = parent
	}
	for id, b := range bindings {
		for _, d := range b.follow {
			leads[d.ID] = id
		}
		queue := b.Bound().Queue
		served := func(p Presence) bool { return p.Binds(id) && p.Serves(queue) }
		if queues[queue] == 0 && !slices.ContainsFunc(others, served) {
			gaps = append(gaps, Gap{Task: id, Queue: queue})
		}
	}
	for id, from := range leads {
		_, here := bindings[id]
		if !here && !slices.ContainsFunc(others, func(p Presence) bool { return p.Binds(id) }) {
			gaps = append(gaps, Gap{Task: id, From: from})
		}
	}
	slices.SortFunc(gaps, func(x, y Gap) int { return cmp.Or(cmp.Compare(x.Task, y.Task), cmp.Compare(x.From, y.From)) })
	return gaps
}
