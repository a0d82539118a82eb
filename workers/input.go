package workers

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
)

// unfit returns the ending of an attempt whose input was removed or is damaged.
func (a *attempt) unfit(err error) ending {
	f := engine.Failure{Kind: engine.KindError, Message: err.Error()}
	if !errors.Is(err, engine.ErrInvalidInput) {
		return failed(a.execution, f)
	}
	f.Kind = engine.KindInvalidInput
	return func(at time.Time) engine.Event {
		ev := engine.Fail(*a.execution, f, at, 0)
		ev.Final = true // a damaged input will not recover
		return ev
	}
}

// input reads the input of the code. The time for this does not count towards the timeout, and
// errors of the store do not count as failures of the code: input tries again. It gives up only
// if the input was removed, is damaged, is of a later version, or needs a key that this
// executor lacks.
func (a *attempt) input() (in engine.Input, err error) {
	var known []engine.Record
	if a.execution.IsFinalize {
		if parent, ok := a.x.parents.recall(a.execution.Parent); ok {
			known = append(known, parent)
		}
	}
	a.x.steady("read an input", func(context.Context) error {
		in, err = a.x.client.InputOf(a.ctx, *a.execution, known...)
		for _, lasts := range []error{engine.ErrNotFound, engine.ErrInvalidInput, engine.ErrNewer, codec.ErrKey} {
			if errors.Is(err, lasts) {
				return nil
			}
		}
		if err != nil && isClosed(a.x.stopping) {
			a.handBack() // no code has run, and another executor may be able to read the input
		}
		if a.ctx.Err() != nil {
			return nil
		}
		return err
	})
	return in, err
}

// pass returns an execution whose input this executor can't read, so that an executor with the
// key, of the version that wrote the input, or with a type of the task that accepts it, can run
// it. The attempt does not fail: pass treats the execution like one whose task is not bound here.
func (a *attempt) pass(reason error) {
	if !a.decide() {
		return
	}
	kind := foreignKind{queue: a.execution.Queue, newer: errors.Is(reason, engine.ErrNewer)}
	if engine.InputRefused(reason) {
		kind.task = a.execution.Task // other executors may have another type of it
	}
	a.x.keys.miss(reason, a.delivery.Deliveries, time.Now())
	wait := a.x.foreign(kind, a.delivery.Deliveries)
	a.x.log.Log(context.Background(), a.x.seldom.level(slog.LevelWarn, "pass", a.execution.Task),
		"an input can't be read here: the execution is left to another executor", "execution", a.execution.ID,
		"task", a.execution.Task, "wait", wait, "error", reason)
	until, moved := now().Add(wait), false
	a.end(func(ctx context.Context) error {
		if a.recorded && !moved {
			_, _, err := engine.Move(ctx, a.x.store, a.record(), engine.HandedBack{At: now(), Until: until})
			if errors.Is(err, engine.ErrConflict) {
				return a.lost(ctx)
			}
			if err != nil {
				return err
			}
			moved = true
		}
		return a.held.Return(ctx, until, false) // the same message, so that its delivery count goes on
	})
}
