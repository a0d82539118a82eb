package storetest

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
)

const (
	// late is how late a due message may be. JetStream's schedules are up to 250 ms late;
	// everything else is faster.
	late = 300 * time.Millisecond
	// patience is how long a test waits for a message before it fails.
	patience = time.Minute
	// queue and task are the queue and the task of all executions, unless a rule is about them.
	queue = engine.DefaultQueue
	task  = "work"
)

// now returns the time in whole milliseconds, as stores keep it.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// execution returns a ready execution with all options that a caller may give.
func execution(t *testing.T, id string) engine.Execution {
	t.Helper()
	input, err := codec.Encode("input of " + id)
	check(t, err)
	return engine.Execution{
		ID: id, Task: task, Queue: queue, Input: input, Validated: true,
		Policy: engine.Policy{
			Timeout: time.Minute, OnChildFailure: engine.WaitAll,
			Retry: engine.Retry{MaxRetries: 3, BaseDelay: time.Second, Multiplier: 1.5, MaxDelay: time.Hour, Jitter: 0.25},
		},
		RetryOf: "te_before", Metadata: engine.Metadata{"Order": "42 a", "customer-name": "Zoë: = {}"},
		Status: engine.Ready, CreatedAt: now(), StartAt: now(), ChangedAt: now(),
	}
}

func enqueue(t *testing.T, s engine.Store, list ...engine.Execution) {
	t.Helper()
	due := make([]engine.Due, len(list))
	for i, x := range list {
		due[i].Execution = x
	}
	check(t, s.Enqueue(t.Context(), due...))
}

// enqueueErrors returns the errors of single executions that err joins.
func enqueueErrors(err error) (list []*engine.EnqueueError) {
	switch e := err.(type) { //nolint:errorlint // it walks the tree itself
	case *engine.EnqueueError:
		list = append(list, e)
	case interface{ Unwrap() []error }:
		for _, e := range e.Unwrap() {
			list = append(list, enqueueErrors(e)...)
		}
	case interface{ Unwrap() error }:
		list = enqueueErrors(e.Unwrap())
	}
	return list
}

// get returns the record of an execution. It fails the test if there is none.
func get(t *testing.T, s engine.Store, id string) engine.Record {
	t.Helper()
	r, err := s.Get(t.Context(), id)
	if err != nil {
		t.Fatalf("get %s: %v", id, err)
	}
	return r
}

func absent(t *testing.T, s engine.Store, id string) {
	t.Helper()
	if r, err := s.Get(t.Context(), id); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("get %s = %+v, %v, want ErrNotFound", id, r, err)
	}
}

func update(t *testing.T, s engine.Store, x engine.Execution, at engine.Revision) engine.Revision {
	t.Helper()
	revision, err := s.Update(t.Context(), x, at)
	if err != nil {
		t.Fatalf("update %s at %d: %v", x.ID, at, err)
	}
	return revision
}

// move applies events to r and writes the result.
func move(t *testing.T, s engine.Store, r engine.Record, events ...engine.Event) (engine.Record, []engine.Effect) {
	t.Helper()
	r, fx, err := engine.Move(t.Context(), s, r, events...)
	check(t, err)
	return r, fx
}

func carry(t *testing.T, s engine.Store, fx ...engine.Effect) {
	t.Helper()
	check(t, s.Carry(t.Context(), fx...))
}

// same fails the test unless got and want are equal in every stored field.
func same(t *testing.T, got, want engine.Execution) {
	t.Helper()
	g, err := engine.EncodeRecord(got)
	check(t, err)
	w, err := engine.EncodeRecord(want)
	check(t, err)
	if !bytes.Equal(g, w) {
		t.Errorf("execution = %+v\nwant %+v", got, want)
	}
}

// whole returns x with complete payloads.
func whole(t *testing.T, s engine.Store, x engine.Execution) engine.Execution {
	t.Helper()
	var err error
	x.Input, err = s.Load(t.Context(), x.ID, x.Input)
	check(t, err)
	x.Output, err = s.Load(t.Context(), x.ID, x.Output)
	check(t, err)
	return x
}

// claim opens the feed of the queue and requests n executions.
func claim(t *testing.T, s engine.Store, n int) engine.Feed[*engine.Delivery] {
	t.Helper()
	f, err := s.Claim(t.Context(), queue)
	return opened(t, f, err, n)
}

func closures(t *testing.T, s engine.Store, n int) engine.Feed[engine.ClosureMessage] {
	t.Helper()
	f, err := s.Closures(t.Context())
	return opened(t, f, err, n)
}

func cancels(t *testing.T, s engine.Store, n int) engine.Feed[engine.CancelMessage] {
	t.Helper()
	f, err := s.Cancels(t.Context())
	return opened(t, f, err, n)
}

func opened[M any](t *testing.T, f engine.Feed[M], err error, n int) engine.Feed[M] {
	t.Helper()
	check(t, err)
	t.Cleanup(f.Close)
	if n > 0 {
		f.Request(n)
	}
	return f
}

// at returns the next message. It fails the test if the message arrives before the given time, or
// much later.
func at[M any](t *testing.T, f engine.Feed[M], when time.Time) M {
	t.Helper()
	select {
	case m, ok := <-f.Messages():
		if !ok {
			t.Fatal("the feed is closed")
		}
		if early := time.Until(when); early > 0 {
			t.Errorf("message %s early: %+v", early, m)
		}
		if after := time.Since(when); after > late {
			t.Errorf("message %s late, want at most %s: %+v", after, late, m)
		}
		return m
	case <-time.After(time.Until(when) + patience):
		t.Fatalf("no message within %s of %s", patience, when)
		panic("unreachable")
	}
}

// next returns the next message, which must arrive at once.
func next[M any](t *testing.T, f engine.Feed[M]) M {
	t.Helper()
	return at(t, f, time.Now())
}

// silent fails the test if a message arrives within d.
func silent[M any](t *testing.T, f engine.Feed[M], d time.Duration) {
	t.Helper()
	select {
	case m, ok := <-f.Messages():
		t.Errorf("message (%v) = %+v, want none", ok, m)
	case <-time.After(d):
	}
}

func done(t *testing.T, b engine.Baton) {
	t.Helper()
	check(t, b.Done(t.Context()))
	time.Sleep(time.Millisecond) // Done may return before the message is gone
}

func sendBack(t *testing.T, b engine.Baton, when time.Time, recorded bool) {
	t.Helper()
	check(t, b.Return(t.Context(), when, recorded))
}

// lost returns how long it takes until an unacknowledged message has surely been redelivered.
func lost(s engine.Store) time.Duration { return 2*s.Limits().Lease + late }

// outlived calls open with a context that ends after the call.
func outlived[T any](t *testing.T, open func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	return open(ctx)
}
