package storetest

import (
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
)

// ErrCrashed is returned by every call of a [CrashStore] after its crash.
var ErrCrashed = errors.New("storetest: process has crashed")

// A Mode is the moment of a crash.
type Mode string

const (
	// Before: the process dies before the call has any effect.
	Before Mode = "before"
	// After: the process dies after the call, and its answer is lost.
	After Mode = "after"
)

// A CrashStore is a view of a store for a process that dies in its n-th call. It counts all
// methods of the store except Limits (List and Aside when the caller ranges over them), and
// Extend, Done, Return and SetAside of every message. After the crash, every call returns
// ErrCrashed and does nothing, feeds deliver nothing, and watchers get no notices. The messages
// of the process stay held until their leases end: closing a feed does not give them back. The
// answers of other calls during the crash are lost.
//
// To simulate other processes, use other CrashStores of the same store, or the store itself.
type CrashStore struct {
	store   engine.Store
	n       int64
	mode    Mode
	calls   atomic.Int64
	once    sync.Once
	crashed chan struct{}
}

var _ engine.Store = (*CrashStore)(nil)

// Crashing returns a view of s for a process that dies in its n-th call, counted from 1. With
// n = 0 the process never dies, and the calls are only counted.
func Crashing(s engine.Store, n int, mode Mode) *CrashStore {
	return &CrashStore{store: s, n: int64(n), mode: mode, crashed: make(chan struct{})}
}

// Calls returns the number of calls so far, with the calls after the crash.
func (c *CrashStore) Calls() int { return int(c.calls.Load()) }

// Crashed returns a channel that the crash closes.
func (c *CrashStore) Crashed() <-chan struct{} { return c.crashed }

func (c *CrashStore) crash() { c.once.Do(func() { close(c.crashed) }) }

func (c *CrashStore) isCrashed() bool {
	select {
	case <-c.crashed:
		return true
	default:
		return false
	}
}

// call makes one call of the process, unless it has died.
func (c *CrashStore) call(do func() error) error {
	n := c.calls.Add(1)
	dies, dead := n == c.n, c.n > 0 && n > c.n
	if dead || dies && c.mode == Before {
		c.crash()
		return ErrCrashed
	}
	err := do()
	if dies {
		c.crash()
	}
	if c.isCrashed() {
		return ErrCrashed
	}
	return err
}

// answer is call for a method that also returns a value.
func answer[T any](c *CrashStore, do func() (T, error)) (v T, err error) {
	err = c.call(func() error { v, err = do(); return err })
	if errors.Is(err, ErrCrashed) {
		var lost T
		return lost, err
	}
	return v, err
}

// Enqueue implements [engine.Store].
func (c *CrashStore) Enqueue(ctx context.Context, due ...engine.Due) error {
	return c.call(func() error { return c.store.Enqueue(ctx, due...) })
}

// Get implements [engine.Store].
func (c *CrashStore) Get(ctx context.Context, id string) (engine.Record, error) {
	return answer(c, func() (engine.Record, error) { return c.store.Get(ctx, id) })
}

// GetMany implements [engine.Store].
func (c *CrashStore) GetMany(ctx context.Context, ids []string) ([]engine.Record, error) {
	return answer(c, func() ([]engine.Record, error) { return c.store.GetMany(ctx, ids) })
}

// Update implements [engine.Store].
func (c *CrashStore) Update(ctx context.Context, x engine.Execution, at engine.Revision) (engine.Revision, error) {
	return answer(c, func() (engine.Revision, error) { return c.store.Update(ctx, x, at) })
}

// Spawns implements [engine.Store].
func (c *CrashStore) Spawns(ctx context.Context, x engine.Execution) ([]engine.Spawn, error) {
	return answer(c, func() ([]engine.Spawn, error) { return c.store.Spawns(ctx, x) })
}

// Load implements [engine.Store].
func (c *CrashStore) Load(ctx context.Context, id string, p codec.Payload) (codec.Payload, error) {
	return answer(c, func() (codec.Payload, error) { return c.store.Load(ctx, id, p) })
}

// Carry implements [engine.Store].
func (c *CrashStore) Carry(ctx context.Context, effects ...engine.Effect) error {
	return c.call(func() error { return c.store.Carry(ctx, effects...) })
}

// Cancel implements [engine.Store].
func (c *CrashStore) Cancel(ctx context.Context, cancel engine.Cancel) error {
	return c.call(func() error { return c.store.Cancel(ctx, cancel) })
}

// Delete implements [engine.Store].
func (c *CrashStore) Delete(ctx context.Context, root string, at engine.Revision) error {
	return c.call(func() error { return c.store.Delete(ctx, root, at) })
}

// Claim implements [engine.Store].
func (c *CrashStore) Claim(ctx context.Context, queue string) (engine.Feed[*engine.Delivery], error) {
	return openFeed(c, func(m **engine.Delivery) { (*m).Baton = crashBaton{c, (*m).Baton} },
		func() (engine.Feed[*engine.Delivery], error) { return c.store.Claim(ctx, queue) })
}

// Closures implements [engine.Store].
func (c *CrashStore) Closures(ctx context.Context) (engine.Feed[engine.ClosureMessage], error) {
	return openFeed(c, func(m *engine.ClosureMessage) { m.Baton = crashBaton{c, m.Baton} },
		func() (engine.Feed[engine.ClosureMessage], error) { return c.store.Closures(ctx) })
}

// Cancels implements [engine.Store].
func (c *CrashStore) Cancels(ctx context.Context) (engine.Feed[engine.CancelMessage], error) {
	return openFeed(c, func(m *engine.CancelMessage) { m.Baton = crashBaton{c, m.Baton} },
		func() (engine.Feed[engine.CancelMessage], error) { return c.store.Cancels(ctx) })
}

