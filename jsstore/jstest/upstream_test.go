package jstest_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/jsstore/jstest"
)

// Faults of nats-server that this project works around, reproduced without the project's code.
// Each test passes while the fault exists, and is skipped with the first version that has fixed
// it. Then the workaround that it names can go, once the oldest supported server has the fix.
// The comment of each test is the text of a report.

// A removal by MaxMsgsPerSubject leaves no tombstone: the older revision is back after a kill
//
// nats-server 2.14.10, 2.15.2, 2.15.3; file storage, R1 (R3 where the last revision goes by
// TTL); with and without sync_interval: always. See also #8505, and its pull request #8506.
//
// Create a stream with MaxMsgsPerSubject: 1 and AllowMsgTTL. Publish two messages to one
// subject, the second with Nats-TTL: 1s. Wait until it has gone: the stream has no message
// on the subject. Kill the server with SIGKILL and start it on the same files.
//
// Expected: the subject has no message. Found: the first message is back, for ever.
//
// The first message was removed by the limit, which writes no tombstone (filestore.go,
// removeMsgFromBlock: `if !viaLimits && !isEmpty`), the second by its TTL, which does. With
// an index.db that is minutes old the last blocks are rebuilt from their files, where the
// first message is the only one left. A purge by subject, and a delete marker with a TTL,
// end as a TTL does. An application that keeps state in a key-value bucket with a history of
// 1 sees deleted keys again.
//
// A cure would be a tombstone for removals by limit too, or a recovery that applies
// MaxMsgsPerSubject before tombstones.
//
// The workaround is in jsstore/internal/namespace: revisions.go.
func TestUpstreamRevisionRemovedByLimitReturnsAfterAKill(t *testing.T) {
	for name, rollup := range map[string]bool{"by limit": false, "by rollup": true} {
		t.Run(name, func(t *testing.T) {
			jstest.BubbleHost(t, func(t *testing.T, h *jstest.Host) {
				nc := h.Connect()
				limit := int64(1)
				if rollup {
					limit = 64
				}
				js := jetStream(t, nc)
				_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
					Name: "S", Subjects: []string{"s.>"}, MaxMsgsPerSubject: limit, AllowMsgTTL: true, AllowRollup: true,
				})
				must(t, err)
				publish := func(subject, body, ttl string) {
					t.Helper()
					m := nats.NewMsg(subject)
					m.Data = []byte(body)
					if ttl != "" {
						m.Header.Set("Nats-TTL", ttl)
					}
					if rollup {
						m.Header.Set("Nats-Rollup", "sub")
					}
					_, err := js.PublishMsg(t.Context(), m)
					must(t, err)
				}
				publish("s.other", "stays", "")
				publish("s.x", "older", "")
				publish("s.x", "newer", "1s")
				time.Sleep(5 * time.Second)
				last := func() string {
					s, err := js.Stream(t.Context(), "S")
					must(t, err)
					m, err := s.GetLastMsgForSubject(t.Context(), "s.x")
					if err != nil {
						return err.Error()
					}
					return string(m.Data)
				}
				before := last()
				h.Crash()
				h.Start()
				after := last()
				switch {
				case rollup && after != before:
					t.Errorf("%q before the kill, and %q after it: the workaround does not work", before, after)
				case !rollup && after == before:
					t.Skip("this version of nats-server has mended it")
				case !rollup && after != "older":
					t.Errorf("%q after the kill, want %q", after, "older")
				}
			})
		})
	}
}

// A purge by subject moves a consumer's ack floor past messages that are in hand
//
// nats-server 2.15.2; file storage, R1.
//
// Create a work queue and a consumer with explicit acks. Publish s.a, s.b and s.c and have
// all three delivered. Purge the subject s.c. Publish s.d, have it delivered and acknowledge
// it. Restart the server.
//
// Expected: s.a and s.b are delivered again once their ack wait is over. Found: the
// consumer's ack floor is 4, the sequence of s.d, and neither is ever delivered again, though
// both lie in the stream.
//
// consumer.purge sets the floor of deliveries (adflr) to the highest that it takes out of
// those pending, whatever is pending below it; the ack of the next delivery finds itself just
// above that floor and moves the floor of the stream (asflr) up to its own sequence. What is
// pending below lives until the state is read from the disk.
//
// Deleting the messages one by one (STREAM.MSG.DELETE) does not do that, which is the
// workaround in package jsstore: carry.go, remove. The doctor finds what lies below a floor.
func TestUpstreamPurgeBySubjectLosesOthersInHand(t *testing.T) {
	for name, purge := range map[string]bool{"purged": true, "deleted": false} {
		t.Run(name, func(t *testing.T) {
			jstest.BubbleHost(t, func(t *testing.T, h *jstest.Host) {
				js := jetStream(t, h.Connect())
				s, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, Retention: jetstream.WorkQueuePolicy})
				must(t, err)
				c, err := s.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "c", AckPolicy: jetstream.AckExplicitPolicy, AckWait: time.Minute})
				must(t, err)
				publish := func(subjects ...string) {
					t.Helper()
					for _, subject := range subjects {
						_, err := js.Publish(t.Context(), subject, nil)
						must(t, err)
					}
				}
				fetch := func(n int) (list []jetstream.Msg) {
					t.Helper()
					batch, err := c.Fetch(n, jetstream.FetchMaxWait(3*time.Minute))
					must(t, err)
					for m := range batch.Messages() {
						list = append(list, m)
					}
					return list
				}
				publish("s.a", "s.b", "s.c")
				if got := fetch(3); len(got) != 3 {
					t.Fatalf("%d messages delivered, want 3", len(got))
				}
				if purge {
					must(t, s.Purge(t.Context(), jetstream.WithPurgeSubject("s.c")))
				} else {
					must(t, s.DeleteMsg(t.Context(), 3))
				}
				publish("s.d")
				for _, m := range fetch(1) {
					must(t, m.DoubleAck(t.Context()))
				}
				h.Stop()
				h.Start()
				c, err = js.Consumer(t.Context(), "S", "c")
				must(t, err)
				floor := c.CachedInfo().AckFloor.Stream
				seen := map[string]bool{}
				for _, m := range fetch(2) {
					seen[m.Subject()] = true
				}
				switch lost := 2 - len(seen); {
				case !purge && lost > 0:
					t.Errorf("%d of 2 messages in hand are not delivered again: the workaround does not work", lost)
				case purge && lost == 0:
					t.Skip("this version of nats-server has mended it")
				case purge && floor != 4:
					t.Errorf("%d of 2 messages in hand are lost, the ack floor is %d, want 4", lost, floor)
				}
			})
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
