package jsstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/embedded"
	"github.com/durable-execution/durable/jsstore/jstest"
)

// A life says which records of an execution are written, and how they are removed.
type life struct {
	*testing.T
	s  *jsstore.Store
	nc *nats.Conn
}

// writes writes the states of an execution one after the other.
func (l life) writes(x engine.Execution, states ...engine.Status) engine.Revision {
	l.Helper()
	x.Task, x.Queue, x.CreatedAt = "task", engine.DefaultQueue, time.Now()
	var at engine.Revision
	for _, x.Status = range states {
		if x.Status.Finished() {
			x.FinishedAt = time.Now()
		}
		var err error
		if at, err = l.s.Update(l.Context(), x, at); err != nil {
			l.Fatal(err)
		}
	}
	return at
}

func (l life) check(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

// vanishing has the shortest retention with which a root is removed by its time to live.
var vanishing = engine.Execution{ID: "x", Policy: engine.Policy{Retention: 24 * time.Hour}}

// removals has all ways in which keys of the bucket get several revisions and are removed.
var removals = map[string]func(l life){
	"a root alone, its time to live over": func(l life) {
		l.writes(vanishing, engine.Running, engine.Completed)
		time.Sleep(24 * time.Hour)
	},
	"a root alone after retries": func(l life) {
		l.writes(vanishing, engine.Running, engine.Ready, engine.Running, engine.Ready, engine.Running, engine.Failed)
		time.Sleep(24 * time.Hour)
	},
	"a root that was deleted": func(l life) {
		l.check(l.s.Delete(l.Context(), "x", l.writes(engine.Execution{ID: "x"}, engine.Running, engine.Completed)))
	},
	"a tree that was deleted": func(l life) {
		at := l.writes(engine.Execution{ID: "x", Spawned: 2}, engine.Running, engine.WaitingForChildren, engine.Completed)
		l.writes(engine.Execution{ID: "x.0", Parent: "x"}, engine.Running, engine.Completed)
		l.writes(engine.Execution{ID: "x.1", Parent: "x", Index: 1}, engine.Running, engine.Ready, engine.Running)
		l.check(l.s.Delete(l.Context(), "x", at))
	},
	"an id that was used again": func(l life) {
		l.check(l.s.Delete(l.Context(), "x", l.writes(engine.Execution{ID: "x"}, engine.Running, engine.Completed)))
		l.check(l.s.Delete(l.Context(), "x", l.writes(engine.Execution{ID: "x"}, engine.Running, engine.Completed)))
	},
	"what was set aside and forgotten": func(l life) {
		f, err := l.s.Closures(l.Context())
		l.check(err)
		defer f.Close()
		f.Request(1)
		publish(l.T, l.s, &nats.Msg{Subject: "durable.closure.x", Data: []byte("rubbish")})
		time.Sleep(time.Second)
		for _, a := range jstest.Asides(l.T, l.s) {
			l.check(l.s.Forget(l.Context(), a.Name))
		}
	},
	"a payload that was stored twice": func(l life) {
		at := l.writes(engine.Execution{ID: "x", Spawned: 1}, engine.WaitingForChildren, engine.Completed)
		p := codec.Payload{Type: codec.JSON, Data: bytes.Repeat([]byte("1"), 2<<20)}
		for _, size := range []int{500 << 10, 400 << 10, 500 << 10} {
			_, err := l.s.KeepIn(l.Context(), "x", p, size)
			l.check(err)
		}
		l.check(l.s.Delete(l.Context(), "x", at))
	},
	"children to spawn": func(l life) {
		x := engine.Execution{ID: "x", Spawned: 2000}
		for range x.Spawned {
			x.Spawns = append(x.Spawns, engine.Spawn{Task: "child", Queue: engine.DefaultQueue})
		}
		l.check(l.s.Delete(l.Context(), "x", l.writes(x, engine.Running, engine.WaitingForChildren, engine.Completed)))
	},
	"many at once": func(l life) {
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				id := fmt.Sprint("x", i)
				l.check(l.s.Delete(l.Context(), id, l.writes(engine.Execution{ID: id}, engine.Running, engine.Completed)))
			})
		}
		all.Wait()
	},
}

