package history

import (
	"fmt"

	"github.com/durable-execution/durable/engine"
)

// lives gives the events of every life of an id but the last a name of their own, ROOT@0 for
// the first: what holds for an execution holds for each life, and what was removed may come
// back under no other. The records are those of the last.
func (h History) lives() (named History, renewed map[string]bool) {
	renewed, last := map[string]bool{}, map[string]int{}
	for _, e := range h.Events {
		if e.Kind == Renewed {
			last[engine.RootOf(e.Execution)]++
		}
	}
	if len(last) == 0 {
		return h, renewed
	}
	events, life := make([]Event, len(h.Events)), map[string]int{}
	name := func(root string) string {
		if n := life[root]; n < last[root] {
			return fmt.Sprintf("%s@%d", root, n)
		}
		return root
	}
	for i, e := range h.Events {
		root := engine.RootOf(e.Execution)
		if e.Kind == Renewed {
			life[root]++
			renewed[name(root)] = true
		}
		if last[root] > 0 {
			e.Execution = name(root) + e.Execution[len(root):]
		}
		events[i] = e
	}
	h.Events = events
	return h, renewed
}
