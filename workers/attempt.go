package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/pprof"
	"sync/atomic"
	"time"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
)

// An attempt is one run of a task's code, from the claim until the message is
// put down. Whoever settles it first - the code that returns, its timeout, a
// cancellation, the end of the drain - decides the outcome; what comes later is
// discarded.
type attempt struct {
	x        *Executor
	delivery *engine.Delivery
	held     *hand
	binding  engine.Binding
	release  func() // frees the slot

	ctx     context.Context
	stop    context.CancelCauseFunc
	decided atomic.Bool // by the first that settles it
	settled atomic.Bool // the outcome is recorded and the message put down
	left    latch       // the code has returned
	looking atomic.Bool // somebody looks above: see lookAbove
	renew   atomic.Bool // and is to begin anew

	claimed   bool
	looked    bool // above, before it was claimed, since a cancellation was heard of
	start     engine.Claimed
	execution *engine.Execution // as the code sees it: running; nobody changes it

	// turn guards the rest: the grace and the outcome may want to write the record
	// at the same time.
	turn
	began    bool            // the code is about to run, or has
	recorded bool            // that it is running
	revision engine.Revision // of the record that says so or, before, of the one that it is written over
	timers   []*time.Timer
	deadline time.Time // of the code; zero without a timeout
}

func newAttempt(x *Executor, d *engine.Delivery, held *hand, release func()) *attempt {
	a := &attempt{x: x, delivery: d, held: held, release: release}
	a.ctx, a.stop = context.WithCancelCause(context.Background())
	return a
}

// record returns the claim as a record, written or yet to be.
func (a *attempt) record() engine.Record {
	return engine.Record{Execution: *a.execution, Revision: a.revision}
}

// run runs the attempt in the calling goroutine.
func (a *attempt) run() {
	defer a.stop(nil)
	// The labels find the goroutine should it ignore its context.
	pprof.Do(a.ctx, labels(a.execution), func(ctx context.Context) {
		a.guard(func() ending { return a.code(ctx) })
	})
}

// code reads the input and runs the task's code with it.
func (a *attempt) code(ctx context.Context) ending {
	y := a.execution
	input, err := a.input()
	if errors.Is(err, codec.ErrKey) || errors.Is(err, engine.ErrNewer) {
		a.pass(err)
		return settled
	}
	if !a.startTimers(y.Policy.Timeout) {
		return settled // before it began
	}
	if err != nil {
		return a.unfit(err)
	}
	if !a.deadline.IsZero() {
		ctx = timed{ctx, a.deadline}
	}
	r, err := a.binding.Run(engine.NewContext(ctx, engine.Run{
		Index: y.Index, IsFinalize: y.IsFinalize,
		ExecutionID: y.ID, RootID: y.Root(), ParentID: y.Parent, TaskID: y.Task, Queue: y.Queue, Metadata: y.Metadata,
		Attempt: y.Attempt, Polls: y.Polls, PrevError: prevError(y), Stopping: a.x.stopping,
		Client: a.x.client, Validated: y.Validated,
	}), input)
	if engine.InputRefused(err) && a.x.readElsewhere(a.binding.Definition, y.Queue, input) {
		a.pass(err)
		return settled
	}
	return a.ending(r, err)
}

// timed is the context of an attempt with a timeout. It has the deadline, and no timer: the
// attempt must be decided before its context ends.
type timed struct {
	context.Context
	deadline time.Time
}

func (c timed) Deadline() (time.Time, bool) { return c.deadline, true }

func (a *attempt) startTimers(timeout time.Duration) bool {
	a.lock()
	defer a.unlock()
	if a.decided.Load() {
		return false
	}
	a.began = true
	if !a.recorded {
		a.timers = append(a.timers, time.AfterFunc(a.x.config.Grace, a.recordRunning))
	}
	if timeout > 0 {
		a.deadline = time.Now().Add(timeout)
		a.timers = append(a.timers, time.AfterFunc(timeout, a.timeOut))
	}
	return true
}

