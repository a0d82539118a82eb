package memstore

import (
	"context"
	"slices"
	"time"

	"github.com/durable-execution/durable/engine"
)

// A queue keeps messages until they are acknowledged, and distributes the due ones among its
// feeds. The store's mutex guards all of it.
type queue[M any] struct {
	store *Store
	all   map[*message[M]]bool
	// Due messages, in the order in which they became due: the redelivered ones, which go
	// first as in JetStream, and the others. Both lists may contain removed messages.
	redelivered, undelivered []*message[M]
	feeds                    []*feed[M] // the next feed to get a message comes first
}

// A state says where a message is.
type state int

const (
	waiting state = iota // it is not due yet
	due
	held // a feed or a receiver has it
	removed
)

type message[M any] struct {
	queue      *queue[M]
	open       func(*baton[M]) M // makes the message for the receiver
	removed    func()            // is called when the message has been removed; may be nil
	about      engine.Aside      // its description if it is set aside
	state      state
	feed       *feed[M] // the feed that holds it; nil once it has been received
	deliveries int
	recorded   bool        // the record contains everything that the message says: see Baton.Return
	timer      *time.Timer // makes the message due, or ends the lease
}

func newQueue[M any](s *Store) *queue[M] {
	return &queue[M]{store: s, all: map[*message[M]]bool{}}
}

// put adds a message that is due at the given time. Place and id describe it if it is set aside.
func (q *queue[M]) put(at time.Time, place, id string, open func(*baton[M]) M) *message[M] {
	m := &message[M]{queue: q, open: open, about: engine.Aside{ID: id, Place: place, At: time.Now().UTC()}}
	q.all[m] = true
	m.wait(at)
	return m
}

// wait makes m due at the given time.
func (m *message[M]) wait(at time.Time) {
	m.state = waiting
	if d := time.Until(at); d > 0 {
		m.after(d, m.fallDue)
		return
	}
	m.fallDue()
}

func (m *message[M]) fallDue() {
	m.leave()
	m.state = due
	q := m.queue
	if m.deliveries > 0 {
		q.redelivered = append(q.redelivered, m)
	} else {
		q.undelivered = append(q.undelivered, m)
	}
	q.share()
}

// leave stops m's timer, and takes m out of the feed that holds it, if it is still unreceived.
func (m *message[M]) leave() {
	m.stop()
	if m.feed != nil {
		m.feed.lose(m)
	}
}

func (m *message[M]) remove() {
	if m.state == removed {
		return
	}
	m.leave()
	m.state = removed
	delete(m.queue.all, m)
	if m.removed != nil {
		m.removed()
	}
}

// after calls do after d, with the mutex held, unless the timer has been stopped or replaced.
func (m *message[M]) after(d time.Duration, do func()) {
	m.stop()
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		m.queue.store.mu.Lock()
		defer m.queue.store.mu.Unlock()
		if m.timer == t {
			do()
		}
	})
	m.timer = t
}

func (m *message[M]) stop() {
	if m.timer != nil {
		m.timer.Stop()
		m.timer = nil
	}
}

// share distributes due messages among the feeds with open requests, one message to each in
// turn.
func (q *queue[M]) share() {
	for i := 0; i < len(q.feeds); {
		f := q.feeds[i]
		if f.wanted <= 0 {
			i++
			continue
		}
		m := q.next()
		if m == nil {
			return
		}
		m.state, m.feed = held, f
		m.deliveries++
		m.after(q.store.config.Lease, m.fallDue)
		f.take(&baton[M]{message: m, feed: f, delivery: m.deliveries})
		q.putLast(f)
		i = 0
	}
}

// putLast moves f to the end of the feeds.
func (q *queue[M]) putLast(f *feed[M]) {
	if i := slices.Index(q.feeds, f); i >= 0 {
		q.feeds = append(slices.Delete(q.feeds, i, i+1), f)
	}
}

// next takes the next due message out of the lists; nil if there is none.
func (q *queue[M]) next() *message[M] {
	for _, list := range []*[]*message[M]{&q.redelivered, &q.undelivered} {
		for len(*list) > 0 {
			m := (*list)[0]
			*list = (*list)[1:]
			if m.state == due {
				return m
			}
		}
	}
	return nil
}

// shut stops all timers and returns the functions that close the feeds.
func (q *queue[M]) shut() (ends []func()) {
	for m := range q.all {
		m.stop()
	}
	for _, f := range q.feeds {
		ends = append(ends, f.Close)
	}
	return ends
}

// A baton is the [engine.Baton] of one delivery. It becomes invalid with the next delivery.
type baton[M any] struct {
	message  *message[M]
	feed     *feed[M]
	delivery int
	received bool
}

// Extend implements [engine.Baton]. It does not report a lost lease, as JetStream does not:
// a holder that has lost the lease fails to write the record at its revision.
func (b *baton[M]) Extend(ctx context.Context) error {
	return b.act(ctx, func(m *message[M]) {
		if b.holds() {
			m.after(m.queue.store.config.Lease, m.fallDue)
		}
	})
}

// Done implements [engine.Baton]. It also removes the message if the caller has lost its lease:
// the caller has made everything durable, so the next holder has nothing to do.
func (b *baton[M]) Done(ctx context.Context) error {
	return b.act(ctx, func(m *message[M]) { m.remove() })
}

// Return implements [engine.Baton].
func (b *baton[M]) Return(ctx context.Context, at time.Time, recorded bool) error {
	return b.act(ctx, func(m *message[M]) {
		if b.holds() {
			m.recorded = m.recorded || recorded
			m.wait(at)
		}
	})
}

func (b *baton[M]) holds() bool {
	return b.message.state == held && b.message.deliveries == b.delivery
}

func (b *baton[M]) act(ctx context.Context, do func(*message[M])) error {
	s := b.message.queue.store
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	b.feed.received(b) // the caller has received it, even if the feed has not noted that yet
	do(b.message)
	return nil
}
