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

// A bed is a namespace with somebody who enqueues and somebody who executes, each
// with a connection of its own, as producers and executors have that are two
// programs.
type bed struct {
	Config
	target    *target
	namespace string
	payload   []byte

	conns    []*nats.Conn // of the client, and of the executor in this process
	js       jetstream.JetStream
	client   *engine.Client
	ledger   *ledger // of this process
	crews    []*process
	floor    *floor
	number   atomic.Uint64 // the last that was given
	last     atomic.Value  // id of an execution of the round
	closings []func() error

	// work is the context of what has been begun. It outlives the interruption by a
	// grace.
	work context.Context
	fail context.CancelCauseFunc
}

// grace is how long what has been begun may take to end after an interruption.
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

// payload is text that is neither all the same nor random: what is stored of it
// is not compressed in any case.
func payload(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = "durable bench "[i%14]
	}
	return p
}

// furnish connects and makes what is needed in the namespace.
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

// openStore opens the namespace; a cluster that has just been started may take
// seconds to have a leader.
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

// close ends everything, the last first.
func (b *bed) close() error {
	var errs []error
	for i := len(b.closings) - 1; i >= 0; i-- {
		errs = append(errs, b.closings[i]())
	}
	return errors.Join(errs...)
}

// removeStreams leaves nothing on a server that is not ours.
func (b *bed) removeStreams() error {
	if b.Server == "" {
		return nil // it goes with its files
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

// streams are the names of the namespace's, as codec/WIRE.md has them.
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

// cause is why the work ended, if that is why a call did.
func (b *bed) cause(err error) error {
	if err != nil && b.work.Err() != nil {
		return context.Cause(b.work)
	}
	return err
}

// A snapshot is what had been used and stored at a moment.
type snapshot struct {
	here, servers, crews usage
	hists                []usage // of each crew
	stored               [4]uint64
	acks, deliveries     uint64
	sent, received       uint64 // bytes
	requests             uint64 // messages sent
}

// snap takes a snapshot. What it costs itself is outside of what lies between two:
// what is told by asking the server is asked first before, and last after.
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
	runtime.GC() // what lies about is not of this round
	forgetPeak()
	if err := b.use(&s, askReset); err != nil {
		return s, err
	}
	b.traffic(&s)
	return s, nil
}

// use reads what the processes have used.
func (b *bed) use(s *snapshot, what string) (err error) {
	if s.servers, _, err = askAll(b.target.processes, what); err != nil {
		return err
	}
	s.crews, s.hists, err = askAll(b.crews, what)
	s.here = b.ledger.add(usageHere())
	return err
}

// traffic reads what has been sent over the connections of this process.
func (b *bed) traffic(s *snapshot) {
	for _, nc := range b.conns {
		stats := nc.Stats()
		s.sent += stats.OutBytes
		s.received += stats.InBytes
		s.requests += stats.OutMsgs
	}
}

// count reads what has been stored and acknowledged, once nothing is in hand any more:
// who waits for an outcome has it before the message is put down.
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
