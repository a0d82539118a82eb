package semantics_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/workers"
)

// TestOneOfTwoTasksWinsAnID lets callers that do not know of each other use one id for different
// tasks at once. On JetStream, Get first reads the record, which is missing, and then the queue.
// In between, the winner may have run and left the queue, so that Get finds the loser's message.
// So a client that finds a message and no record reads the record once more (Client.same).
func TestOneOfTwoTasksWinsAnID(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		o := newParcel()
		for range 2 {
			w.executor(workers.Config{}, o.bindings()...)
		}
		const ids = 10
		for n := range ids {
			id := engine.ID(fmt.Sprint("o-", n))
			var mu sync.Mutex
			got := map[string]int{}
			var all sync.WaitGroup
			for n := range callers {
				all.Go(func() {
					task := []engine.Task[string, string]{o.task, o.other}[n%2]
					_, err := task.Enqueue(w.ctx, engine.NewClient(w.store), "in", id)
					mu.Lock()
					defer mu.Unlock()
					switch {
					case err == nil:
						got[task.ID()]++
					case !errors.Is(err, engine.ErrIDConflict):
						t.Error(err)
					}
				})
			}
			all.Wait()
			winner := w.get(string(id)).Task
			if len(got) != 1 || got[winner] != callers/2 {
				t.Errorf("handles to %s: %v, want %d to %s alone", id, got, callers/2, winner)
			}
		}
		pass(time.Hour)
		equal(t, "runs", len(o.ran.all()), ids)
		equal(t, "executions", w.count(), ids)
	})
}
