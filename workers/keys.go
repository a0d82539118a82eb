package workers

import (
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
)

const (
	// keyDeliveries is how often an execution must have been delivered before this executor
	// reports that a key is missing: until then another executor may have it.
	keyDeliveries = 10
	// keyMemory is how long a missing key is reported after its latest use. It is twice the
	// longest pause of an execution that no executor can run, 30 s: see engine.Foreign.
	keyMemory = time.Minute
	// mostKeys is the most missing keys that an executor reports: publishers choose their names.
	mostKeys = 16
)

// keys are the keys that executions need, but that this executor lacks, and as far as it can
// tell every other executor of the queue.
type keys struct {
	mu   sync.Mutex
	list map[string]*lack // by what a report says
}

type lack struct {
	since, last time.Time
	count       int
}

// miss notes that an execution that was delivered so often can't be read because of err.
func (k *keys) miss(err error, deliveries int, at time.Time) {
	e := (*codec.KeyError)(nil)
	if !errors.As(err, &e) || deliveries < keyDeliveries {
		return
	}
	what := fmt.Sprintf("%skey %.80q of layer %.80q", engine.NoKey, e.Key, e.Layer)
	if e.Key == "" {
		what = fmt.Sprintf("%slayer %.80q", engine.NoKey, e.Layer)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forget(at)
	l := k.list[what]
	switch {
	case l == nil && len(k.list) >= mostKeys:
		return
	case l == nil:
		l = &lack{since: at}
		if k.list == nil {
			k.list = map[string]*lack{}
		}
		k.list[what] = l
	}
	l.last = at
	l.count++
}

func (k *keys) forget(at time.Time) {
	maps.DeleteFunc(k.list, func(_ string, l *lack) bool { return at.Sub(l.last) > keyMemory })
}

// report adds the missing keys to an answer, to its counts of failures and to what fails now.
func (k *keys) report(p *engine.Presence, at time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forget(at)
	if len(k.list) == 0 {
		return
	}
	if p.Failures = maps.Clone(p.Failures); p.Failures == nil {
		p.Failures = map[string]int{}
	}
	for what, l := range k.list {
		p.Failing[what], p.Failures[what] = l.since, l.count
	}
}
