package bench

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A quota limits how many executions a round starts: up to a count, or until a time.
type quota struct {
	ctx   context.Context // when it ends, the quota is exhausted
	count bool
	left  atomic.Int64
	end   time.Time
}

func newQuota(ctx context.Context, count int, d time.Duration) *quota {
	q := &quota{ctx: ctx, count: count > 0, end: time.Now().Add(d)}
	q.left.Store(int64(count))
	return q
}

// take returns how many executions the caller may start now, at most n; 0 means that the quota
// is exhausted.
func (q *quota) take(n int) int {
	if q.ctx.Err() != nil {
		return 0
	}
	if !q.count {
		if time.Now().After(q.end) {
			return 0
		}
		return n
	}
	left := q.left.Add(-int64(n))
	return max(0, min(n, n+int(left)))
}

// parallel calls fn n times at once and returns the first error.
func parallel(n int, fn func(i int) error) error {
	var all sync.WaitGroup
	var once sync.Once
	var first error
	for i := range n {
		all.Go(func() {
			if err := fn(i); err != nil {
				once.Do(func() { first = err })
			}
		})
	}
	all.Wait()
	return first
}

// maxBacklog is how many messages may be queued while callers enqueue more. It bounds the work
// that remains when the time of a round is over.
const maxBacklog = 20_000

// bulk enqueues as many executions as the quota allows, in chunks. It waits until all of them
// have run, and returns how many there were.
func (b *bed) bulk(q *quota, chunk int, enqueue func(n int) error) (int, error) {
	var total atomic.Int64
	err := parallel(b.Callers, func(int) error {
		for n := q.take(chunk); n > 0; n = q.take(chunk) {
			if err := enqueue(n); err != nil {
				return b.cause(err)
			}
			if total.Add(int64(n)) > maxBacklog {
				if err := b.await(func() (bool, error) {
					s, err := b.state(inReady)
					return s.Msgs < maxBacklog, err
				}); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err == nil {
		err = b.drained()
	}
	return int(total.Load()), err
}

// await calls done, with pauses, until it returns true.
func (b *bed) await(done func() (bool, error)) error {
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-b.work.Done():
			return context.Cause(b.work)
		}
	}
}

// drained waits until all executions have run, and their outcomes are recorded and their
// messages acknowledged.
//
// An executor acknowledges a message only after it has stored everything that follows from it.
// So all work is done once the queue and the control stream are empty at the same time. drained
// reads the queue, the control stream, and the queue once more: if all three were empty, and no
// message came to the queue in between, both were empty when it read the control stream.
func (b *bed) drained() error {
	return b.await(func() (bool, error) {
		before, err := b.state(inReady)
		if err != nil || before.Msgs > 0 {
			return false, err
		}
		control, err := b.state(inControl)
		if err != nil || control.Msgs > 0 {
			return false, err
		}
		after, err := b.state(inReady)
		return err == nil && after.Msgs == 0 && after.LastSeq == before.LastSeq, err
	})
}
