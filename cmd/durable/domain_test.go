package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/jstest"
	"github.com/durable-execution/durable/workers"
)

// started runs a server until the test ends.
func started(t *testing.T, o *server.Options) *server.Server {
	t.Helper()
	o.Host, o.Port, o.NoLog, o.NoSigs, o.StoreDir = "127.0.0.1", -1, true, true, t.TempDir()
	return jstest.Start(t, o)
}

// leafOf runs a server with the JetStream domain hub, and a leaf of it with another domain. It
// returns the URL of the leaf.
func leafOf(t *testing.T) (leaf string) {
	t.Helper()
	hub := &server.Options{ServerName: "hub", JetStream: true, JetStreamDomain: "hub"}
	hub.LeafNode.Host, hub.LeafNode.Port = "127.0.0.1", -1
	h := started(t, hub)
	at, err := url.Parse(fmt.Sprintf("nats://127.0.0.1:%d", hub.LeafNode.Port))
	if err != nil {
		t.Fatal(err)
	}
	l := started(t, &server.Options{
		ServerName: "leaf", JetStream: true, JetStreamDomain: "leaf",
		LeafNode: server.LeafNodeOpts{Remotes: []*server.RemoteLeafOpts{{URLs: []*url.URL{at}}}},
	})
	for deadline := time.Now().Add(10 * time.Second); h.NumLeafNodes() == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the leaf does not connect")
		}
	}
	return l.ClientURL()
}

func TestAStoreInAnotherDomainIsWorkedOnThroughALeaf(t *testing.T) {
	dir, leaf := t.TempDir(), leafOf(t)
	t.Setenv("XDG_CONFIG_HOME", dir)
	write(t, dir,
		"nats/context/hub.json", fmt.Sprintf(`{"url":%q,"jetstream_domain":"hub"}`, leaf),
		"nats/context/prefix.json", fmt.Sprintf(`{"url":%q,"jetstream_api_prefix":"$JS.hub.API"}`, leaf),
		"nats/context/leaf.json", fmt.Sprintf(`{"url":%q,"jetstream_domain":"leaf"}`, leaf))
	durable(t, "setup", "--context", "hub").want(t, exitOK)
	s, err := jsstore.Connect(t.Context(), leaf, jsstore.Config{Domain: "hub", MustExist: true})
	if err != nil {
		t.Fatal(err)
	}
	x, err := workers.New(s, workers.Config{Name: "one"},
		engine.Bind(greets, func(_ context.Context, g greeting) (string, error) { return "hello " + g.Name, nil }), engine.BindSleeping(idles))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- x.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	long := `{"name":"` + strings.Repeat("x", 700<<10) + `"}` // takes several messages of the bucket
	write(t, dir, "long.json", long)
	for i, where := range [][]string{{"--context", "hub"}, {"--context", "prefix"}, {"--server", leaf, "--js-domain", "hub"}, {"--server", leaf, "--js-api-prefix", "$JS.hub.API."}} {
		in := func(args ...string) outcome { return durable(t, append(args, where...)...) }
		id := fmt.Sprint("a", i)
		if o := in("enqueue", "greet", `{"name":"world"}`, "--id", id, "--wait").want(t, exitOK); o.out != "\"hello world\"\n" {
			t.Errorf("%v: output %q, stderr %q", where, o.out, o.err)
		}
		if o := in("enqueue", "greet", "@"+dir+"/long.json", "--wait").want(t, exitOK); len(o.out) < 700<<10 {
			t.Errorf("%v: %d bytes of output, stderr %q", where, len(o.out), o.err)
		}
		in("enqueue", "greet", `{"name":"later"}`, "--id", id+"late", "--delay", "1100ms", "--wait").want(t, exitOK)
		in("enqueue", "idle", `"x"`, "--id", id+"idle").want(t, exitOK)
		in("cancel", id+"idle", "--yes").want(t, exitOK)
		in("retry", id+"idle", "--id", id+"again").want(t, exitOK)
		begun(t, id+"again", where...) // an execution can be woken only once its record says that it sleeps
		in("wake", id+"again", "--output", "true").want(t, exitOK)
		in("queues", "pause", "default", "--reason", "test").want(t, exitOK)
		in("queues", "resume", "default").want(t, exitOK)
		in("delete", id, "--yes").want(t, exitOK)
		in("get", id).want(t, exitNotFound)
		in("doctor", "--wait", "200ms").want(t, exitOK)
		if o := in("top").want(t, exitOK); !strings.Contains(o.out, "\none ") {
			t.Errorf("%v: top prints\n%s", where, o.out)
		}
	}
	if o := durable(t, "list", "--context", "leaf").want(t, exitStore); !strings.Contains(o.err, "missing") {
		t.Errorf("the leaf's own domain has the execution of the hub: %q", o.err)
	}
	durable(t, "list", "--context", "hub", "--js-api-prefix", "x", "--js-domain", "y").want(t, exitUsage)
	if _, err := jsstore.Connect(t.Context(), leaf, jsstore.Config{Domain: "hub", APIPrefix: "x"}); err == nil {
		t.Error("a domain and a prefix are taken")
	}
}

// All messages of a batch must go to the same domain as its last one: a leaf has buckets of its
// own.
func TestWritesGoTogetherToAnotherDomain(t *testing.T) {
	leaf := leafOf(t)
	nc, err := nats.Connect(leaf)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	s, err := jsstore.Open(t.Context(), nc, jsstore.Config{Domain: "hub", GroupWrites: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	heard := map[string]*nats.Subscription{}
	for _, subject := range []string{"$KV.>", "$JS.hub.API.$KV.>"} {
		if heard[subject], err = nc.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for i := range 500 {
		all.Go(func() {
			x := engine.Execution{ID: fmt.Sprint("x", i), Task: "task", Queue: engine.DefaultQueue, Status: engine.Running}
			revision, err := s.Update(t.Context(), x, 0)
			r, getErr := s.Get(t.Context(), x.ID)
			if err != nil || getErr != nil || r.Revision != revision {
				t.Errorf("%s: revision %d, %v; read %d, %v", x.ID, revision, err, r.Revision, getErr)
			}
		})
	}
	all.Wait()
	batched := map[string]int{}
	for subject, sub := range heard {
		for m, err := sub.NextMsg(0); err == nil; m, err = sub.NextMsg(0) {
			if m.Header.Get("Nats-Batch-Id") != "" {
				batched[subject]++
			}
		}
	}
	if batched["$KV.>"] > 0 || batched["$JS.hub.API.$KV.>"] < 100 {
		t.Errorf("messages in batches: %v, want most of 500, and all of them to the hub", batched)
	}
}
