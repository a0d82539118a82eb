package index_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/index"
	"github.com/durable-execution/durable/jsstore/jstest"
)

var records = flag.Int("records", 20_000, "how many executions the benchmark makes")

// past is when the i-th execution of a population was created.
func past(i int) time.Time {
	return time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * 700 * time.Millisecond)
}

// inhabitant returns the i-th execution of a population like that of a real fleet: of three,
// one is a single root, one a parent and one its child; 20 tasks in 4 queues; nine of ten
// completed; an input and an output of some hundred bytes; an order number and one of a
// thousand customers with every root.
func inhabitant(i int) engine.Execution {
	own := i
	if i%3 == 2 {
		own = i - 2 // its parent's
	}
	root := fmt.Sprintf("te_%013x%013x", past(own).UnixMilli(), own*7919)
	at := past(i)
	x := engine.Execution{
		ID: root, Task: fmt.Sprintf("task-%02d", i%20), Queue: []string{"default", "mail", "reports", "slow"}[i%4], Validated: true,
		Policy:    engine.Policy{Timeout: 5 * time.Minute, Retry: engine.Retry{MaxRetries: 3, BaseDelay: time.Second, Multiplier: 2}},
		Input:     codec.Payload{Type: codec.MsgPack, Data: []byte("\xd9\xfa" + strings.Repeat("input of some length ", 12)[:250])},
		Status:    engine.Ready,
		CreatedAt: at, StartAt: at, ChangedAt: at,
	}
	switch i % 3 {
	case 2:
		x.ID, x.Parent = root+".0", root
	default:
		x.Metadata = engine.Metadata{"order": strconv.Itoa(1_000_000 + i), "customer": fmt.Sprintf("customer-%d", i%1000)}
		if i < *records/10 {
			x.Metadata["era"] = "old"
		}
		if i%6 == 0 {
			x.Metadata["release"] = "2026.11"
		}
	}
	run := []engine.Event{engine.Claimed{At: at.Add(40 * time.Millisecond), Executor: "executor-" + strconv.Itoa(i%50)}}
	done := at.Add(time.Duration(i%900) * time.Millisecond)
	switch n := i % 101; {
	case n < 6:
		run = append(run, engine.Erred{At: done, Final: true, Failure: engine.Failure{Kind: engine.KindError,
			Message: fmt.Sprintf("POST https://shop.example/orders/%d: status %d from host-%d", i, 500+n, i%97)}})
	case n == 6:
		run = append(run, engine.Erred{At: done, Final: true, Failure: engine.Failure{Kind: engine.KindTimeout, Message: "execution timed out"}})
	case n == 7: // it runs
	default:
		run = append(run, engine.Returned{At: done, Output: codec.Payload{Type: codec.MsgPack, Data: []byte("\xd9\x78" + strings.Repeat("output ", 18)[:120])}})
	}
	for _, ev := range run {
		var err error
		if x, _, err = engine.Apply(x, ev); err != nil {
			panic(err)
		}
	}
	if i%3 == 0 { // as its parent was
		x.Spawned, x.Ended = 1, engine.Set{1}
	}
	return x
}

// populate publishes records directly into the bucket, and every 50th execution into the queue.
func populate(b testing.TB, nc *nats.Conn, s *jsstore.Store, first, n int) {
	b.Helper()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(4000))
	check(b, err)
	var queued []engine.Due
	for i := first; i < first+n; i++ {
		x := inhabitant(i)
		if i%50 == 49 {
			x = engine.Execution{ID: x.ID + "q", Task: x.Task, Queue: x.Queue, Policy: x.Policy, Input: x.Input, Metadata: x.Metadata, Status: engine.Ready, CreatedAt: x.CreatedAt}
			x.ID = strings.Replace(x.ID, ".", "-", 1)
			if queued = append(queued, engine.Due{Execution: x}); len(queued) == 1000 {
				check(b, s.Enqueue(b.Context(), queued...))
				queued = nil
			}
			continue
		}
		data, err := engine.EncodeRecord(x)
		check(b, err)
		m := &nats.Msg{Subject: "$KV.durable-executions." + x.ID, Data: data, Header: nats.Header{}}
		if d, ends := x.TimeToLive(s.Limits()); ends {
			m.Header.Set(jetstream.MsgTTLHeader, strconv.FormatInt(int64(d/time.Second), 10))
		}
		_, err = js.PublishMsgAsync(m, jetstream.WithStallWait(time.Minute))
		check(b, err)
	}
	check(b, s.Enqueue(b.Context(), queued...))
	<-js.PublishAsyncComplete()
}

// memory returns the current and the highest resident memory of this process, which includes
// the server.
func memory() (now, most string) {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "unknown", "unknown"
	}
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(line, ":")
		switch name {
		case "VmRSS":
			now = strings.TrimSpace(value)
		case "VmHWM":
			most = strings.TrimSpace(value)
		}
	}
	return now, most
}

