package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
)

// A bed is a namespace with a client and, for most workloads, an executor. Each has a
// connection of its own, as if producer and executor were two programs.
type bed struct {
	Config
	target    *target
	namespace string
	payload   []byte

	conns    []*nats.Conn // the connections of the client and of the executor in this process
	js       jetstream.JetStream
	client   *engine.Client
	ledger   *ledger // of this process
	crews    []*process
	floor    *floor
	number   atomic.Uint64 // the last number that [cancels] has used
	last     atomic.Value  // the id of an execution of the round, for verify
	closings []func() error

	// work is the context of started work. It outlives an interruption by the grace.
	work context.Context
	fail context.CancelCauseFunc
}

// grace is how long started work may take to finish after an interruption.
const grace = 10 * time.Second

func open(ctx context.Context, c Config, w *workload) (b *bed, err error) {
	t, err := reach(ctx, c)
	if err != nil {
		return nil, err
	}
	b = &bed{
		Config: c, target: t, ledger: newLedger(), payload: payload(c.Payload),
		namespace: "bench-" + strings.ToLower(nuid.Next()[:10]),
	}
	b.closings = append(b.closings, t.stop)
	b.work, b.fail = context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(grace, func() { b.fail(context.Cause(ctx)) })
	})
	b.closings = append(b.closings, func() error { stop(); b.fail(nil); return nil })
	if err := b.furnish(ctx, w); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

// payload returns n bytes of text that is neither uniform nor random. The store compresses
// nothing, so the content does not matter.
func payload(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = "durable bench "[i%14]
	}
	return p
}

// furnish connects, opens the namespace, prepares the floor and starts the executors.
func (b *bed) furnish(ctx context.Context, w *workload) error {
	var stores []*jsstore.Store
	for range 2 {
		nc, err := b.target.connect()
		if err != nil {
			return fmt.Errorf("connect to the server: %w", err)
		}
		b.conns = append(b.conns, nc)
		b.closings = append(b.closings, func() error { nc.Close(); return nil })
		s, err := b.openStore(ctx, nc)
		if err != nil {
			return err
		}
		if len(stores) == 0 {
			if b.js, err = jetstream.New(nc); err != nil {
				return err
			}
			b.closings = append(b.closings, b.removeStreams)
		}
		stores = append(stores, s)
		b.closings = append(b.closings, s.Close)
	}
	b.client = engine.NewClient(stores[0])
	var err error
	if !b.NoFloor && w.hasFloor() {
		if b.floor, err = newFloor(b); err != nil {
			return fmt.Errorf("prepare the floor: %w", err)
		}
		b.closings = append(b.closings, b.floor.close)
	}
	if w.unmanned {
		return nil
	}
	c := crew{URL: b.target.url, Namespace: b.namespace, Slots: b.Slots, Steps: b.Steps, Grouped: b.SyncAlways}
	for range b.Executors {
		p, err := start(b.Program, duty{Executor: &c})
		if err != nil {
			return err
		}
		b.crews, b.closings = append(b.crews, p), append(b.closings, p.stop)
	}
	if b.Executors > 0 {
		return nil
	}
	stop, err := c.execute(stores[1], b.ledger, b.fail)
	if err == nil {
		b.closings = append(b.closings, stop)
	}
	return err
}

