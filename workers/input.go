package workers

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
)

// unfit is the ending of an attempt whose input is gone or can't be what it was.
func (a *attempt) unfit(err error) ending {
	f := engine.Failure{Kind: engine.KindError, Message: err.Error()}
	if !errors.Is(err, engine.ErrInvalidInput) {
		return failed(a.execution, f)
	}
	f.Kind = engine.KindInvalidInput
	return func(at time.Time) engine.Event {
		ev := engine.Fail(*a.execution, f, at, 0)
		ev.Final = true // what is damaged stays damaged
		return ev
	}
}

// input reads what the code is given. The time that it takes is not the code's,
// and a store that fails is not its fault; only what is gone stays gone, what is
// damaged stays damaged, and a key that is not here does not come.
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
			a.handBack() // no code has run: another executor reads it, maybe
		}
		if a.ctx.Err() != nil {
			return nil
		}
		return err
	})
	return in, err
}

// pass leaves an execution whose input can't be read here to an executor that has
// the key, or is of the version that wrote it, as one whose task is not bound here:
// it is never failed for that.
func (a *attempt) pass(reason error) {
	if !a.decide() {
		return
	}
	wait := a.x.foreign(foreignKind{queue: a.execution.Queue, newer: errors.Is(reason, engine.ErrNewer)}, a.delivery.Deliveries)
	a.x.log.Log(context.Background(), a.x.seldom.level(slog.LevelWarn, "pass", a.execution.Task),
		"an input can't be opened here: it is left to another executor", "execution", a.execution.ID,
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
		return a.held.Return(ctx, until, false) // as it came, so that its deliveries are counted on
	})
}
