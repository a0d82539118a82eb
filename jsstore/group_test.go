package jsstore_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/storetest"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/jstest"
)

// TestStoreContractWithGroupedWrites groups as soon as two writes come together.
func TestStoreContractWithGroupedWrites(t *testing.T) {
	storetest.Run(t, func(t *testing.T, fn func(t *testing.T, s engine.Store)) {
		jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) { fn(t, grouping(t, nc)) })
	})
}

// grouping opens a store that groups as soon as two writes come together.
func grouping(t *testing.T, nc *nats.Conn) *jsstore.Store {
	t.Helper()
	s := jstest.Open(t, nc, contractual(jsstore.Config{GroupWrites: true}))
	s.GroupFrom(2)
	return s
}

// TestOneWriteThatIsRefusedDoesNotKeepTheOthersOfItsGroup writes many records at once. For each
// tenth it states a wrong revision. Then it asks for the revisions of the written ones.
func TestOneWriteThatIsRefusedDoesNotKeepTheOthersOfItsGroup(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		s := grouping(t, nc)
		batches, err := nc.SubscribeSync("$KV.durable-executions.>")
		if err != nil {
			t.Fatal(err)
		}
		for _, stale := range []engine.Revision{0, 7} { // a group without a refused write, and one with refused writes
			var all sync.WaitGroup
			for i := range 50 {
				x := engine.Execution{ID: fmt.Sprintf("x-%d-%d", stale, i), Task: "task", Queue: "default", Status: engine.Ready}
				at := engine.Revision(0)
				if i%10 == 9 {
					at = stale
				}
				all.Go(func() {
					revision, err := s.Update(t.Context(), x, at)
					if at != 0 {
						if !errors.Is(err, engine.ErrConflict) {
							t.Errorf("%s at revision %d: %v, want a conflict", x.ID, at, err)
						}
						return
					}
					r, getErr := s.Get(t.Context(), x.ID)
					if err != nil || getErr != nil || r.Revision != revision {
						t.Errorf("%s: revision %d, %v; read %d, %v", x.ID, revision, err, r.Revision, getErr)
					}
				})
			}
			all.Wait()
		}
		grouped := 0
		for {
			m, err := batches.NextMsg(0)
			if err != nil {
				break
			}
			if m.Header.Get("Nats-Batch-Id") != "" {
				grouped++
			}
		}
		if grouped < 50 {
			t.Errorf("%d messages came in a group, want most of 100: the test tests nothing", grouped)
		}
	})
}

// TestAStreamThatTakesNoBatchesIsWrittenOneByOne uses a stream as an earlier version created
// it.
func TestAStreamThatTakesNoBatchesIsWrittenOneByOne(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		s := grouping(t, nc)
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		st, err := js.Stream(t.Context(), "durable-ready")
		if err != nil {
			t.Fatal(err)
		}
		c := st.CachedInfo().Config
		c.AllowAtomicPublish = false
		if _, err := js.UpdateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			var due []engine.Due
			for range 100 {
				due = append(due, engine.Due{Execution: engine.Execution{ID: nuid.Next(), Task: "task", Queue: "default"}})
			}
			if err := s.Enqueue(t.Context(), due...); err != nil {
				t.Error(err)
			}
		}
		st, err = js.Stream(t.Context(), "durable-ready")
		if err != nil {
			t.Fatal(err)
		}
		if n := st.CachedInfo().State.Msgs; n != 200 {
			t.Errorf("%d messages in the queue, want 200", n)
		}
	})
}

// TestWritesOverRevisionsGoInGroupsToo watches the published messages: a batch that the server
// refuses would be published once more, one by one.
func TestWritesOverRevisionsGoInGroupsToo(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		s := grouping(t, nc)
		const n = 60
		revisions := make([]engine.Revision, n)
		write := func(status engine.Status) {
			t.Helper()
			var all sync.WaitGroup
			for i := range n {
				all.Go(func() {
					x := engine.Execution{ID: fmt.Sprint("x", i), Task: "task", Queue: "default", Status: status}
					var err error
					if revisions[i], err = s.Update(t.Context(), x, revisions[i]); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
		}
		write(engine.Ready)
		published, err := nc.SubscribeSync("$KV.durable-executions.>")
		if err != nil {
			t.Fatal(err)
		}
		write(engine.Running)
		together, all := 0, 0
		for m, err := published.NextMsg(0); err == nil; m, err = published.NextMsg(0) {
			all++
			if m.Header.Get("Nats-Batch-Id") != "" && m.Header.Get("Nats-Rollup") == "sub" {
				together++
			}
		}
		if all != n || together < n/2 {
			t.Errorf("%d writes were published as %d messages, %d of them together: want no more, and most together", n, all, together)
		}
		if got := jstest.StreamInfo(t, nc, "KV_durable-executions").State.Msgs; got != n+1 {
			t.Errorf("the bucket has %d messages, want one a record and the namespace's", got)
		}
	})
}