// Expiries implements [engine.Store].
func (c *CrashStore) Expiries(ctx context.Context) (engine.Feed[engine.ExpiryMessage], error) {
	return openFeed(c, func(m *engine.ExpiryMessage) { m.Baton = crashBaton{c, m.Baton} },
		func() (engine.Feed[engine.ExpiryMessage], error) { return c.store.Expiries(ctx) })
}

// Watch implements [engine.Store].
func (c *CrashStore) Watch(ctx context.Context, topic engine.Topic, fn func(engine.Notice)) (stop func(), err error) {
	var opened func()
	stop, err = answer(c, func() (_ func(), err error) {
		opened, err = c.store.Watch(ctx, topic, func(n engine.Notice) {
			if !c.isCrashed() {
				fn(n)
			}
		})
		return opened, err
	})
	if stop == nil && opened != nil {
		opened()
	}
	return stop, err
}

// Present implements [engine.Store].
func (c *CrashStore) Present(ctx context.Context, fn func(engine.RollCall) *engine.Presence) (stop func(), err error) {
	var opened func()
	stop, err = answer(c, func() (_ func(), err error) {
		opened, err = c.store.Present(ctx, func(call engine.RollCall) *engine.Presence {
			if c.isCrashed() {
				return nil
			}
			return fn(call)
		})
		return opened, err
	})
	if stop == nil && opened != nil {
		opened()
	}
	return stop, err
}

// RollCall implements [engine.Store].
func (c *CrashStore) RollCall(ctx context.Context, call engine.RollCall) ([]engine.Answer, error) {
	return answer(c, func() ([]engine.Answer, error) { return c.store.RollCall(ctx, call) })
}

// List implements [engine.Store].
func (c *CrashStore) List(ctx context.Context, f engine.Filter) iter.Seq2[engine.Record, error] {
	return crashSeq(c, func() iter.Seq2[engine.Record, error] { return c.store.List(ctx, f) })
}

// Aside implements [engine.Store].
func (c *CrashStore) Aside(ctx context.Context) iter.Seq2[engine.Aside, error] {
	return crashSeq(c, func() iter.Seq2[engine.Aside, error] { return c.store.Aside(ctx) })
}

func crashSeq[T any](c *CrashStore, list func() iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		if err := c.call(func() error { return nil }); err != nil {
			yield(none, err)
			return
		}
		for v, err := range list() {
			if c.isCrashed() {
				v, err = none, ErrCrashed
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// Limits implements [engine.Store].
func (c *CrashStore) Limits() engine.Limits { return c.store.Limits() }

type crashBaton struct {
	store *CrashStore
	baton engine.Baton
}

func (b crashBaton) Extend(ctx context.Context) error {
	return b.store.call(func() error { return b.baton.Extend(ctx) })
}

func (b crashBaton) Done(ctx context.Context) error {
	return b.store.call(func() error { return b.baton.Done(ctx) })
}

func (b crashBaton) Return(ctx context.Context, at time.Time, recorded bool) error {
	return b.store.call(func() error { return b.baton.Return(ctx, at, recorded) })
}

func (b crashBaton) SetAside(ctx context.Context, reason string) error {
	return b.store.call(func() error { return b.baton.SetAside(ctx, reason) })
}

// A crashFeed receives every message from the wrapped feed at once. So a dead process holds all
// messages that arrived, received or not, and the crash can close the wrapped feed without
// giving any of them back.
type crashFeed[M engine.Baton] struct {
	store    *CrashStore
	feed     engine.Feed[M]
	wrap     func(*M)
	messages chan M
	closing  chan struct{}
	ended    chan struct{}
	close    sync.Once
}

func openFeed[M engine.Baton](c *CrashStore, wrap func(*M), open func() (engine.Feed[M], error)) (engine.Feed[M], error) {
	return answer(c, func() (engine.Feed[M], error) {
		feed, err := open()
		if err != nil {
			return nil, err
		}
		f := &crashFeed[M]{
			store: c, feed: feed, wrap: wrap,
			messages: make(chan M), closing: make(chan struct{}), ended: make(chan struct{}),
		}
		go f.run() // it ends at once if this call is the crash
		return f, nil
	})
}

// Request implements [engine.Feed].
func (f *crashFeed[M]) Request(n int) {
	if !f.store.isCrashed() {
		f.feed.Request(n)
	}
}

// Messages implements [engine.Feed].
func (f *crashFeed[M]) Messages() <-chan M { return f.messages }

// Fault implements [engine.Feed].
func (f *crashFeed[M]) Fault() (time.Time, error) { return f.feed.Fault() }

// Close implements [engine.Feed].
func (f *crashFeed[M]) Close() {
	f.close.Do(func() {
		close(f.closing)
		<-f.ended
		close(f.messages)
	})
}

func (f *crashFeed[M]) run() {
	defer close(f.ended)
	defer f.feed.Close()
	var held []M
	for !f.store.isCrashed() {
		var head M
		var out chan M
		if len(held) > 0 {
			head, out = held[0], f.messages
			f.wrap(&head)
		}
		select {
		case m, ok := <-f.feed.Messages():
			if !ok {
				return
			}
			held = append(held, m)
		case out <- head:
			held = held[1:]
		case <-f.store.crashed:
		case <-f.closing:
			f.giveBack(held)
			return
		}
	}
}

// giveBack returns the unreceived messages, as the wrapped feed would have done.
func (f *crashFeed[M]) giveBack(held []M) {
	if f.store.isCrashed() {
		return
	}
	f.feed.Close() // first, or the returned messages would arrive here again
	for _, m := range held {
		// If Return fails, the message is redelivered after its lease.
		_ = m.Return(context.Background(), time.Time{}, false)
	}
}
