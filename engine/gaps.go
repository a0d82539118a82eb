package engine

import (
	"cmp"
	"fmt"
	"slices"
)

// A Gap is a task whose executions wait, by what the executors that are there say, since
// none of them can run one.
type Gap struct {
	Task string
	// From is the task that leads to it, as a child, a step or a finalize. Empty if it is
	// bound by the executor that asks, and its queue is not served.
	From string
	// Queue is the queue that is not served; empty if nobody binds the task.
	Queue string
}

// String says what is wrong.
func (g Gap) String() string {
	if g.From == "" {
		return fmt.Sprintf("task %q goes to queue %s, which no executor that binds it serves", g.Task, g.Queue)
	}
	return fmt.Sprintf("task %q leads to task %q, which no executor binds", g.From, g.Task)
}

// Gaps returns what is missing for the tasks that an executor binds and the queues that it
// serves, with others present: a queue, of the definition of a task that it binds; and
// whoever binds what its tasks lead to, which are their steps and finalizes, and spawned,
// from the id of a task that was spawned to that of its parent.
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
