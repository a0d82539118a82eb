package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A floor does the same work with JetStream alone, without an engine: it uses a work-queue
// stream, a key-value bucket and a stream with schedules, with the same number of replicas. The
// messages have the size of a payload, and no headers except those that the server requires. All
// operations that can overlap do.
type floor struct {
	b     *bed
	out   *wire // over the client's connection
	in    *wire // over the executor's connection
	names []string
	keys  atomic.Uint64
}

// floorWindow is how many publishes of one connection may be unanswered at a time.
const floorWindow = 4000

func floorStreams(ns string) []string {
	return []string{ns + "-floor", "KV_" + ns + "-floor", ns + "-floor-timers"}
}

func newFloor(b *bed) (*floor, error) {
	f := &floor{b: b, names: floorStreams(b.namespace)}
	all := -1
	for _, c := range []jetstream.StreamConfig{
		{Name: f.names[0], Subjects: []string{b.namespace + ".floor.q"}, Retention: jetstream.WorkQueuePolicy},
		{
			Name: f.names[1], Subjects: []string{"$KV." + b.namespace + "-floor.>"}, MaxMsgsPerSubject: 1,
			Discard: jetstream.DiscardNew, AllowRollup: true, DenyDelete: true, AllowDirect: true,
		},
		{
			Name: f.names[2], Subjects: []string{b.namespace + ".floor.later.>", b.namespace + ".floor.due.>"},
			Retention: jetstream.WorkQueuePolicy, AllowMsgSchedules: true, AllowRollup: true,
		},
	} {
		c.Storage, c.Replicas = jetstream.FileStorage, b.Replicas
		if _, err := b.js.CreateStream(b.work, c); err != nil {
			return nil, fmt.Errorf("stream %s: %w", c.Name, err)
		}
	}
	for stream, filter := range map[string]string{f.names[0]: b.namespace + ".floor.q", f.names[2]: b.namespace + ".floor.due.>"} {
		if _, err := b.js.CreateConsumer(b.work, stream, jetstream.ConsumerConfig{
			Durable: "all", FilterSubject: filter, AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: all, AckWait: time.Minute,
		}); err != nil {
			return nil, fmt.Errorf("consumer of %s: %w", stream, err)
		}
	}
	var err error
	if f.out, err = newWire(b.conns[0], floorWindow); err == nil {
		f.in, err = newWire(b.conns[1], floorWindow)
	}
	return f, err
}

func (f *floor) close() error {
	f.out.close()
	f.in.close()
	return nil
}

// fails ends the work with an error of a callback: a callback can't return it.
func (f *floor) fails(err error) {
	if err != nil {
		f.b.fail(fmt.Errorf("floor: %w", err))
	}
}

func (f *floor) queued(body []byte) *nats.Msg {
	return &nats.Msg{Subject: f.b.namespace + ".floor.q", Data: body}
}

// create returns a message that creates a new key.
func (f *floor) create() *nats.Msg {
	return &nats.Msg{Subject: f.subject(f.key()), Header: created, Data: f.b.payload}
}

func (f *floor) key() string               { return "k" + strconv.FormatUint(f.keys.Add(1), 36) }
func (f *floor) subject(key string) string { return "$KV." + f.b.namespace + "-floor." + key }

// replace returns a message that replaces the value of a key at a sequence.
func (f *floor) replace(key, seq string) *nats.Msg {
	return &nats.Msg{Subject: f.subject(key), Header: nats.Header{jetstream.ExpectedLastSubjSeqHeader: {seq}}, Data: f.b.payload}
}

// pullBatch is how many messages to request from a consumer. When half of them have arrived,
// take requests as many again.
const pullBatch = 1000

