package semantics_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/workers"
)

// odd is a value and an error of the user. Each of its methods calls mischief.
type odd struct{ mischief func() }

func (o odd) Error() string                { o.mischief(); return "odd" }
func (o odd) String() string               { o.mischief(); return "odd" }
func (o odd) MarshalJSON() ([]byte, error) { o.mischief(); return []byte("1"), nil }
func (o odd) MarshalText() ([]byte, error) { o.mischief(); return []byte("1"), nil }

type unwraps struct{ odd }

func (u unwraps) Error() string { return "unwraps" }
func (u unwraps) Unwrap() error { u.mischief(); return nil }

type unwrapsMany struct{ odd }

func (u unwrapsMany) Error() string   { return "unwraps many" }
func (u unwrapsMany) Unwrap() []error { u.mischief(); return nil }

type isAny struct{ odd }

func (i isAny) Error() string { return "is" }
func (i isAny) Is(error) bool { i.mischief(); return false }

type asAny struct{ odd }

func (a asAny) Error() string { return "as" }
func (a asAny) As(any) bool   { a.mischief(); return false }

type formats struct{ odd }

func (f formats) Format(fmt.State, rune) { f.mischief() }

type goString struct{ odd }

func (g goString) GoString() string { g.mischief(); return "" }

// itself is an error that wraps itself.
type itself struct{}

func (i itself) Error() string { return "itself" }
func (i itself) Unwrap() error { return i }

// bringing returns functions of a task. Each of them makes the executor call a method that calls
// mischief.
func bringing(mischief func()) map[string]func() (any, error) {
	o := odd{mischief}
	fails := func(err error) func() (any, error) { return func() (any, error) { return nil, err } }
	bursts := func(v any) func() (any, error) { return func() (any, error) { panic(v) } }
	returns := func(v any) func() (any, error) { return func() (any, error) { return v, nil } }
	return map[string]func() (any, error){
		"Error":                      fails(o),
		"Error of a wrapped error":   fails(engine.Permanent(o)),
		"Error behind a delay":       fails(engine.RetryAfter(o, time.Second)),
		"Error of one of several":    fails(errors.Join(errors.New("fine"), o)),
		"Unwrap":                     fails(unwraps{o}),
		"Unwrap of several":          fails(unwrapsMany{o}),
		"Is":                         fails(isAny{o}),
		"As":                         fails(asAny{o}),
		"Error of a panic":           bursts(o),
		"String of a panic":          bursts(struct{ fmt.Stringer }{o}),
		"Format of a panic":          bursts(formats{o}),
		"GoString of a panic":        bursts(goString{o}),
		"a panic of many":            bursts([]any{o, o}),
		"MarshalJSON of an output":   returns(o),
		"MarshalJSON in an output":   returns(map[string]any{"a": []any{o}}),
		"the code itself":            func() (any, error) { mischief(); return nil, nil },
		"a deferred call":            func() (any, error) { defer mischief(); panic("first") },
		"an error that wraps itself": fails(itself{}),
	}
}

// TestNoMethodOfTheUsersKeepsAnAttemptOrItsSlot lets every method of the user panic, end its
// goroutine, or block for ever.
func TestNoMethodOfTheUsersKeepsAnAttemptOrItsSlot(t *testing.T) {
	for what, mischief := range map[string]func(never chan struct{}){
		"panics":                        func(chan struct{}) { panic("boom") },
		"panics with itself":            func(chan struct{}) { panic(odd{func() { panic("again") }}) },
		"panics and then ends":          func(chan struct{}) { panic(odd{runtime.Goexit}) },
		"ends its goroutine":            func(chan struct{}) { runtime.Goexit() },
		"ends its goroutine, and again": func(chan struct{}) { defer runtime.Goexit(); runtime.Goexit() },
		"blocks for ever":               func(never chan struct{}) { <-never },
		"panics and then blocks":        func(never chan struct{}) { panic(odd{func() { <-never }}) },
	} {
		t.Run(what, func(t *testing.T) {
			onMemstore(t, func(t *testing.T, w *world) {
				never := make(chan struct{})
				defer close(never) // otherwise the bubble could not end
				keepsNothing(t, w, bringing(func() { mischief(never) }))
			})
		})
	}
}

func keepsNothing(t *testing.T, w *world, codes map[string]func() (any, error)) {
	task := engine.Define[string, any]("task", engine.Timeout(time.Minute))
	x := w.executor(workers.Config{Slots: 1}, engine.Bind(task, func(_ context.Context, in string) (any, error) {
		if code, ok := codes[in]; ok {
			return code()
		}
		return in, nil
	}))
	for name := range codes {
		h := enqueue(w, task, name)
		pass(2 * time.Minute)
		if y := w.get(h.ID()); !y.Status.Finished() {
			t.Errorf("%s: status = %s, want a finished one", name, y.Status)
		}
		next := enqueue(w, task, "next")
		pass(time.Second)
		if y := w.get(next.ID()); y.Status != engine.Completed {
			t.Fatalf("after %s: status of the next = %s, want completed", name, y.Status)
		}
		equal(t, name+": running", x.Stats().Running, 0)
	}
}
