package memstore

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/durable-execution/durable/engine"
)

// A feed passes on the messages that it gets from its queue, in their order. The lease of a
// message begins when the feed gets it. If nobody receives the message within the lease, it
// goes to the next feed.
type feed[M any] struct {
	queue    *queue[M]
	messages chan M
	changed  chan struct{} // signals that the head of the outbox may have changed
	closing  chan struct{}
	ended    chan struct{}
	close    sync.Once

	// Guarded by the store's mutex.
	wanted int // open requests; negative after a race with the end of a lease
	outbox []parcel[M]
}

type parcel[M any] struct {
	baton   *baton[M]
	content M
}

// Claim implements [engine.Store].
func (s *Store) Claim(ctx context.Context, queue string) (engine.Feed[*engine.Delivery], error) {
	return open(ctx, s, func() *feed[*engine.Delivery] { return s.queue(queue).feed() })
}

// Closures implements [engine.Store].
func (s *Store) Closures(ctx context.Context) (engine.Feed[engine.ClosureMessage], error) {
	return open(ctx, s, s.closures.feed)
}

// Cancels implements [engine.Store].
func (s *Store) Cancels(ctx context.Context) (engine.Feed[engine.CancelMessage], error) {
	return open(ctx, s, s.cancels.feed)
}

// Expiries implements [engine.Store].
func (s *Store) Expiries(ctx context.Context) (engine.Feed[engine.ExpiryMessage], error) {
	return open(ctx, s, s.expiries.feed)
}

func open[M any](ctx context.Context, s *Store, feed func() *feed[M]) (engine.Feed[M], error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	return feed(), nil
}

func (q *queue[M]) feed() *feed[M] {
	f := &feed[M]{
		queue:    q,
		messages: make(chan M), // unbuffered: a message that was sent has been received
		changed:  make(chan struct{}, 1),
		closing:  make(chan struct{}),
		ended:    make(chan struct{}),
	}
	q.feeds = append(q.feeds, f)
	go f.run()
	return f
}

// Request implements [engine.Feed].
func (f *feed[M]) Request(n int) {
	s := f.queue.store
	s.mu.Lock()
	defer s.mu.Unlock()
	f.wanted += n
	if !s.closed {
		f.queue.share()
	}
}

// Messages implements [engine.Feed].
func (f *feed[M]) Messages() <-chan M { return f.messages }

// Fault implements [engine.Feed].
func (f *feed[M]) Fault() (since time.Time, err error) {
	s := f.queue.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return time.Time{}, ErrClosed
	}
	return time.Time{}, nil
}

// Close implements [engine.Feed].
func (f *feed[M]) Close() {
	f.close.Do(func() {
		close(f.closing)
		<-f.ended // from here on, nobody receives a message of the outbox
		s := f.queue.store
		s.mu.Lock()
		defer s.mu.Unlock()
		f.queue.feeds = slices.DeleteFunc(f.queue.feeds, func(other *feed[M]) bool { return other == f })
		for len(f.outbox) > 0 && !s.closed {
			f.outbox[0].baton.message.fallDue()
		}
	})
}

func (f *feed[M]) run() {
	defer close(f.ended)
	defer close(f.messages)
	for {
		head, out := f.head()
		select {
		case out <- head.content:
			f.queue.store.mu.Lock()
			f.received(head.baton)
			f.queue.store.mu.Unlock()
		case <-f.changed:
		case <-f.closing:
			return
		}
	}
}

// head returns the next message to pass on, and the channel for it; nil if there is no message.
func (f *feed[M]) head() (parcel[M], chan M) {
	f.queue.store.mu.Lock()
	defer f.queue.store.mu.Unlock()
	if len(f.outbox) == 0 {
		return parcel[M]{}, nil
	}
	return f.outbox[0], f.messages
}

// received takes a received message out of the outbox.
func (f *feed[M]) received(b *baton[M]) {
	if b.received {
		return
	}
	b.received = true
	if len(f.outbox) == 0 || f.outbox[0].baton != b {
		f.wanted-- // lose reopened the request, because the lease ended at the same time
		return
	}
	f.outbox = f.outbox[1:]
	b.message.feed = nil
}

// take puts a message into the outbox.
func (f *feed[M]) take(b *baton[M]) {
	f.wanted--
	f.outbox = append(f.outbox, parcel[M]{b, b.message.open(b)})
	f.change()
}

// lose takes an unreceived message out of the outbox. It lets other feeds go before f, because
// the receiver of f may be stuck.
func (f *feed[M]) lose(m *message[M]) {
	f.queue.putLast(f)
	m.feed = nil
	f.wanted++
	f.outbox = slices.DeleteFunc(f.outbox, func(p parcel[M]) bool { return p.baton.message == m })
	f.change()
}

func (f *feed[M]) change() {
	select {
	case f.changed <- struct{}{}:
	default:
	}
}
