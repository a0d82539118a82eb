package semantics_test

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
)

// The errors that a tap and its hook return.
var (
	errDead    = errors.New("tap: the process is dead")
	errSkipped = errors.New("tap: the call is skipped")
)

// A tap wraps the store of one process, so that a test can disturb the process. A hook is called
// before each call of the store: it may delay the call, make it return an error, or skip it.
// The test can also kill the process: then each call returns errDead and does nothing, feeds
// deliver nothing, watchers get no notices, and the process's messages stay leased until their
// leases end.
type tap struct {
	store engine.Store
	dead  chan struct{}
	calls *journal // all calls so far; nil: do not keep them

	mu     sync.Mutex
	hook   func(call string, id string) error
	writes map[string]int // by execution: how many writes of its record succeeded
}

var _ engine.Store = (*tap)(nil)

func newTap(s engine.Store) *tap {
	return &tap{store: s, dead: make(chan struct{}), writes: map[string]int{}}
}

// on sets the hook. Its call is the name of the method, and id the id of the execution that the
// call is about, if any. Calls of a baton are Extend, Done, Return and SetAside; the delivery
// of a notice is Notice.
func (p *tap) on(hook func(call, id string) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hook = hook
}

func (p *tap) kill() { close(p.dead) }

func (p *tap) isDead() bool {
	select {
	case <-p.dead:
		return true
	default:
		return false
	}
}

func (p *tap) call(name, id string, do func() error) (err error) {
	if p.calls != nil {
		const clock = "15:04:05.000"
		began := time.Now().Format(clock)
		defer func() { p.calls.add("%s to %s, %p: %s %s: %v", began, time.Now().Format(clock), p, name, id, err) }()
	}
	if p.isDead() {
		return errDead
	}
	p.mu.Lock()
	hook := p.hook
	p.mu.Unlock()
	if hook != nil {
		if err := hook(name, id); errors.Is(err, errSkipped) {
			return nil
		} else if err != nil {
			return err
		}
	}
	if p.isDead() {
		return errDead // the process was killed while the hook delayed the call
	}
	err = do()
	if p.isDead() {
		return errDead
	}
	return err
}

func tapped[T any](p *tap, name, id string, do func() (T, error)) (v T, err error) {
	err = p.call(name, id, func() (err error) { v, err = do(); return err })
	return v, err
}

func (p *tap) Enqueue(ctx context.Context, due ...engine.Due) error {
	id := ""
	if len(due) > 0 {
		id = due[0].ID
	}
	return p.call("Enqueue", id, func() error { return p.store.Enqueue(ctx, due...) })
}

func (p *tap) Get(ctx context.Context, id string) (engine.Record, error) {
	return tapped(p, "Get", id, func() (engine.Record, error) { return p.store.Get(ctx, id) })
}

func (p *tap) GetMany(ctx context.Context, ids []string) ([]engine.Record, error) {
	return tapped(p, "GetMany", "", func() ([]engine.Record, error) { return p.store.GetMany(ctx, ids) })
}

func (p *tap) Update(ctx context.Context, x engine.Execution, at engine.Revision) (engine.Revision, error) {
	r, err := tapped(p, "Update", x.ID, func() (engine.Revision, error) { return p.store.Update(ctx, x, at) })
	if err == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.writes[x.ID]++
	}
	return r, err
}

// written returns how often the record of an execution was written through this tap.
func (p *tap) written(id string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.writes[id]
}

func (p *tap) Spawns(ctx context.Context, x engine.Execution) ([]engine.Spawn, error) {
	return tapped(p, "Spawns", x.ID, func() ([]engine.Spawn, error) { return p.store.Spawns(ctx, x) })
}

func (p *tap) Load(ctx context.Context, id string, q codec.Payload) (codec.Payload, error) {
	return tapped(p, "Load", id, func() (codec.Payload, error) { return p.store.Load(ctx, id, q) })
}

// Carry is called once for each effect, so that a hook can tell them apart.
func (p *tap) Carry(ctx context.Context, effects ...engine.Effect) error {
	for _, f := range effects {
		name, id := about(f)
		if err := p.call(name, id, func() error { return p.store.Carry(ctx, f) }); err != nil {
			return err
		}
	}
	return nil
}

// about returns the name of an effect and the execution that it follows from.
func about(f engine.Effect) (name, id string) {
	switch f := f.(type) {
	case engine.SpawnChildren:
		return "SpawnChildren", f.Parent.ID
	case engine.SpawnFinalize:
		return "SpawnFinalize", f.Finalize.Parent
	case engine.TellParent:
		return "TellParent", f.Closure.ID
	case engine.CancelBelow:
		return "CancelBelow", f.Parent.ID
	case engine.Withdraw:
		return "Withdraw", f.Execution.ID
	case engine.Expire:
		return "Expire", f.Execution.ID
	case engine.Announce:
		return "Announce", f.Execution.ID
	}
	return "Carry", ""
}

func (p *tap) Cancel(ctx context.Context, c engine.Cancel) error {
	return p.call("Cancel", c.ID, func() error { return p.store.Cancel(ctx, c) })
}

func (p *tap) Delete(ctx context.Context, root string, at engine.Revision) error {
	return p.call("Delete", root, func() error { return p.store.Delete(ctx, root, at) })
}

func (p *tap) Claim(ctx context.Context, queue string) (engine.Feed[*engine.Delivery], error) {
	return tapFeed(p, func() (engine.Feed[*engine.Delivery], error) { return p.store.Claim(ctx, queue) },
		func(m **engine.Delivery) { // wrap a copy, because a feed may wrap a message more than once
			d := **m
			d.Baton = tapBaton{p, d.Baton, d.Execution.ID}
			*m = &d
		})
}

