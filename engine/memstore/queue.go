package memstore

import (
	"context"
	"slices"
	"time"

	"github.com/durable-execution/durable/engine"
)

// A queue keeps messages until they are put down and shares those that are due
// among its feeds. The store's mutex guards all of it.
type queue[M any] struct {
	store *Store
	all   map[*message[M]]bool
	// Due messages, in the order in which they became due. What was delivered
	// before goes first, as in JetStream. They may hold some that have been
	// removed since.
	again, first []*message[M]
	feeds        []*feed[M] // whose turn it is comes first
}

// A message is in one place at a time.
type place int

const (
	waiting place = iota // for its time
	due
	held // by a feed, or by who received it there
	removed
)

type message[M any] struct {
	queue      *queue[M]
	open       func(*hand[M]) M // makes what is delivered
	removed    func()           // is called when the message is gone; may be nil
	about      engine.Aside     // what it is, should it be set aside
	place      place
	feed       *feed[M] // that holds it and has not passed it on
	deliveries int
	recorded   bool        // a record knows more
	timer      *time.Timer // ends the waiting or the lease
}

func newQueue[M any](s *Store) *queue[M] {
	return &queue[M]{store: s, all: map[*message[M]]bool{}}
}

// put adds a message about an execution that is due at a time.
func (q *queue[M]) put(at time.Time, place, id string, open func(*hand[M]) M) *message[M] {
	m := &message[M]{queue: q, open: open, about: engine.Aside{ID: id, Place: place, At: time.Now().UTC()}}
	q.all[m] = true
	m.wait(at)
	return m
}

// wait makes m due at a time.
func (m *message[M]) wait(at time.Time) {
	m.place = waiting
	if d := time.Until(at); d > 0 {
		m.after(d, m.fallDue)
		return
	}
	m.fallDue()
}

func (m *message[M]) fallDue() {
	m.leave()
	m.place = due
	q := m.queue
	if m.deliveries > 0 {
		q.again = append(q.again, m)
	} else {
		q.first = append(q.first, m)
	}
	q.share()
}

// leave takes m out of a feed that nobody received it from, and stops its timer.
func (m *message[M]) leave() {
	m.stop()
	if m.feed != nil {
		m.feed.lose(m)
	}
}

func (m *message[M]) remove() {
	if m.place == removed {
		return
	}
	m.leave()
	m.place = removed
	delete(m.queue.all, m)
	if m.removed != nil {
		m.removed()
	}
}

// after calls do in d, with the mutex held, unless the timer was stopped or set
// anew by then.
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

// share passes what is due to the feeds that asked for more, one each in turn.
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
		m.place, m.feed = held, f
		m.deliveries++
		m.after(q.store.config.Lease, m.fallDue)
		f.take(&hand[M]{message: m, feed: f, delivery: m.deliveries})
		q.putLast(f)
		i = 0
	}
}

// putLast makes f the last of those whose turn will come.
func (q *queue[M]) putLast(f *feed[M]) {
	if i := slices.Index(q.feeds, f); i >= 0 {
		q.feeds = append(slices.Delete(q.feeds, i, i+1), f)
	}
}

// next returns the next message that is due; nil if none is.
func (q *queue[M]) next() *message[M] {
	for _, list := range []*[]*message[M]{&q.again, &q.first} {
		for len(*list) > 0 {
			m := (*list)[0]
			*list = (*list)[1:]
			if m.place == due {
				return m
			}
		}
	}
	return nil
}

// shut stops all timers and returns what ends the feeds.
func (q *queue[M]) shut() (ends []func()) {
	for m := range q.all {
		m.stop()
	}
	for _, f := range q.feeds {
		ends = append(ends, f.Close)
	}
	return ends
}

// A hand is the baton of one delivery. The next delivery voids it.
type hand[M any] struct {
	message  *message[M]
	feed     *feed[M]
	delivery int
	received bool
}

// Extend implements [engine.Baton]. It does not tell that the lease is lost: in
// JetStream nobody would know. The record's revision does.
func (h *hand[M]) Extend(ctx context.Context) error {
	return h.act(ctx, func(m *message[M]) {
		if h.holds() {
			m.after(m.queue.store.config.Lease, m.fallDue)
		}
	})
}

// Done implements [engine.Baton]. It is true whoever says it: a late holder that
// has made everything durable ends the message for the next one, too.
func (h *hand[M]) Done(ctx context.Context) error {
	return h.act(ctx, func(m *message[M]) { m.remove() })
}

// Return implements [engine.Baton].
func (h *hand[M]) Return(ctx context.Context, at time.Time, recorded bool) error {
	return h.act(ctx, func(m *message[M]) {
		if h.holds() {
			m.recorded = m.recorded || recorded
			m.wait(at)
		}
	})
}

func (h *hand[M]) holds() bool {
	return h.message.place == held && h.message.deliveries == h.delivery
}

func (h *hand[M]) act(ctx context.Context, do func(*message[M])) error {
	s := h.message.queue.store
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	h.feed.received(h) // or nobody could call; the feed itself may not have come to say so
	do(h.message)
	return nil
}