// openStore opens the namespace. It retries, because a new cluster may take seconds to elect a
// leader.
func (b *bed) openStore(ctx context.Context, nc *nats.Conn) (*jsstore.Store, error) {
	for deadline := time.Now().Add(clusterPatience); ; {
		s, err := jsstore.Open(ctx, nc, jsstore.Config{Namespace: b.namespace, Replicas: b.Replicas, GroupWrites: b.SyncAlways})
		if err == nil || ctx.Err() != nil || time.Now().After(deadline) || b.Replicas == 1 || b.Server != "" {
			return s, err
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// close releases everything, in the reverse order.
func (b *bed) close() error {
	var errs []error
	for i := len(b.closings) - 1; i >= 0; i-- {
		errs = append(errs, b.closings[i]())
	}
	return errors.Join(errs...)
}

// removeStreams removes all streams from a server that the bench did not start.
func (b *bed) removeStreams() error {
	if b.Server == "" {
		return nil // the server's files are removed
	}
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	var errs []error
	for _, name := range append(b.streams(), floorStreams(b.namespace)...) {
		if err := b.js.DeleteStream(ctx, name); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			errs = append(errs, fmt.Errorf("remove stream %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// The streams of a namespace, in the order of streams.
const (
	inReady = iota
	inRecords
	inControl
	inTimers
)

// streams returns the names of the streams of the namespace: see codec/WIRE.md.
func (b *bed) streams() []string {
	return []string{b.namespace + "-ready", "KV_" + b.namespace + "-executions", b.namespace + "-control", b.namespace + "-timers"}
}

func (b *bed) state(stream int) (jetstream.StreamState, error) {
	s, err := b.js.Stream(b.work, b.streams()[stream])
	if err != nil {
		return jetstream.StreamState{}, fmt.Errorf("state of %s: %w", b.streams()[stream], b.cause(err))
	}
	return s.CachedInfo().State, nil
}

// cause returns the cause of work's end if work has ended, and otherwise err.
func (b *bed) cause(err error) error {
	if err != nil && b.work.Err() != nil {
		return context.Cause(b.work)
	}
	return err
}

// A snapshot holds the resources used and the messages stored until a moment.
type snapshot struct {
	here, servers, crews usage
	hists                []usage // the usage of each crew, with its histogram
	stored               [4]uint64
	acks, deliveries     uint64
	sent, received       uint64 // bytes over the connections of this process
	requests             uint64 // messages that this process sent
}

// snap takes a snapshot. The cost of its requests to the server must not count: it makes them
// first in the snapshot before a round, and last in the one after.
func (b *bed) snap(before bool) (s snapshot, err error) {
	if !before {
		b.traffic(&s)
		if err := b.use(&s, askUsage); err != nil {
			return s, err
		}
		return s, b.count(&s)
	}
	if err := b.count(&s); err != nil {
		return s, err
	}
	runtime.GC() // garbage of earlier rounds must not count
	forgetPeak()
	if err := b.use(&s, askReset); err != nil {
		return s, err
	}
	b.traffic(&s)
	return s, nil
}

// use reads the usage of all processes.
func (b *bed) use(s *snapshot, what string) (err error) {
	if s.servers, _, err = askAll(b.target.processes, what); err != nil {
		return err
	}
	s.crews, s.hists, err = askAll(b.crews, what)
	s.here = b.ledger.add(usageHere())
	return err
}

// traffic reads the statistics of this process's connections.
func (b *bed) traffic(s *snapshot) {
	for _, nc := range b.conns {
		stats := nc.Stats()
		s.sent += stats.OutBytes
		s.received += stats.InBytes
		s.requests += stats.OutMsgs
	}
}

// count reads how many messages have been stored and acknowledged. It waits until no message is
// pending: a waiter has the outcome of an execution before the executor acknowledges.
func (b *bed) count(s *snapshot) error {
	return b.await(func() (bool, error) {
		s.acks, s.deliveries = 0, 0
		inHand, err := b.countNow(s)
		return inHand == 0, err
	})
}

func (b *bed) countNow(s *snapshot) (inHand int, err error) {
	for i, name := range b.streams() {
		state, err := b.state(i)
		if err != nil {
			return 0, err
		}
		s.stored[i] = state.LastSeq
		if i == inRecords {
			continue
		}
		stream, err := b.js.Stream(b.work, name)
		if err != nil {
			return 0, fmt.Errorf("consumers of %s: %w", name, b.cause(err))
		}
		consumers := stream.ListConsumers(b.work)
		for info := range consumers.Info() {
			s.acks += info.AckFloor.Consumer
			s.deliveries += info.Delivered.Consumer
			inHand += info.NumAckPending
		}
		if err := consumers.Err(); err != nil && !errors.Is(err, jetstream.ErrEndOfData) {
			return 0, fmt.Errorf("consumers of %s: %w", name, b.cause(err))
		}
	}
	return inHand, nil
}