func prevError(x *engine.Execution) error {
	if x.Failure == nil {
		return nil // and not a nil *Failure in an error
	}
	return x.Failure
}

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
// the key, is of the version that wrote it, or has the task with the type of the input, as one whose task is not bound here:
// it is never failed for that.
func (a *attempt) pass(reason error) {
	if !a.decide() {
		return
	}
	kind := foreignKind{queue: a.execution.Queue, newer: errors.Is(reason, engine.ErrNewer)}
	if engine.InputRefused(reason) {
		kind.task = a.execution.Task // by other executors that have it
	}
	wait := a.x.foreign(kind, a.delivery.Deliveries)
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

// recordRunning records that the attempt runs, once it has outlived the grace. A
// conflict says that the execution is not this executor's any more.
func (a *attempt) recordRunning() {
	a.lock()
	defer a.unlock()
	if a.recorded || a.settled.Load() {
		return
	}
	r, _, err := engine.Move(a.x.kill, a.x.store, a.record())
	switch {
	case err == nil:
		a.revision, a.recorded = r.Revision, true
		a.x.trouble.over("record that an attempt runs", a)
	case errors.Is(err, engine.ErrConflict):
		own, err := a.adopt(a.x.kill)
		switch {
		case err != nil:
			a.recordLater(err)
		case own:
			a.x.trouble.over("record that an attempt runs", a)
		default:
			go a.lose()
		}
	default:
		a.recordLater(err)
	}
}

func (a *attempt) recordLater(err error) {
	if a.x.kill.Err() != nil {
		return
	}
	a.x.trouble.failed("record that an attempt runs", a, err)
	a.timers = append(a.timers, time.AfterFunc(time.Second, a.recordRunning))
}

// adopt looks whether the record that a claim conflicts with is what an earlier
// try of that claim has written, and goes on from it: a store that gave no answer
// in all its patience may have written all the same.
func (a *attempt) adopt(ctx context.Context) (bool, error) {
	r, err := a.x.store.Get(ctx, a.execution.ID)
	if errors.Is(err, engine.ErrNotFound) || unreadable(err) {
		return false, nil
	}
	if err != nil || !a.wrote(&r.Execution) {
		return false, err
	}
	a.revision, a.recorded = r.Revision, true
	return true, nil
}

// wrote reports whether y is what the claim of this attempt makes of its execution.
func (a *attempt) wrote(y *engine.Execution) bool {
	c := a.start
	return y.Status == engine.Running && !c.At.IsZero() && y.StartedAt.Equal(c.At) &&
		y.Executor == c.Executor && y.Message == c.Message && y.Delivery == c.Delivery
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// holds reports whether the attempt's claim is what the record says at a revision.
func (a *attempt) holds(r engine.Revision) bool {
	a.lock()
	defer a.unlock()
	return a.recorded && a.revision == r
}

func (a *attempt) timeOut() {
	ev := timedOut(a.execution, now())
	a.interrupt(engine.ErrTimedOut, func(ctx context.Context) error { return a.move(ctx, ev) })
}

func timedOut(x *engine.Execution, at time.Time) engine.Event {
	return engine.Fail(*x, engine.Failure{
		Kind: engine.KindTimeout, Message: fmt.Sprintf("execution timed out after %s", x.Policy.Timeout),
	}, at, rand.Float64())
}

// cancel ends the attempt because its execution is cancelled.
func (a *attempt) cancel(c engine.Cancel) {
	a.interrupt(engine.ErrCancelled, func(ctx context.Context) error { return a.move(ctx, requested(c)) })
}

// requested is the event that a cancellation is. One that does not say when it was
// asked for counts as asked for now: it is when the execution finishes.
func requested(c engine.Cancel) engine.CancelRequested {
	if c.At.IsZero() {
		c.At = now()
	}
	return engine.CancelRequested{At: c.At, Reason: c.Reason, ParentFinished: c.Parent != ""}
}

// lose ends the attempt because somebody else has written the record.
func (a *attempt) lose() { a.interrupt(engine.ErrCancelled, a.lost) }

// handBack ends the attempt because the executor shuts down.
func (a *attempt) handBack() {
	a.interrupt(engine.ErrShutdown, func(ctx context.Context) error { return a.putBack(ctx, engine.HandedBack{At: now()}) })
}

// putBack gives the message to another executor, which makes the attempt again.
func (a *attempt) putBack(ctx context.Context, ev engine.HandedBack) error {
	if !a.recorded {
		// Nothing says that it ever began.
		return a.held.Return(ctx, time.Time{}, false)
	}
	return a.move(ctx, ev)
}

// interrupt settles the attempt from outside of its code, if nobody has settled
// it. It decides before the context ends, or what the code returns because of
// that might be the outcome.
func (a *attempt) interrupt(cause error, fn func(context.Context) error) {
	if !a.decide() {
		return
	}
	a.stop(cause)
	a.end(fn)
	a.x.strays.watch(a)
}

// settle decides the outcome by how the code has ended, if nobody has.
func (a *attempt) settle(how ending) {
	if !a.decide() {
		return
	}
	ev := how(now())
	a.end(func(ctx context.Context) error {
		if back, ok := ev.(engine.HandedBack); ok {
			return a.putBack(ctx, back)
		}
		return a.move(ctx, ev)
	})
}

// decide reports whether the caller is the first, who settles the attempt.
func (a *attempt) decide() bool { return a.decided.CompareAndSwap(false, true) }

// end records the outcome with fn, keeps at it until it is done or the executor
// is killed, and frees the slot.
func (a *attempt) end(fn func(context.Context) error) {
	a.lock()
	defer a.unlock()
	for _, t := range a.timers {
		t.Stop()
	}
	a.x.trouble.over("record that an attempt runs", a) // by its outcome, if not before
	a.x.steady("record an outcome", fn)
	a.x.attempts.remove(a)
	a.release()
	a.settled.Store(true)
}

// move records an event and puts the message down.
func (a *attempt) move(ctx context.Context, ev engine.Event) error {
	r, fx, err := a.x.move(ctx, a.record(), ev)
	switch _, returned := ev.(engine.Returned); {
	case errors.Is(err, engine.ErrConflict):
		if !a.recorded {
			own, err := a.adopt(ctx)
			if err != nil {
				return err
			}
			if own {
				return a.move(ctx, ev)
			}
		}
		return a.lost(ctx)
	case errors.Is(err, engine.ErrTooLarge) && returned:
		return a.move(ctx, engine.Erred{At: now(), Final: true, Failure: engine.Failure{Kind: engine.KindOutput, Message: err.Error()}})
	case err != nil:
		return err
	}
	a.x.parents.remember(r)
	// From here on only what follows is left to try again.
	a.x.steady("put a message down", func(ctx context.Context) error { return a.x.putDown(ctx, a.held, fx) })
	return nil
}

// remember has the history of an execution that was cancelled tell of this attempt: code ran
// when its record did not say so yet.
func (a *attempt) remember(ctx context.Context, r engine.Record) error {
	ev := engine.AttemptEnded{At: now(), Executor: a.start.Executor, StartedAt: a.start.At}
	_, _, err := a.x.modify(ctx, r, ev)
	if known := (*engine.TransitionError)(nil); errors.As(err, &known) || errors.Is(err, engine.ErrNotFound) {
		return nil // by an earlier try; or it was deleted, with its tree
	}
	return err
}

// lost sees to the message of an execution that somebody else has written. One
// that is over, or waits, needs nothing but its effects; any other is in the
// hands of whoever wrote it, with the message. A cancellation is no loss.
func (a *attempt) lost(ctx context.Context) error {
	r, err := a.x.store.Get(ctx, a.execution.ID)
	if errors.Is(err, engine.ErrNotFound) {
		return a.held.Done(ctx)
	}
	if err != nil {
		return a.x.unread(ctx, err, a.held)
	}
	if r.Status == engine.Cancelled && a.began && !a.recorded {
		if err := a.remember(ctx, r); err != nil {
			return err
		}
	}
	if r.Status == engine.Ready || r.Status == engine.Running {
		a.held.drop()
	} else if err := a.x.leave(ctx, a.held, r.Execution); err != nil {
		return err
	}
	if r.Status != engine.Cancelled {
		a.x.log.Warn("lease lost: the result of an attempt is discarded", "execution", r.ID,
			"task", r.Task, "attempt", a.execution.Attempt, "status", string(r.Status), "by", r.Executor)
	}
	return nil
}
