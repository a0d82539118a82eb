package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
)

// everyCall has each call of a store, with x or the id of x as the argument.
var everyCall = []struct {
	name string
	do   func(ctx context.Context, s engine.Store, x engine.Execution) error
}{
	{"Enqueue", func(ctx context.Context, s engine.Store, x engine.Execution) error {
		return s.Enqueue(ctx, engine.Due{Execution: x})
	}},
	{"Enqueue of two", func(ctx context.Context, s engine.Store, x engine.Execution) error {
		y := x
		y.ID += "2"
		return s.Enqueue(ctx, engine.Due{Execution: x}, engine.Due{Execution: y})
	}},
	{"Get", func(ctx context.Context, s engine.Store, x engine.Execution) error { return second(s.Get(ctx, x.ID)) }},
	{"GetMany", func(ctx context.Context, s engine.Store, x engine.Execution) error {
		return second(s.GetMany(ctx, []string{x.ID}))
	}},
	{"Update", func(ctx context.Context, s engine.Store, x engine.Execution) error {
		return second(s.Update(ctx, x, 0))
	}},
	{"Carry", func(ctx context.Context, s engine.Store, x engine.Execution) error {
		return s.Carry(ctx, engine.TellParent{Closure: engine.Closure{ID: x.ID, Parent: "parent", Status: engine.Completed}})
	}},
	{"Delete", func(ctx context.Context, s engine.Store, x engine.Execution) error { return s.Delete(ctx, x.ID, 0) }},
	{"Cancel", func(ctx context.Context, s engine.Store, x engine.Execution) error {
		return s.Cancel(ctx, engine.Cancel{ID: x.ID, At: now()})
	}},
	{"Claim", func(ctx context.Context, s engine.Store, _ engine.Execution) error {
		return second(s.Claim(ctx, queue))
	}},
	{"Closures", func(ctx context.Context, s engine.Store, _ engine.Execution) error { return second(s.Closures(ctx)) }},
	{"Cancels", func(ctx context.Context, s engine.Store, _ engine.Execution) error { return second(s.Cancels(ctx)) }},
	{"Expiries", func(ctx context.Context, s engine.Store, _ engine.Execution) error { return second(s.Expiries(ctx)) }},
	{"Watch", func(ctx context.Context, s engine.Store, x engine.Execution) error {
		return second(s.Watch(ctx, engine.Topic{Outcome: x.ID}, func(engine.Notice) {}))
	}},
	{"Present", func(ctx context.Context, s engine.Store, _ engine.Execution) error {
		return second(s.Present(ctx, func(engine.RollCall) *engine.Presence { return nil }))
	}},
	{"RollCall", func(ctx context.Context, s engine.Store, _ engine.Execution) error {
		return second(s.RollCall(ctx, engine.RollCall{}))
	}},
	{"List", func(ctx context.Context, s engine.Store, _ engine.Execution) error {
		for _, err := range s.List(ctx, engine.Filter{}) {
			return err
		}
		return nil
	}},
	{"Aside", func(ctx context.Context, s engine.Store, _ engine.Execution) error {
		for _, err := range s.Aside(ctx) {
			return err
		}
		return nil
	}},
}

func second[T any](_ T, err error) error { return err }

// errEnded is the cause of contexts that have ended.
var errEnded = errors.New("the caller has changed their mind")

var closedRules = []rule{
	{"a call whose context has ended does nothing and returns the cause", func(t *testing.T, s engine.Store) {
		ctx, end := context.WithCancelCause(t.Context())
		end(errEnded)
		f, told := claim(t, s, 10), closures(t, s, 10)
		began := time.Now()
		for _, call := range everyCall {
			if err := call.do(ctx, s, execution(t, "x")); !errors.Is(err, errEnded) {
				t.Errorf("%s: %v, want the cause of the context", call.name, err)
			}
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("the calls took %s, want no time", took)
		}
		time.Sleep(time.Minute)
		for _, id := range []string{"x", "x2"} {
			absent(t, s, id)
		}
		select {
		case d := <-f.Messages():
			t.Errorf("%s was enqueued", d.Execution.ID)
		case m := <-told.Messages():
			t.Errorf("%s got a closure", m.Closure.Parent)
		default:
		}
	}},

	{"a closed store returns ErrClosed at once, to callers, waiters and watchers", func(t *testing.T, s engine.Store) {
		f := claim(t, s, 1)
		heard := make(chan engine.Notice, 10)
		_, err := s.Watch(t.Context(), engine.Topic{}, func(n engine.Notice) { heard <- n })
		check(t, err)
		client := engine.NewClient(s)
		enqueue(t, s, execution(t, "waited"))
		waited := make(chan error, 1)
		go func() { waited <- second(client.Wait(t.Context(), "waited")) }()
		time.Sleep(time.Second)

		began := time.Now()
		if !closeStore(s) {
			t.Skip("this store has no Close")
		}
		select {
		case n := <-heard:
			if !errors.Is(n.Closed, engine.ErrClosed) {
				t.Errorf("heard %+v, want that it is closed", n)
			}
		case <-time.After(patience):
			t.Error("the watcher got no notice")
		}
		if err := <-waited; !errors.Is(err, engine.ErrClosed) {
			t.Errorf("wait: %v, want ErrClosed", err)
		}
		for _, call := range everyCall {
			if err := call.do(t.Context(), s, execution(t, "x")); !errors.Is(err, engine.ErrClosed) {
				t.Errorf("%s: %v, want ErrClosed", call.name, err)
			}
		}
		if _, err := f.Fault(); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("fault of a feed: %v, want ErrClosed", err)
		}
		if took := time.Since(began); took > time.Second { // closing a connection may take some time
			t.Errorf("closing and the calls took %s, want no time", took)
		}
	}},
}

func closeStore(s engine.Store) bool {
	switch s := s.(type) {
	case interface{ Close() error }:
		_ = s.Close() // the Bubble closes the store again and checks the error
	case interface{ Close() }:
		s.Close()
	default:
		return false
	}
	return true
}
