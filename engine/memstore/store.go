// Package memstore keeps executions in memory. It is the [engine.Store] to read first, and the
// store for tests: everything is lost when the process ends. It knows queues, revisions and
// leases. It does not know when an execution may move: that is engine.Apply.
package memstore

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/durable-execution/durable/engine"
)

// Config says how a store behaves. The zero Config is usable.
type Config struct {
	// Lease is how long a delivery lasts unless it is extended. Zero means 30 s.
	Lease time.Duration
	// Retention is how long a finished tree is kept if the policy of its root sets no
	// retention. Zero means engine.DefaultRetention; engine.Forever keeps it for ever.
	Retention time.Duration
	// Payload is the most bytes that an input or an output may have. Zero means 256 KiB: an
	// input, an output and the rest of the record then fit into 1 MiB, the default limit of a
	// NATS server.
	Payload int
	// QueueLimit is the most executions that a queue may hold, with the delayed and the
	// claimed ones. A full queue refuses new roots, but accepts spawned executions. Zero means
	// no limit.
	QueueLimit int
}

// ErrClosed is returned by every call on a store that has been closed.
var ErrClosed = engine.ErrClosed

// A Store is an [engine.Store] in memory. It starts a goroutine for each open feed, and one for
// each watcher that has unread notices.
type Store struct {
	config Config

	mu       sync.Mutex // guards all fields below, and the contents of queues, feeds and watchers
	closed   bool
	revision engine.Revision // the latest revision of any record
	enqueued int             // how many executions were enqueued
	records  map[string]record
	spawns   map[string][]byte // long lists of children, by Execution.SpawnsAt
	ready    map[string][]*ready
	queues   map[string]*queue[*engine.Delivery]
	closures *queue[engine.ClosureMessage]
	cancels  *queue[engine.CancelMessage]
	expiries *queue[engine.ExpiryMessage]
	expiryOf map[string]*message[engine.ExpiryMessage] // the latest scheduled expiry of each root
	watchers map[engine.Topic]map[*watcher]bool
	present  map[*present]bool
	aside    []deadLetter
}

var _ engine.Store = (*Store)(nil)

// New returns an empty store.
func New(c Config) *Store {
	if c.Lease == 0 {
		c.Lease = 30 * time.Second // SEMANTICS.md, Crashes and leases
	}
	if c.Retention == 0 {
		c.Retention = engine.DefaultRetention
	}
	if c.Payload == 0 {
		c.Payload = 256 << 10
	}
	s := &Store{
		config:   c,
		records:  map[string]record{},
		spawns:   map[string][]byte{},
		ready:    map[string][]*ready{},
		queues:   map[string]*queue[*engine.Delivery]{},
		expiryOf: map[string]*message[engine.ExpiryMessage]{},
		watchers: map[engine.Topic]map[*watcher]bool{},
		present:  map[*present]bool{},
	}
	s.closures = newQueue[engine.ClosureMessage](s)
	s.cancels = newQueue[engine.CancelMessage](s)
	s.expiries = newQueue[engine.ExpiryMessage](s)
	return s
}

// Close ends the store's feeds and timers. Calls return ErrClosed from now on.
func (s *Store) Close() {
	s.mu.Lock()
	s.closed = true
	s.announceClosed()
	ends := slices.Concat(s.closures.shut(), s.cancels.shut(), s.expiries.shut())
	for _, q := range s.queues {
		ends = append(ends, q.shut()...)
	}
	s.mu.Unlock()
	for _, end := range ends {
		end()
	}
}

// Limits implements [engine.Store].
func (s *Store) Limits() engine.Limits {
	return engine.Limits{Payload: s.config.Payload, Lease: s.config.Lease, Retention: s.config.Retention}
}

// lock locks the store for a call. If it returns an error, the store is not locked.
func (s *Store) lock(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	return nil
}

// fits returns an error if data is larger than a payload may be.
func (s *Store) fits(what string, data []byte) error {
	if n, limit := len(data), s.config.Payload; n > limit {
		return fmt.Errorf("%w: %s of %d bytes, at most %d", engine.ErrTooLarge, what, n, limit)
	}
	return nil
}

// encode returns the stored form of x. It refuses an execution that could not be read again.
func encode(x engine.Execution) ([]byte, error) {
	data, err := engine.EncodeRecord(x)
	if err != nil {
		return nil, err
	}
	_, err = engine.DecodeRecord(data)
	return data, err
}
