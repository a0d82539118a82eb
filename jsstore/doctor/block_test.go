package doctor_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/doctor"
	"github.com/durable-execution/durable/jsstore/embedded"
	"github.com/durable-execution/durable/jsstore/jstest"
)

// A server that finds a damaged block drops the part that it can't read, and tells its clients
// nothing.
func TestDamagedBlockIsTold(t *testing.T) {
	for _, c := range []struct {
		name string
		ran  int     // how many have been delivered
		at   float64 // position in the block
	}{{"some ran, damaged in the middle", 100, 0.5}, {"some ran, damaged early", 500, 0.3}} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			start := func() (*embedded.Server, *nats.Conn) {
				t.Helper()
				s, err := embedded.Start(t.Context(), embedded.Config{Dir: dir, SyncInterval: time.Minute})
				if err != nil {
					t.Fatal(err)
				}
				nc, err := s.Connect()
				if err != nil {
					t.Fatal(err)
				}
				return s, nc
			}
			server, nc := start()
			js, err := jetstream.New(nc)
			if err != nil {
				t.Fatal(err)
			}
			w := &ward{t, nc, js, jstest.Open(t, nc, jsstore.Config{Lease: 5 * time.Second})}
			closes(w, func() (engine.Feed[*engine.Delivery], error) { return w.s.Claim(t.Context(), "default") })
			for i := range 1000 {
				w.enqueue(engine.Execution{ID: fmt.Sprint("x", i), Task: "task"})
			}
			run, err := w.s.Claim(t.Context(), "default")
			w.check(err)
			run.Request(c.ran)
			for range c.ran {
				d := <-run.Messages()
				x := d.Execution
				x.Status, x.FinishedAt, x.Message = engine.Completed, time.Now(), d.Message
				_, err := w.s.Update(t.Context(), x, 0)
				w.check(err)
				w.check(d.Done(t.Context()))
			}
			run.Close()
			for jstest.StreamInfo(t, nc, "durable-ready").State.Msgs > uint64(1000-c.ran) { // nobody waits for an ack
				time.Sleep(10 * time.Millisecond)
			}
			w.check(server.Close())
			blocks, err := filepath.Glob(filepath.Join(dir, "jetstream", "$G", "streams", "durable-ready", "msgs", "*.blk"))
			w.check(err)
			data, err := os.ReadFile(blocks[0])
			w.check(err)
			at := int(c.at * float64(len(data)))
			for i := range 8 {
				data[at+i] ^= 0xff
			}
			w.check(os.WriteFile(blocks[0], data, 0o600))
			w.check(os.Remove(filepath.Join(filepath.Dir(blocks[0]), "index.db")))
			server, nc = start()
			defer server.Close()
			w.nc = nc
			if n := jstest.StreamInfo(t, nc, "durable-ready").State.Msgs; n > 900 {
				t.Fatalf("%d messages are there: the test tests nothing", n)
			}
			w.shows(w.examine(doctor.Config{}), symptom{"stream.lost", doctor.Problem, "durable-ready", "once more, with their ids"})
			// Messages whose execution has run are back. The doctor finds that they have run.
			w.js, err = jetstream.New(nc)
			w.check(err)
			w.s = jstest.Open(t, nc, jsstore.Config{})
			w.mended(w.mend(), "consumer.skipped", "durable-ready/queue-default", "sent again")
			f, err := w.s.Claim(t.Context(), "default")
			w.check(err)
			defer f.Close()
			f.Request(1000)
			for again := 0; again < min(c.ran, 300); again++ {
				d := <-f.Messages()
				if r, err := w.s.Get(t.Context(), d.Execution.ID); d.Fresh && err == nil && r.Status.Finished() {
					t.Fatalf("%s has run, and is delivered as if nobody could have", d.Execution.ID)
				}
			}
		})
	}
}