func (p *tap) Closures(ctx context.Context) (engine.Feed[engine.ClosureMessage], error) {
	return tapFeed(p, func() (engine.Feed[engine.ClosureMessage], error) { return p.store.Closures(ctx) },
		func(m *engine.ClosureMessage) { m.Baton = tapBaton{p, m.Baton, m.Closure.Parent} })
}

func (p *tap) Cancels(ctx context.Context) (engine.Feed[engine.CancelMessage], error) {
	return tapFeed(p, func() (engine.Feed[engine.CancelMessage], error) { return p.store.Cancels(ctx) },
		func(m *engine.CancelMessage) { m.Baton = tapBaton{p, m.Baton, m.Cancel.ID} })
}

func (p *tap) Expiries(ctx context.Context) (engine.Feed[engine.ExpiryMessage], error) {
	return tapFeed(p, func() (engine.Feed[engine.ExpiryMessage], error) { return p.store.Expiries(ctx) },
		func(m *engine.ExpiryMessage) { m.Baton = tapBaton{p, m.Baton, m.Root} })
}

// Watch calls fn in a goroutine of its own: a hook that delays the process must not delay the
// store.
func (p *tap) Watch(ctx context.Context, topic engine.Topic, fn func(engine.Notice)) (func(), error) {
	return tapped(p, "Watch", topic.Outcome, func() (func(), error) {
		heard := make(chan engine.Notice, 10_000)
		stop, err := p.store.Watch(ctx, topic, func(n engine.Notice) { heard <- n })
		if err != nil {
			return nil, err
		}
		stopped := make(chan struct{})
		go func() {
			for {
				select {
				case n := <-heard:
					_ = p.call("Notice", topic.Outcome, func() error {
						select {
						case <-stopped:
						default:
							fn(n)
						}
						return nil
					})
				case <-stopped:
					return
				}
			}
		}()
		return func() { stop(); close(stopped) }, nil
	})
}

func (p *tap) Present(ctx context.Context, answer func(engine.RollCall) *engine.Presence) (func(), error) {
	return tapped(p, "Present", "", func() (func(), error) {
		return p.store.Present(ctx, func(c engine.RollCall) *engine.Presence {
			if p.isDead() {
				return nil
			}
			return answer(c)
		})
	})
}

func (p *tap) RollCall(ctx context.Context, c engine.RollCall) ([]engine.Answer, error) {
	return tapped(p, "RollCall", "", func() ([]engine.Answer, error) { return p.store.RollCall(ctx, c) })
}

func (p *tap) List(ctx context.Context, f engine.Filter) iter.Seq2[engine.Record, error] {
	return p.store.List(ctx, f)
}

func (p *tap) Aside(ctx context.Context) iter.Seq2[engine.Aside, error] { return p.store.Aside(ctx) }

func (p *tap) Limits() engine.Limits { return p.store.Limits() }

type tapBaton struct {
	tap   *tap
	baton engine.Baton
	id    string
}

func (b tapBaton) Extend(ctx context.Context) error {
	return b.tap.call("Extend", b.id, func() error { return b.baton.Extend(ctx) })
}

func (b tapBaton) Done(ctx context.Context) error {
	return b.tap.call("Done", b.id, func() error { return b.baton.Done(ctx) })
}

func (b tapBaton) Return(ctx context.Context, at time.Time, recorded bool) error {
	return b.tap.call("Return", b.id, func() error { return b.baton.Return(ctx, at, recorded) })
}

func (b tapBaton) SetAside(ctx context.Context, reason string) error {
	return b.tap.call("SetAside", b.id, func() error { return b.baton.SetAside(ctx, reason) })
}

// A wireFeed receives every message as soon as the wrapped feed has it. So a dead process keeps
// its messages, and closing the wrapped feed returns none of them.
type wireFeed[M any] struct {
	engine.Feed[M]
	tap     *tap
	out     chan M
	closing chan struct{}
	ended   chan struct{}
	once    sync.Once
}

func tapFeed[M engine.Baton](p *tap, open func() (engine.Feed[M], error), wrap func(*M)) (engine.Feed[M], error) {
	return tapped(p, "Open", "", func() (engine.Feed[M], error) {
		feed, err := open()
		if err != nil {
			return nil, err
		}
		f := &wireFeed[M]{Feed: feed, tap: p, out: make(chan M), closing: make(chan struct{}), ended: make(chan struct{})}
		go f.run(func(m M) M { wrap(&m); return m }, func(m M) error { return m.Return(context.Background(), time.Time{}, false) })
		return f, nil
	})
}

func (f *wireFeed[M]) run(wrap func(M) M, back func(M) error) {
	defer close(f.ended)
	defer f.Feed.Close()
	var held []M
	for {
		var head M
		var out chan M
		if len(held) > 0 {
			head, out = wrap(held[0]), f.out
		}
		select {
		case m, ok := <-f.Feed.Messages():
			if !ok {
				return
			}
			held = append(held, m)
		case out <- head:
			held = held[1:]
		case <-f.tap.dead:
			return
		case <-f.closing:
			f.Feed.Close() // otherwise the returned messages would be redelivered to this feed
			for _, m := range held {
				_ = back(m) // a message that can't be returned is redelivered after its lease
			}
			return
		}
	}
}

func (f *wireFeed[M]) Request(n int) {
	if !f.tap.isDead() {
		f.Feed.Request(n)
	}
}

func (f *wireFeed[M]) Messages() <-chan M { return f.out }

func (f *wireFeed[M]) Close() {
	f.once.Do(func() {
		close(f.closing)
		<-f.ended
		close(f.out)
	})
}
