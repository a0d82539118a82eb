package jstest_test

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/jsstore/jstest"
)

// A recovery compacts a block in the middle of its tombstones, and forgets the rest: what was
// removed returns at the second kill
//
// nats-server 2.15.2; file storage, R1; any sync_interval, always included, and with encryption.
//
// Create a stream. Publish one message that stays and then 2,500 of 1.4 kB, purge these by
// their subject, and publish others until the block of 4 MB is full and another is written to.
// Kill the server with SIGKILL before it has compacted the full block (sync_interval: two
// minutes, unless it is configured), and start it on the same files: all is well. Kill it once
// more and start it.
//
// Expected: what was purged is not there. Found: about half of it is.
//
// The first start rebuilds the blocks from their files, without deletes, and then removes one
// by one what it has read tombstones for (filestore.go, newFileStoreWithCreated, fs.tombs).
// Once half of the block is removed, removeMsgFromBlock compacts it (shouldCompactInline).
// compactWithFloor drops every tombstone of the block for a message of the block itself, on
// the ground that the message goes too. The messages whose tombstones are still to be processed
// do not go. They are removed in memory, by what has been read, and at the next start
// nothing says so.
//
// Any removal is concerned: by purge, rollup, TTL, API or acknowledgement. On R3 each server
// forgets by itself, so that replicas disagree.
//
// A cure would be not to compact before all of fs.tombs are processed, or to keep in
// compactWithFloor the tombstones of messages that are not deleted yet.
//
// There is no workaround. A block that is no longer written to has to be more than half dead,
// and not compacted, at the first kill: a short sync_interval makes that time short. What is
// back counts as nothing where a record tells (see Store.outlived), and the doctor finds and
// mends it (work.expired, work.orphans, work.stuck).
func TestUpstreamRecoveryForgetsRemovals(t *testing.T) {
	jstest.BubbleHost(t, func(t *testing.T, h *jstest.Host) {
		js := jetStream(t, h.Connect())
		s, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, MaxMsgsPerSubject: 64})
		must(t, err)
		publish := func(kind string, n int) {
			t.Helper()
			for i := range n {
				_, err := js.Publish(t.Context(), fmt.Sprintf("s.%s.%d", kind, i), make([]byte, 1400))
				must(t, err)
			}
		}
		publish("first", 1)
		publish("removed", 2500)
		must(t, s.Purge(t.Context(), jetstream.WithPurgeSubject("s.removed.>")))
		publish("others", 700)
		for kill, what := range []string{"before", "after one kill", "after two"} {
			if kill > 0 {
				h.Crash()
				h.Start()
			}
			info, err := s.Info(t.Context(), jetstream.WithSubjectFilter("s.removed.>"))
			must(t, err)
			switch n := len(info.State.Subjects); {
			case kill < 2 && n > 0:
				t.Errorf("%s: %d of what was removed are there", what, n)
			case kill == 2 && n == 0:
				t.Skip("this version of nats-server has mended it")
			default:
				t.Logf("%s: %d of what was removed are there", what, n)
			}
		}
	})
}
