package bench

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A clock records durations from several goroutines.
type clock struct{ mu sync.Mutex }

// record adds each duration to the histogram before it.
func (c *clock) record(h *hdrhistogram.Histogram, d time.Duration, more ...any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := h.RecordValue(d.Nanoseconds()); err != nil {
		return err
	}
	for i := 0; i+1 < len(more); i += 2 {
		if err := more[i].(*hdrhistogram.Histogram).RecordValue(max(more[i+1].(time.Duration).Nanoseconds(), 0)); err != nil {
			return err
		}
	}
	return nil
}

// closed calls do from all callers, as often as the quota allows. Each caller makes one call
// after the other.
func (b *bed) closed(q *quota, do func(caller int) error) (int, error) {
	var total atomic.Int64
	err := parallel(b.Callers, func(i int) error {
		for q.take(1) > 0 {
			if err := do(i); err != nil {
				return b.cause(err)
			}
			total.Add(1)
		}
		return nil
	})
	return int(total.Load()), err
}

// clocked calls do and records how long each call takes. Without a rate it starts the clock when
// the call begins. With a rate it starts the clock when the call is due, and does not wait for
// earlier calls. So if the server stalls, every call that it delays shows that. Measuring from
// the begin would hide it (coordinated omission).
func (b *bed) clocked(q *quota, h *hdrhistogram.Histogram, do func() error) (int, error) {
	var times clock
	if b.Rate == 0 {
		return b.closed(q, func(int) error {
			began := time.Now()
			if err := do(); err != nil {
				return err
			}
			return times.record(h, time.Since(began))
		})
	}
	var all sync.WaitGroup
	var total atomic.Int64
	first, errs := time.Now(), make(chan error, 1)
	for n := 0; q.take(1) > 0; n++ {
		due := first.Add(time.Duration(float64(n) / b.Rate * float64(time.Second)))
		if pause(q.ctx, time.Until(due)) != nil {
			break
		}
		all.Go(func() {
			err := do()
			if err == nil {
				err = times.record(h, time.Since(due))
			}
			if err != nil {
				select {
				case errs <- b.cause(err):
				default:
				}
				return
			}
			total.Add(1)
		})
	}
	all.Wait()
	select {
	case err := <-errs:
		return int(total.Load()), err
	default:
		return int(total.Load()), context.Cause(b.work)
	}
}

// pause returns ctx's cause if ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// A pace spreads enqueued executions over time, at the rate of the Config.
type pace struct {
	rate  float64 // 0 means as fast as possible
	first time.Time
	begun atomic.Int64
}

func (b *bed) pace() *pace { return &pace{rate: b.Rate, first: time.Now()} }

// wait returns when the caller may enqueue n more executions.
func (p *pace) wait(ctx context.Context, n int) error {
	before := p.begun.Add(int64(n)) - int64(n)
	if p.rate == 0 {
		return nil
	}
	return pause(ctx, time.Until(p.first.Add(time.Duration(float64(before)/p.rate*float64(time.Second)))))
}
