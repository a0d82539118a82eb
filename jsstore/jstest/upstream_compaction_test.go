package jstest_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/jsstore/jstest"
)

// Three ways in which nats-server forgets what it has removed from a file (a block, of 4 MB
// here) that holds more than that. All of 2.15.2; file storage, R1; any sync_interval, always
// included, and with encryption. Any removal is concerned: by purge, roll-up, TTL, API or
// acknowledgement. On R3 each server forgets by itself, so that replicas disagree.
//
// There is no workaround here: what is back counts as nothing where a record tells (see
// Store.outlived), and the doctor finds and mends it (work.expired, work.orphans, work.stuck).

// A forgetful is a stream of messages of 100 kB, 41 of which fill a block, by kind.
type forgetful struct {
	t       *testing.T
	s       jetstream.Stream
	h       *jstest.Host
	n       int
	publish func(kind string, n int)
}

// onForgetful runs fn, and says what of the kind removed is back after each kill that follows.
func onForgetful(t *testing.T, kills int, fn func(f *forgetful)) {
	jstest.BubbleHost(t, func(t *testing.T, h *jstest.Host) {
		js := jetStream(t, h.Connect())
		s, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, MaxMsgsPerSubject: 64})
		must(t, err)
		f := &forgetful{t: t, s: s, h: h}
		f.publish = func(kind string, n int) {
			t.Helper()
			for range n {
				f.n++
				_, err := js.Publish(t.Context(), fmt.Sprintf("s.%s.%d", kind, f.n), make([]byte, 100_000))
				must(t, err)
			}
		}
		fn(f)
		back := []int{f.count("removed")}
		for range kills {
			h.Crash()
			h.Start()
			back = append(back, f.count("removed"))
		}
		t.Logf("of what was removed are there, before a kill and after each: %v", back)
		switch last := back[kills]; {
		case slices.Max(back[:kills]) > 0:
			t.Errorf("it takes fewer kills than %d", kills)
		case last == 0:
			t.Skip("this version of nats-server has mended it")
		}
	})
}

func (f *forgetful) purge(kind string) {
	f.t.Helper()
	must(f.t, f.s.Purge(f.t.Context(), jetstream.WithPurgeSubject("s."+kind+".>")))
}

func (f *forgetful) count(kind string) int {
	f.t.Helper()
	info, err := f.s.Info(f.t.Context(), jetstream.WithSubjectFilter("s."+kind+".>"))
	must(f.t, err)
	return len(info.State.Subjects)
}

// A recovery compacts a block in the middle of its tombstones, and forgets the rest: what was
// removed returns at the second kill
//
// Fill a block of which more than half is purged, and begin another. Kill the server with
// SIGKILL before it has compacted the full one (at the next sync_interval), and start it on the
// same files: all is well. Kill it once more and start it.
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
// A cure would be not to compact before all of fs.tombs are processed, or to keep in
// compactWithFloor the tombstones of messages that are not deleted yet.
func TestUpstreamRecoveryForgetsRemovals(t *testing.T) {
	onForgetful(t, 2, func(f *forgetful) {
		f.publish("stays", 1)
		f.publish("removed", 35)
		f.purge("removed")
		f.publish("stays", 10)
	})
}

// A compaction forgets what was removed from the head of an earlier block: it returns at the
// first kill
//
// Fill a block and begin another. Purge the first messages of the full one: their tombstones go
// to the new one. Have more than half of that one purged too, and fill it. Wait until the server
// has compacted it (at the next sync_interval), publish something, kill the server with SIGKILL
// and start it on the same files.
//
// Expected: what was purged from the head is not there. Found: it is.
//
// syncBlocks compacts with the set of all interior deletes, and keeps a tombstone only if the
// set has its message (compactWithFloor, fsDmap). What was removed from the head of a block is in
// no such set: its first sequence says it, in memory and in index.db. A recovery without a valid
// index.db rebuilds the block from its file, in which the head still is. Where it is the head of
// the stream as well, the floor has the tombstone dropped. Streams from which the oldest goes
// first are in this state most of the time.
//
// A cure would be to count what lies in a file before the first sequence of its block among
// the deletes that a tombstone is kept for.
func TestUpstreamCompactionForgetsRemovedHeads(t *testing.T) {
	onForgetful(t, 1, func(f *forgetful) {
		f.publish("removed", 3)
		f.publish("stays", 40)
		f.purge("removed")
		f.publish("others", 30)
		f.purge("others")
		f.publish("stays", 40)
		time.Sleep(48 * time.Hour) // the sync_interval of servers in a bubble is a day
		f.publish("stays", 1)      // after the index was written
	})
}

// A purge that empties a block forgets it, if the block has tombstones of others: what was
// purged returns at the first kill
//
// Fill a block and begin another. Remove a message of the full one: its tombstone goes to the
// new one. Fill that, begin a third, purge all that the second has, kill the server with SIGKILL
// and start it on the same files.
//
// Expected: what was purged is not there. Found: all that the second block had is.
//
// PurgeEx writes no tombstones for a block that it empties, since it is to be removed ("since we
// are removing this block don't need to write tombstones"). removeMsgBlock does not remove it,
// "only if it doesn't contain any tombstones for prior blocks". removeMsgFromBlock does the same
// with the last message of a block.
//
// A cure would be to write the tombstones where the block is kept.
func TestUpstreamPurgeForgetsABlockThatHasTombstones(t *testing.T) {
	onForgetful(t, 1, func(f *forgetful) {
		f.publish("stays", 1)
		f.publish("others", 1)
		f.publish("stays", 39)
		f.publish("removed", 10)
		f.purge("others")
		f.publish("removed", 40)
		f.publish("stays", 1)
		f.purge("removed")
	})
}
