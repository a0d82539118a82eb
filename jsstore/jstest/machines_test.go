//go:build unix

package jstest_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/jsstore/jstest"
)

func TestMain(m *testing.M) { jstest.Main(m, nil) }

// TestWhatAKilledServerHasAcknowledgedIsThere kills servers, including leaders of a cluster.
// The server takes 4 to 9 s to elect the next leader.
func TestWhatAKilledServerHasAcknowledgedIsThere(t *testing.T) {
	for name, test := range map[string]struct{ servers, kills int }{"one": {1, 3}, "three": {3, 1}} {
		t.Run(name, func(t *testing.T) {
			n := test.servers
			m := jstest.Processes(t, n)
			nc := m.Connect()
			js, err := jetstream.New(nc)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "s", Subjects: []string{"s"}, Replicas: n}); err != nil {
				t.Fatal(err)
			}
			for range test.kills {
				if _, err := js.Publish(ctx, "s", nil); err != nil {
					t.Fatal(err)
				}
				leader := m.Leader("s")
				m.Kill(leader)
				m.Start(leader)
			}
			m.Freeze(0)
			m.Thaw(0)
			for i := range n {
				m.Stop(i)
			}
			for i := range n {
				m.Boot(i)
			}
			var s jetstream.Stream
			for s == nil && ctx.Err() == nil {
				try, cancel := context.WithTimeout(ctx, 2*time.Second) // a server that is not ready swallows requests
				s, err = js.Stream(try, "s")
				cancel()
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := s.CachedInfo().State.Msgs; got != uint64(test.kills) {
				t.Errorf("%d messages, want %d", got, test.kills)
			}
		})
	}
}
