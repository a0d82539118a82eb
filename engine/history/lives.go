package history

import (
	"fmt"

	"github.com/durable-execution/durable/engine"
)

// lives renames the executions of earlier lives of an id: ROOT@0 in the first life, ROOT@1 in the
// second, and so on. So the rules about one execution apply to each life, and no life can be taken
// for another. Only the last life keeps the name, because the records are of the last life.
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
