package workers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/pprof"
	"sync/atomic"
	"time"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
)

// An attempt is one run of a task's code, from the claim until the message is acknowledged or
// returned. The first of these settles it and decides the outcome: the code returns, the
// timeout ends, the execution is cancelled, or the drain time ends. Later ones are discarded.
type attempt struct {
	x        *Executor
	delivery *engine.Delivery
	held     *hand
	binding  engine.Binding
	release  func() // frees the slot

	ctx      context.Context
	stop     context.CancelCauseFunc
	decided  atomic.Bool // set by the first to settle it
	settled  atomic.Bool // the outcome is recorded, and the message acknowledged or returned
	left     latch       // the code has returned
	watching atomic.Bool // a goroutine reads the ancestors: see watchAncestors
	renew    atomic.Bool // it must start over

	claimed   bool
	checked   bool // the ancestors were read before the claim, because a cancellation was heard
	start     engine.Claimed
	execution *engine.Execution // as the code sees it: running; immutable

	// mutex guards the fields below: when the grace ends, one goroutine records that the
	// attempt runs, while another may record its outcome.
	mutex
	began    bool            // the code is about to run, or has
	recorded bool            // the record says that the attempt runs
	revision engine.Revision // of the record that says so; before that, of the record that it will replace
	timers   []*time.Timer
	deadline time.Time // when the code times out; zero without a timeout
}

func newAttempt(x *Executor, d *engine.Delivery, held *hand, release func()) *attempt {
	a := &attempt{x: x, delivery: d, held: held, release: release}
	a.ctx, a.stop = context.WithCancelCause(context.Background())
	return a
}

// record returns the record that says that the attempt runs, written or not.
func (a *attempt) record() engine.Record {
	return engine.Record{Execution: *a.execution, Revision: a.revision}
}

// run runs the attempt in the calling goroutine.
func (a *attempt) run() {
	defer a.stop(nil)
	// stackOf finds the goroutine by these labels if the code ignores its context.
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
		return settled // before the code began
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

// timed is the context of an attempt with a timeout. It reports the deadline, but it has no
// timer of its own: the attempt must be settled before its context ends.
type timed struct {
	context.Context
	deadline time.Time
}

func (c timed) Deadline() (time.Time, bool) { return c.deadline, true }

// startTimers starts the timers of the grace and of the timeout. It returns false if the attempt
// is settled already: the code must then not begin.
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
		return nil // not a nil *Failure, which would be a non-nil error
	}
	return x.Failure
}

// recordRunning records that the attempt runs, when its grace is over. On a conflict, another
// process has written the record, unless an earlier try of this executor has.
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

// recordLater makes recordRunning try again in a second.
func (a *attempt) recordLater(err error) {
	if a.x.kill.Err() != nil {
		return
	}
	a.x.trouble.failed("record that an attempt runs", a, err)
	a.timers = append(a.timers, time.AfterFunc(time.Second, a.recordRunning))
}

// adopt reads the record that a write conflicts with. If an earlier try of this attempt wrote
// it, adopt continues from its revision and returns true: a write that timed out may have
// succeeded.
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

// wrote reports whether the claim of this attempt has written y.
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

// holds reports whether the record at this revision says that this attempt runs.
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

// requested returns the event of a cancellation. If the cancellation has no time, the event gets
// the current time, because the execution finishes at the time of the event.
func requested(c engine.Cancel) engine.CancelRequested {
	if c.At.IsZero() {
		c.At = now()
	}
	return engine.CancelRequested{At: c.At, Reason: c.Reason, ParentFinished: c.Parent != ""}
}

// lose ends the attempt because another process has written the record.
func (a *attempt) lose() { a.interrupt(engine.ErrCancelled, a.lost) }

// handBack ends the attempt because the executor shuts down.
func (a *attempt) handBack() {
	a.interrupt(engine.ErrShutdown, func(ctx context.Context) error { return a.putBack(ctx, engine.HandedBack{At: now()}) })
}

// putBack returns the message, so that another executor repeats the attempt.
func (a *attempt) putBack(ctx context.Context, ev engine.HandedBack) error {
	if !a.recorded {
		// No record says that the attempt began.
		return a.held.Return(ctx, time.Time{}, false)
	}
	return a.move(ctx, ev)
}

// interrupt settles the attempt from outside its code, unless it is settled already. It decides
// before it ends the context: otherwise the error that the code returns because its context
// ended could become the outcome.
func (a *attempt) interrupt(cause error, fn func(context.Context) error) {
	if !a.decide() {
		return
	}
	a.stop(cause)
	a.end(fn)
	a.x.strays.watch(a)
}

// settle records how the code has ended as the outcome, unless the attempt is settled already.
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

// decide returns true for its first caller, which settles the attempt.
func (a *attempt) decide() bool { return a.decided.CompareAndSwap(false, true) }

// end records the outcome with fn, and then frees the slot. It repeats fn until it succeeds or
// the executor is killed.
func (a *attempt) end(fn func(context.Context) error) {
	a.lock()
	defer a.unlock()
	for _, t := range a.timers {
		t.Stop()
	}
	a.x.trouble.over("record that an attempt runs", a) // the outcome replaces that record
	a.x.steady("record an outcome", fn)
	a.x.attempts.remove(a)
	a.release()
	a.settled.Store(true)
}

// move records an event, carries out its effects and acknowledges the message.
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
	// The event is recorded: from here on, only the effects and the acknowledgement are tried
	// again.
	a.x.steady("acknowledge a message", func(ctx context.Context) error { return a.x.acknowledge(ctx, a.held, fx) })
	return nil
}

// remember adds this attempt to the history of an execution that was cancelled within the
// grace: the code ran, but the record did not say so yet.
func (a *attempt) remember(ctx context.Context, r engine.Record) error {
	ev := engine.AttemptEnded{At: now(), Executor: a.start.Executor, StartedAt: a.start.At}
	_, _, err := a.x.modify(ctx, r, ev)
	if rejected := (*engine.TransitionError)(nil); errors.As(err, &rejected) || errors.Is(err, engine.ErrNotFound) {
		return nil // an earlier try has added it, or the execution was deleted with its tree
	}
	return err
}

// lost handles the message of an attempt when another process has written the record. If the
// execution has finished, or waits for executions below it, lost repeats the effects and
// acknowledges the message. Otherwise it drops the message, which now belongs to the other
// executor. It logs no warning for a cancellation.
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
	} else if err := a.x.repeatEffects(ctx, a.held, r.Execution); err != nil {
		return err
	}
	if r.Status != engine.Cancelled {
		a.x.log.Warn("lease lost: the result of an attempt is discarded", "execution", r.ID,
			"task", r.Task, "attempt", a.execution.Attempt, "status", string(r.Status), "by", r.Executor)
	}
	return nil
}
