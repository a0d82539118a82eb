package engine

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// lifecycle applies every event to executions in every status. For each edge of the diagram it
// returns the names of the events.
var lifecycle = sync.OnceValue(func() map[string][]string {
	edges := map[string][]string{}
	for _, x := range lives() {
		for _, ev := range events() {
			next, _, err := Apply(x, ev)
			if err != nil {
				continue
			}
			edge := fmt.Sprintf("%s --> %s", x.Status, next.Status)
			if !slices.Contains(edges[edge], eventName(ev)) {
				edges[edge] = append(edges[edge], eventName(ev))
			}
		}
	}
	return edges
})

// diagram draws the lifecycle, with the statuses in the order of a life.
func diagram() string {
	edges := lifecycle()
	var b strings.Builder
	fmt.Fprintf(&b, "stateDiagram-v2\n    [*] --> %s\n", Ready)
	for _, from := range Statuses() {
		for _, to := range Statuses() {
			edge := fmt.Sprintf("%s --> %s", from, to)
			if names := slices.Sorted(slices.Values(edges[edge])); len(names) > 0 {
				fmt.Fprintf(&b, "    %s : %s\n", edge, strings.Join(names, ", "))
			}
		}
		if from.Finished() {
			fmt.Fprintf(&b, "    %s --> [*]\n", from)
		}
	}
	return b.String()
}

func TestDiagramShowsWhatApplyDoes(t *testing.T) {
	golden(t, "lifecycle.mmd", []byte(diagram()))
}

func TestDiagramInTheDesignShowsWhatApplyDoes(t *testing.T) {
	design, err := os.ReadFile("DESIGN.md")
	if err != nil {
		t.Fatal(err)
	}
	for block := range strings.SplitSeq(string(design), "```mermaid\n") {
		block, _, closed := strings.Cut(block, "```")
		if !closed || !strings.HasPrefix(block, "stateDiagram-v2") {
			continue
		}
		if want := diagram(); block != want {
			t.Errorf("DESIGN.md has:\n%s\nwant, as in engine/testdata/lifecycle.mmd:\n%s", block, want)
		}
		return
	}
	t.Error("DESIGN.md has no mermaid block with a stateDiagram-v2")
}
