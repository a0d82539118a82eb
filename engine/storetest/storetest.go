// Package storetest states the contract of an [engine.Store] as tests that every store must
// pass, and has a store that crashes on demand. It does not know how a store is made.
//
// It does not test behaviour that the contract leaves open: whether a late Done counts, the
// order of messages, and whether an id may be enqueued again after Done.
package storetest

import (
	"testing"

	"github.com/durable-execution/durable/engine"
)

// A Bubble calls fn with a fresh, empty store, and closes the store afterwards. The rules let
// hours pass, so it normally calls fn in a bubble of testing/synctest, where they pass at once.
// The lease of the store should be short, 2 s for instance.
type Bubble func(t *testing.T, fn func(t *testing.T, s engine.Store))

// An Option adds rules to test.
type Option func(*options)

type options struct {
	limit int
	full  Bubble
}

// QueueLimit adds the rules about full queues. They run on stores of their own, with queues for
// n executions.
func QueueLimit(n int, b Bubble) Option {
	return func(o *options) { o.limit, o.full = n, b }
}

// A rule is a sentence of the contract.
type rule struct {
	sentence string
	test     func(t *testing.T, s engine.Store)
}

// Run tests every rule of the contract, each on a store of its own.
func Run(t *testing.T, b Bubble, opts ...Option) {
	var o options
	for _, option := range opts {
		option(&o)
	}
	for _, rules := range [][]rule{
		enqueueRules, timeRules, recordRules, sizeRules, deliveryRules, feedRules,
		spawnRules, closureRules, cancelRules, retentionRules, asideRules, watchRules, listRules, presenceRules, closedRules,
	} {
		for _, r := range rules {
			t.Run(r.sentence, func(t *testing.T) { b(t, r.test) })
		}
	}
	if o.full == nil {
		return
	}
	t.Run("a full queue refuses new roots and loses nothing", func(t *testing.T) {
		o.full(t, func(t *testing.T, s engine.Store) { refusesWhenFull(t, s, o.limit) })
	})
	t.Run("a full queue accepts spawned executions", func(t *testing.T) {
		o.full(t, func(t *testing.T, s engine.Store) { takesSpawnsWhenFull(t, s, o.limit) })
	})
}
