package jstest_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/jsstore/jstest"
)

func TestClusterOutlivesItsLeader(t *testing.T) {
	begin := time.Now()
	c := jstest.Cluster(t, 3)
	t.Logf("up after %s", time.Since(begin))
	js := jetStream(t, c.Connect())
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Replicas: 3})
	if err != nil {
		t.Fatal(err)
	}
	put(t, js)

	begin = time.Now()
	first := c.Leader("S")
	c.Stop(first)
	if second := c.Leader("S"); second == first {
		t.Errorf("node %d leads though it is down", second)
	}
	put(t, js)
	t.Logf("wrote without node %d after %s", first, time.Since(begin))

	begin = time.Now()
	c.Start(first)
	t.Logf("node %d is back after %s", first, time.Since(begin))
	c.Stop((first + 1) % 3) // now the first node counts for the majority
	put(t, js)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := js.Stream(ctx, "S")
	if err != nil {
		t.Fatal(err)
	}
	if got := s.CachedInfo().State.Msgs; got < 3 { // a retry may have stored one twice
		t.Errorf("%d messages, want 3", got)
	}
}

// put publishes to s. A message in flight while the leader steps down gets no answer, so put
// tries again.
func put(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		try, cancel := context.WithTimeout(ctx, time.Second)
		_, err := js.Publish(try, "s", nil)
		cancel()
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}
