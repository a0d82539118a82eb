package bench

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A quota says how many more may be begun: up to a count, or until a time.
type quota struct {
	ctx   context.Context // its end ends the quota
	count bool
	left  atomic.Int64
	end   time.Time
}

func newQuota(ctx context.Context, count int, d time.Duration) *quota {
	q := &quota{ctx: ctx, count: count > 0, end: time.Now().Add(d)}
	q.left.Store(int64(count))
	return q
}

// take returns how many may be begun now, n at most; 0 says that it is over.
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

// maxBacklog is how many messages may be queued while more are enqueued. It bounds
// what a round by time leaves to do when its time is over.
const maxBacklog = 20_000

// bulk enqueues what the quota allows, in chunks, and returns how many once all of
// them have been executed.
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

// await calls done, with pauses, until it says true.
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

// drained waits until everything has been executed, recorded and put down.
//
// A message is put down only when what it leads to is stored. So there is nothing
// left to do once there is no message in the queue nor in the control stream at the
// same time: nothing was in the queue, nor had come to it when it was looked at
// again, and in between there was nothing in the other.
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
