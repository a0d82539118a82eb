package workers

import (
	"fmt"
	"testing"
	"time"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
)

// BenchmarkGroupClosures measures the work on a thousand closures before the parents' records are
// written: it groups the closures by parent, and applies each group. The cost must not depend
// much on the number of parents.
func BenchmarkGroupClosures(b *testing.B) {
	const closures = 1000
	at := time.Now().UTC().Truncate(time.Millisecond)
	for name, parents := range map[string]int{"1-parent": 1, "100-parents": 100, "1k-parents": 1000} {
		b.Run(name, func(b *testing.B) {
			each := closures / parents
			records := map[string]engine.Execution{}
			var messages []engine.ClosureMessage
			for range parents {
				x := engine.Execution{ID: fmt.Sprintf("te_%026d", len(records)), Task: "parent", Queue: engine.DefaultQueue, Status: engine.Ready, CreatedAt: at}
				r := engine.Returned{At: at, Children: make([]engine.Spawn, each+1)} // the parent still waits for one child
				for i := range r.Children {
					r.Children[i] = engine.Spawn{Task: "child", Queue: engine.DefaultQueue, Input: codec.Payload{Type: codec.MsgPack, Data: []byte{1}}}
				}
				for _, ev := range []engine.Event{engine.Claimed{At: at, Executor: "x"}, r} {
					var err error
					if x, _, err = engine.Apply(x, ev); err != nil {
						b.Fatal(err)
					}
				}
				records[x.ID] = x
				for i, c := range x.Children(x.Spawns)[:each] {
					messages = append(messages, engine.ClosureMessage{Closure: engine.Closure{
						Parent: x.ID, ID: c.ID, Task: c.Task, Index: i, Status: engine.Completed,
					}})
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				c := collector{byParent: map[string]*batch{}}
				var first []string
				for _, m := range messages {
					if c.add(m, nil) {
						first = append(first, m.Closure.Parent)
					}
				}
				for _, parent := range first {
					batch := c.next(parent)
					if _, _, err := engine.Apply(records[parent], batch.event()); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*closures), "ns/closure")
		})
	}
}