// take calls handle with each message of a stream's consumer, until stop is called. It uses the
// executor's connection.
func (f *floor) take(stream string, handle func(*nats.Msg)) (stop func(), err error) {
	nc := f.b.conns[1]
	inbox := nc.NewInbox()
	api := f.b.js.Options().APIPrefix + "CONSUMER.MSG.NEXT." + stream + ".all"
	if f.b.js.Options().APIPrefix == "" {
		api = jetstream.DefaultAPIPrefix + "CONSUMER.MSG.NEXT." + stream + ".all"
	}
	ask := func(n int) {
		body, err := json.Marshal(map[string]int64{"batch": int64(n), "expires": int64(10 * time.Minute)})
		if err == nil {
			err = nc.PublishRequest(api, inbox, body)
		}
		f.fails(err)
	}
	open := 0
	sub, err := nc.Subscribe(inbox, func(m *nats.Msg) {
		if status := m.Header.Get("Status"); status != "" {
			f.fails(fmt.Errorf("consumer of %s: status %s: %s", stream, status, m.Header.Get("Description")))
			return
		}
		handle(m)
		if open--; open <= pullBatch/2 {
			ask(pullBatch - open)
			open = pullBatch
		}
	})
	if err != nil {
		return nil, err
	}
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return nil, err
	}
	open = pullBatch
	ask(pullBatch)
	return func() { _ = sub.Unsubscribe() }, nil
}

var ack = []byte("+ACK")

// relay publishes as many messages as the quota allows. It receives each message, creates a key
// if create is true, and acknowledges the message.
func (f *floor) relay(q *quota, create bool) (int, error) {
	nc := f.b.conns[1]
	var acked, total atomic.Int64
	var published atomic.Bool
	all := make(chan struct{}, 1)
	put := func(reply string) {
		f.fails(nc.Publish(reply, ack))
		if acked.Add(1) == total.Load() && published.Load() {
			select {
			case all <- struct{}{}:
			default:
			}
		}
	}
	stop, err := f.take(f.names[0], func(m *nats.Msg) {
		reply := m.Reply
		if !create {
			put(reply)
			return
		}
		f.fails(f.in.send(f.b.work, f.create(), func(m *nats.Msg) {
			_, err := stored(m)
			f.fails(err)
			put(reply)
		}))
	})
	if err != nil {
		return 0, err
	}
	defer stop()
	for n := q.take(chunk); n > 0; n = q.take(chunk) {
		for range n {
			if err := f.publish(); err != nil {
				return 0, err
			}
		}
		total.Add(int64(n))
		if err := f.b.await(func() (bool, error) { return total.Load()-acked.Load() < maxBacklog, nil }); err != nil {
			return 0, err
		}
	}
	if published.Store(true); acked.Load() == total.Load() {
		return int(total.Load()), nil
	}
	select {
	case <-all:
	case <-f.b.work.Done():
		return 0, context.Cause(f.b.work)
	}
	return int(total.Load()), nc.FlushTimeout(grace)
}

// publish sends a message to the queue and does not wait for the answer.
func (f *floor) publish() error {
	return f.out.send(f.b.work, f.queued(f.b.payload), func(m *nats.Msg) {
		_, err := stored(m)
		f.fails(err)
	})
}

// publishAll publishes as many messages as the quota allows, without waiting for single answers.
func (f *floor) publishAll(q *quota) (total int, err error) {
	for n := q.take(chunk); n > 0; n = q.take(chunk) {
		for range n {
			if err := f.publish(); err != nil {
				return total, err
			}
		}
		total += n
	}
	return total, f.out.idle(f.b.work)
}

// publishEach publishes as many messages as the quota allows, from all callers. Each caller waits
// for the answer to one message before it publishes the next.
func (f *floor) publishEach(q *quota) (int, error) {
	var total atomic.Int64
	err := parallel(f.b.Callers, func(int) error {
		answer := make(chan *nats.Msg, 1)
		for q.take(1) > 0 {
			if _, err := f.out.ask(f.b.work, f.queued(f.b.payload), answer); err != nil {
				return err
			}
			total.Add(1)
		}
		return nil
	})
	return int(total.Load()), err
}

// purge empties the queue.
func (f *floor) purge() error {
	s, err := f.b.js.Stream(f.b.work, f.names[0])
	if err == nil {
		err = s.Purge(f.b.work)
	}
	return err
}