// makeOld changes the bucket to the configuration of an earlier version.
func makeOld(t *testing.T, nc *nats.Conn) {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "KV_durable-executions", Subjects: []string{"$KV.durable-executions.>"}, Description: "durable: executions", Storage: jetstream.FileStorage,
		MaxMsgs: -1, MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew,
		AllowRollup: true, DenyDelete: true, AllowDirect: true, AllowMsgTTL: true, AllowAtomicPublish: true,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// When the server is killed, its index file is minutes old, and it reads the rest from its
// blocks. A message there without a trace of its removal comes back to life.
func TestWhatIsRemovedStaysRemovedWhenTheServerIsKilled(t *testing.T) {
	for name, remove := range removals {
		for kind, grouped := range map[string]bool{"new bucket": false, "grouped writes": true, "raised bucket": false} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				jstest.BubbleHost(t, func(t *testing.T, h *jstest.Host) {
					nc := h.Connect()
					if kind == "raised bucket" {
						makeOld(t, nc)
					}
					s := jstest.Open(t, nc, jsstore.Config{Lease: time.Second, Retention: 2 * time.Second, GroupWrites: grouped})
					s.GroupFrom(2)
					remove(life{t, s, nc})
					time.Sleep(10 * time.Second)
					if got := jstest.Keys(t, nc); len(got) > 0 {
						t.Fatalf("not removed: %q", got)
					}
					for range 2 {
						h.Crash()
						h.Start()
						if got := jstest.Keys(t, nc); len(got) > 0 {
							t.Errorf("back after a kill: %q", got)
						}
					}
				})
			})
		}
	}
}

func TestEveryRevisionButTheLastIsRemovedAtOnce(t *testing.T) {
	for name, write := range removals {
		t.Run(name, func(t *testing.T) {
			jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
				s := jstest.Open(t, nc, jsstore.Config{Lease: time.Second, Retention: time.Minute})
				if _, err := jsstore.SetUp(t.Context(), nc, jsstore.Config{Lease: 2 * time.Second}); err != nil { // writes the namespace record
					t.Fatal(err)
				}
				write(life{t, s, nc})
				for key, n := range keysBelow(t, nc, ">") {
					if n > 1 {
						t.Errorf("%s has %d revisions", key, n)
					}
				}
			})
		})
	}
}

func TestBucketOfAnEarlierVersionIsRaisedByWhoeverMay(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		makeOld(t, nc)
		if _, err := jsstore.SetUp(t.Context(), nc, jsstore.Config{Namespace: "other"}); err != nil {
			t.Fatal(err)
		}
		if got := jstest.StreamInfo(t, nc, "KV_durable-executions").Config.MaxMsgsPerSubject; got != 1 {
			t.Errorf("another namespace's bucket has been changed: it keeps %d", got)
		}
		parts, err := jsstore.SetUp(t.Context(), nc, jsstore.Config{})
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(parts, func(p jsstore.Part) bool { return p.Name == "KV_durable-executions" })
		if c := jstest.StreamInfo(t, nc, "KV_durable-executions").Config; c.MaxMsgsPerSubject != 64 || parts[i].Did != jsstore.Changed {
			t.Errorf("setup: it keeps %d, and setup says %s", c.MaxMsgsPerSubject, parts[i].Did)
		}
		if parts, err = jsstore.SetUp(t.Context(), nc, jsstore.Config{}); err != nil || parts[i].Did != jsstore.Found {
			t.Errorf("the second time: %v, and it says %s", err, parts[i].Did)
		}
		jstest.Open(t, nc, jsstore.Config{MustExist: true})
	})
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		jstest.Open(t, nc, jsstore.Config{})
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		c := jstest.StreamInfo(t, nc, "KV_durable-executions").Config
		c.MaxMsgsPerSubject = 1
		if _, err = js.UpdateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		s := jstest.Open(t, nc, jsstore.Config{MustExist: true}) // it opens the namespace and changes nothing
		if got := jstest.StreamInfo(t, nc, "KV_durable-executions").Config.MaxMsgsPerSubject; got != 1 {
			t.Errorf("opened with MustExist it keeps %d, want 1", got)
		}
		l := life{t, s, nc}
		l.check(s.Delete(t.Context(), "x", l.writes(engine.Execution{ID: "x"}, engine.Running, engine.Completed)))
		jstest.Open(t, nc, jsstore.Config{})
		if got := jstest.StreamInfo(t, nc, "KV_durable-executions").Config.MaxMsgsPerSubject; got != 64 {
			t.Errorf("opened with the right to change it, the bucket keeps %d revisions, want 64", got)
		}
	})
}

