package jstest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// awaitCurrent waits until the leaders of all streams and consumers consider node i a current
// replica. The node's own view says nothing: after a restart it considers itself current until
// it hears from a leader.
func awaitCurrent(t testing.TB, url string, i int) {
	t.Helper()
	js, done := dial(t, url)
	defer done()
	await(t, nodeName(i)+" has caught up", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		streams := js.ListStreams(ctx)
		for s := range streams.Info() {
			if !counts(s.Cluster, i) || !consumersCount(ctx, js, s.Config.Name, i) {
				return false
			}
		}
		return streams.Err() == nil
	})
}

func consumersCount(ctx context.Context, js jetstream.JetStream, stream string, i int) bool {
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return false
	}
	consumers, all := s.ListConsumers(ctx), true
	for c := range consumers.Info() { // read all of them: the lister blocks until each is read
		all = all && counts(c.Cluster, i)
	}
	return all && consumers.Err() == nil
}

// counts reports whether node i is current in the group, if it is a follower there.
func counts(group *jetstream.ClusterInfo, i int) bool {
	return group != nil && group.Leader != "" &&
		!slices.ContainsFunc(group.Replicas, func(p *jetstream.PeerInfo) bool {
			return p.Name == nodeName(i) && (p.Offline || !p.Current)
		})
}

func dial(t testing.TB, url string) (js jetstream.JetStream, done func()) {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	js, err = jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js, nc.Close
}
