package jsstore

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/layout"
)

// A feed joins pullers that share one credit. It implements [engine.Feed].
type feed[M any] struct {
	s       *Store
	decode  func(m *nats.Msg, old bool) (M, bool)
	pullers []*puller
	credit  atomic.Int64
	out     chan M
	done    chan struct{}
	closing func() // called when the feed closes; may be nil

	// deliver holds mu for reading and Close for writing, so that Close closes out only when
	// nobody can send to it any more.
	mu     sync.RWMutex
	closed bool
}

// feedBuffer is how many messages are buffered between the connection and the receiver. The
// credit keeps them few.
const feedBuffer = 64

func newFeed[M any](ctx context.Context, s *Store, decode func(m *nats.Msg, old bool) (M, bool), sources ...layout.Source) (engine.Feed[M], error) {
	return newFeedUntil(ctx, s, nil, decode, sources...)
}

// newFeedUntil is newFeed with a function to call when the feed closes or can't be opened.
func newFeedUntil[M any](ctx context.Context, s *Store, closing func(), decode func(m *nats.Msg, old bool) (M, bool), sources ...layout.Source) (engine.Feed[M], error) {
	f := &feed[M]{s: s, decode: decode, closing: closing, out: make(chan M, feedBuffer), done: make(chan struct{})}
	for _, src := range sources {
		err := s.makeConsumer(ctx, src)
		var p *puller
		if err == nil {
			p, err = s.pull(ctx, src, func() int { return int(f.credit.Load()) }, f.deliver)
		}
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("consume %s from %s: %w", src.Filter, src.Stream, err)
		}
		f.pullers = append(f.pullers, p)
	}
	return f, nil
}

func (f *feed[M]) Request(n int) {
	f.credit.Add(int64(n))
	for _, p := range f.pullers {
		p.more()
	}
}

func (f *feed[M]) Messages() <-chan M { return f.out }

// Fault implements [engine.Feed].
func (f *feed[M]) Fault() (since time.Time, err error) {
	if err := f.s.rpc.Gone(); err != nil {
		return time.Time{}, err
	}
	for _, p := range f.pullers {
		p.mu.Lock()
		since, err = p.since, p.fault
		p.mu.Unlock()
		if err != nil {
			return since, fmt.Errorf("take from %s: %w", p.source.Stream, err)
		}
	}
	return time.Time{}, nil
}

// excess is how long a message rests after deliver has returned it for lack of credit.
const excess = 50 * time.Millisecond

// deliver passes a message on. It returns a message that arrives without credit: the feed asked
// two consumers for the same credit, and both delivered.
func (f *feed[M]) deliver(m *nats.Msg, old bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.closed {
		_ = f.s.nak(m, 0) // if the nak gets lost, here and below, the server redelivers after the lease
		return
	}
	if f.credit.Add(-1) < 0 {
		f.credit.Add(1)
		_ = f.s.nak(m, excess)
		return
	}
	d, ok := f.decode(m, old)
	switch {
	case ok:
	case f.s.errands.crowded():
		f.s.errands.run(func() { f.Request(1) })
		return
	default:
		f.credit.Add(1)
		return
	}
	select {
	case f.out <- d:
	case <-f.done:
		_ = f.s.nak(m, 0)
	}
}

func (f *feed[M]) Close() {
	f.mu.RLock()
	closed := f.closed
	f.mu.RUnlock()
	if closed {
		return
	}
	if f.closing != nil {
		f.closing()
	}
	for _, p := range f.pullers {
		p.stop()
	}
	close(f.done)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	close(f.out)
	for d := range f.out {
		if b, ok := any(d).(engine.Baton); ok {
			_ = b.Return(context.Background(), time.Time{}, false)
		}
	}
}