// processor returns how much processor time this process has used.
func processor() time.Duration {
	data, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0
	}
	// After the name: fields 14 and 15 of the whole line are the times in user mode and in the
	// kernel, in hundredths of a second.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	kernel, _ := strconv.Atoi(fields[12])
	return time.Duration(user+kernel) * 10 * time.Millisecond
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// BenchmarkIndex creates a population (-records), builds its index, catches up with another
// twentieth, and measures one page of 100 for each filter.
func BenchmarkIndex(b *testing.B) {
	nc := jstest.Server(b)
	s, err := jsstore.Open(b.Context(), nc, jsstore.Config{})
	check(b, err)
	defer s.Close()
	n := *records
	start := time.Now()
	populate(b, nc, s, 0, n)
	now, _ := memory()
	say("%d executions published in %s; memory %s", n, time.Since(start).Round(time.Millisecond), now)

	path := filepath.Join(b.TempDir(), "index.db")
	x, err := index.Open(s, path)
	check(b, err)
	defer x.Close()
	start, used := time.Now(), processor()
	p, err := x.CatchUp(b.Context(), time.Time{}, nil)
	check(b, err)
	took := time.Since(start)
	now, most := memory()
	size := int64(0)
	for _, suffix := range []string{"", "-wal"} {
		if info, err := os.Stat(path + suffix); err == nil {
			size += info.Size()
		}
	}
	say("first build: %d messages in %s, %s of a processor, the server's included; %d MiB; memory %s, at most %s", p.Read, took.Round(time.Millisecond), (processor() - used).Round(time.Millisecond), size>>20, now, most)

	populate(b, nc, s, n, n/20)
	start = time.Now()
	p, err = x.CatchUp(b.Context(), time.Time{}, nil)
	check(b, err)
	took = time.Since(start)
	say("catching up: %d messages in %s, %.0f/s", p.Read, took.Round(time.Millisecond), float64(p.Read)/took.Seconds())

	middle := inhabitant(n / 2 / 6 * 6) // a root with metadata
	late, early := past(n-n/100), past(n/10)
	deep := engine.Cursor{CreatedAt: past(n / 3), ID: "te_"}
	for _, c := range []struct {
		name  string
		f     engine.Filter
		after engine.Cursor
	}{
		{"all", engine.Filter{}, engine.Cursor{}},
		{"all, deep", engine.Filter{}, deep},
		{"roots", engine.Filter{Roots: true}, engine.Cursor{}},
		{"task", engine.Filter{Task: "task-07"}, engine.Cursor{}},
		{"status completed", engine.Filter{Status: engine.Completed}, engine.Cursor{}},
		{"status failed", engine.Filter{Status: engine.Failed}, engine.Cursor{}},
		{"status ready", engine.Filter{Status: engine.Ready}, engine.Cursor{}},
		{"status failed, deep", engine.Filter{Status: engine.Failed}, deep},
		{"queue", engine.Filter{Queue: "slow"}, engine.Cursor{}},
		{"task and status", engine.Filter{Task: "task-07", Status: engine.TimedOut}, engine.Cursor{}},
		{"created, one percent", engine.Filter{Created: engine.Span{From: late}}, engine.Cursor{}},
		{"created, old", engine.Filter{Created: engine.Span{Until: early}}, engine.Cursor{}},
		{"created and status", engine.Filter{Created: engine.Span{From: early}, Status: engine.Failed}, engine.Cursor{}},
		{"finished, one percent", engine.Filter{Finished: engine.Span{From: late}}, engine.Cursor{}},
		{"finished, old", engine.Filter{Finished: engine.Span{Until: early}}, engine.Cursor{}},
		{"started and failed", engine.Filter{Started: engine.Span{Until: early}, Status: engine.Failed}, engine.Cursor{}},
		{"parent", engine.Filter{Parent: middle.ID}, engine.Cursor{}},
		{"tree", engine.Filter{Tree: middle.ID}, engine.Cursor{}},
		{"prefix", engine.Filter{Prefix: middle.ID[:20]}, engine.Cursor{}},
		{"metadata, one", engine.Filter{Metadata: engine.Metadata{"order": middle.Metadata["order"]}}, engine.Cursor{}},
		{"metadata, a thousandth", engine.Filter{Metadata: engine.Metadata{"customer": "customer-77"}}, engine.Cursor{}},
		{"metadata, a sixth", engine.Filter{Metadata: engine.Metadata{"release": "2026.11"}}, engine.Cursor{}},
		{"metadata, a sixth, deep", engine.Filter{Metadata: engine.Metadata{"release": "2026.11"}}, deep},
		{"metadata, a tenth, old", engine.Filter{Metadata: engine.Metadata{"era": "old"}}, engine.Cursor{}},
		{"metadata and failed", engine.Filter{Metadata: engine.Metadata{"release": "2026.11"}, Status: engine.Failed}, engine.Cursor{}},
		{"error, one", engine.Filter{Error: fmt.Sprintf("orders/%d:", n/101/2*101)}, engine.Cursor{}},
		{"error, a few", engine.Filter{Error: "STATUS 503 from host-12"}, engine.Cursor{}},
		{"error, all", engine.Filter{Error: "shop.example"}, engine.Cursor{}},
		{"error, two letters", engine.Filter{Error: "t-"}, engine.Cursor{}},
		{"error, none", engine.Filter{Error: "no such text"}, engine.Cursor{}},
	} {
		b.Run(strings.ReplaceAll(c.name, " ", "-"), func(b *testing.B) {
			var p index.Page
			for b.Loop() {
				if p, err = x.Find(b.Context(), c.f, c.after, 100); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(p.Executions)), "found")
			b.ReportMetric(float64(p.Total), "total")
		})
	}
	b.Run("catch-up-with-nothing", func(b *testing.B) {
		for b.Loop() {
			_, err := x.CatchUp(b.Context(), time.Time{}, nil)
			check(b, err)
		}
	})
}