// An executor of an earlier version replaces a record without a rollup.
func TestOlderRevisionsOfAMixedFleetAreNothing(t *testing.T) {
	jstest.BubbleHost(t, func(t *testing.T, h *jstest.Host) {
		nc := h.Connect()
		s := jstest.Open(t, nc, jsstore.Config{Retention: time.Minute})
		earlier := func(id string, status engine.Status, header ...string) {
			t.Helper()
			x := engine.Execution{ID: id, Task: "task", Queue: engine.DefaultQueue, Status: status, CreatedAt: time.Now()}
			if status.Finished() {
				x.FinishedAt = time.Now()
			}
			data, err := engine.EncodeRecord(x)
			if err != nil {
				t.Fatal(err)
			}
			m := &nats.Msg{Subject: s.RecordSubject(id), Data: data, Header: nats.Header{}}
			for i := 0; i < len(header); i += 2 {
				m.Header.Set(header[i], header[i+1])
			}
			publish(t, s, m)
		}
		earlier("x", engine.Running)
		earlier("x", engine.Ready)
		earlier("x", engine.Completed, "Nats-TTL", "60")
		earlier("y", engine.Running)
		for range 3 {
			earlier("z", engine.Running)
		}
		list := func(want ...string) {
			t.Helper()
			var got []string
			for r, err := range s.List(t.Context(), engine.Filter{}) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, r.ID+" "+string(r.Status))
			}
			if slices.Sort(got); !slices.Equal(got, want) {
				t.Errorf("list = %q, want %q", got, want)
			}
		}
		list("x completed", "y running", "z running")
		r, err := s.Get(t.Context(), "x")
		if err != nil || r.Status != engine.Completed {
			t.Errorf("x is %s, %v", r.Status, err)
		}
		// The next write of this version removes the older revisions of its key.
		if r, err = s.Get(t.Context(), "z"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Update(t.Context(), r.Execution, r.Revision); err != nil {
			t.Fatal(err)
		}
		if got := keysBelow(t, nc, "z"); got[s.RecordSubject("z")] != 1 {
			t.Errorf("z has %d revisions after a write", got[s.RecordSubject("z")])
		}
		// And the next program that opens the namespace removes the others, before the last
		// revision vanishes by its time to live.
		jstest.Open(t, nc, jsstore.Config{})
		if got := keysBelow(t, nc, "x"); got[s.RecordSubject("x")] != 1 {
			t.Errorf("x has %d revisions after the bucket was opened", got[s.RecordSubject("x")])
		}
		time.Sleep(2 * time.Minute)
		h.Crash()
		h.Start()
		if _, err := s.Get(t.Context(), "x"); !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("x is there after its time: %v", err)
		}
		list("y running", "z running")
		if got := strings.Join(jstest.Keys(t, nc), " "); got != "y z" && got != "z y" {
			t.Errorf("keys = %s, want y and z", got)
		}
	})
}

// BenchmarkRevision measures what it costs to replace a record: as earlier versions did, with
// the old revision removed by the limit, and by rollup. 256 writes are under way at a time.
func BenchmarkRevision(b *testing.B) {
	for _, c := range []struct {
		name   string
		keep   int64
		rollup bool
	}{{"limit", 1, false}, {"rollup", 64, true}} {
		b.Run(c.name, func(b *testing.B) {
			s, err := embedded.Start(b.Context(), embedded.Config{Dir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			nc, err := s.Connect()
			if err != nil {
				b.Fatal(err)
			}
			js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(256))
			if err != nil {
				b.Fatal(err)
			}
			_, err = js.CreateStream(b.Context(), jetstream.StreamConfig{
				Name: "R", Subjects: []string{"r.>"}, MaxMsgsPerSubject: c.keep, Discard: jetstream.DiscardNew, AllowRollup: true, AllowDirect: true,
			})
			if err != nil {
				b.Fatal(err)
			}
			n, body := 0, make([]byte, 400)
			for b.Loop() {
				m := &nats.Msg{Subject: fmt.Sprint("r.", n%1000), Data: body, Header: nats.Header{}}
				if n++; c.rollup && n > 1000 {
					m.Header.Set("Nats-Rollup", "sub")
				}
				if _, err := js.PublishMsgAsync(m, jetstream.WithStallWait(time.Minute)); err != nil {
					b.Fatal(err)
				}
			}
			<-js.PublishAsyncComplete()
		})
	}
}
