package workers

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/durable-execution/durable/engine"
)

// takeExecutions is the loop of a queue: each due execution gets a goroutine, which waits for
// a slot.
func (x *Executor) takeExecutions(q *queue, s *slots) {
	for d := range q.feed.Messages() {
		held := x.hands.take(d.Baton, d.Deliveries, d.Execution.Queue)
		held.lasts(d.Until)
		x.attempts.begin()
		release := func() {
			s.release()
			x.attempts.finish()
		}
		x.pool.run(func() {
			if !s.acquire(q, x.stopping) || isClosed(x.stopping) { // acquire may succeed although the executor stops
				// The execution has not begun, so any executor may have it.
				x.steady("return an execution", func(ctx context.Context) error { return held.Return(ctx, time.Time{}, false) })
				x.attempts.finish()
				return
			}
			x.execute(newAttempt(x, d, held, release))
		})
	}
}

// execute handles one delivery: it claims the execution and runs an attempt, or carries out
// the effects that an earlier holder of the message may not have carried out.
func (x *Executor) execute(a *attempt) {
	x.steadyUntilStop("claim an execution", func(ctx context.Context) error {
		for {
			err := x.claim(ctx, a)
			if !errors.Is(err, engine.ErrConflict) {
				return x.unread(ctx, err, a.held)
			}
			a.delivery.Fresh = false // another process has written the record: read it
		}
	}, a.held)
	if !a.claimed {
		a.release()
		return
	}
	a.run()
}

// claim claims the execution for a. If the execution must not run, it acknowledges or returns
// the message instead.
func (x *Executor) claim(ctx context.Context, a *attempt) error {
	d := a.delivery
	if a.held.isLost() {
		a.loseClaim()
		return nil
	}
	if errors.Is(d.Invalid, engine.ErrNewer) {
		return d.Invalid
	}
	b, bound := x.bindings[d.Execution.Task]
	foreign := !bound && (!d.Execution.Sleeping || d.Unsettled)
	if foreign && d.Invalid == nil {
		return x.leaveToOthers(ctx, a)
	}
	a.binding = b
	// If this process was stopped while it held the message, another executor may hold the
	// message by now, or the record may say that the execution is cancelled.
	d.Fresh = d.Fresh && !x.heard.doubts(&d.Execution)
	r := engine.Record{Execution: d.Execution}
	if !d.Fresh {
		var err error
		r, err = x.store.Get(ctx, d.Execution.ID)
		if errors.Is(err, engine.ErrNotFound) {
			switch {
			case d.Hint && d.Invalid != nil:
				return a.held.SetAside(ctx, d.Invalid.Error())
			case d.Hint:
				return a.held.Done(ctx) // deleted with its tree
			case d.Invalid == nil:
				// The message has been withdrawn by the executor that removed the tree. If it has
				// not been, it will be redelivered.
				a.held.drop()
				return nil
			}
			r, err = engine.Record{Execution: d.Execution}, nil
		}
		if r.Message == d.Message {
			a.held.deliveries -= r.Delivery // count only the deliveries since the latest attempt
		}
		if err != nil {
			return err
		}
		if d.Later(r) {
			return x.dropLater(ctx, a.held, d, r)
		}
	}
	if foreign && d.Hint {
		return x.leaveToOthers(ctx, a)
	}
	if r.Revision == 0 && d.Invalid == nil && d.Unsettled {
		var err error
		if r.Execution, err = b.Settle(r.Execution, d.Given); err != nil {
			d.Invalid = err
		}
	}
	if r.Revision == 0 && d.Invalid != nil {
		return x.refuse(ctx, a.held, r, d.Invalid)
	}
	if r.Sleeping {
		return x.sleep(ctx, a.held, r)
	}
	switch {
	case r.Message == d.Message && r.Delivery > d.Deliveries:
		// This executor stalled, and another one has claimed the message since.
		a.held.drop()
		return nil
	case r.Status == engine.Running:
		return x.takeOver(ctx, a, r)
	case r.Status != engine.Ready:
		return x.repeatEffects(ctx, a.held, r.Execution)
	case isEarly(r, now()):
		return a.held.Return(ctx, r.StartAt, r.Revision > 0)
	}
	return x.begin(ctx, a, r)
}

// dropLater acknowledges a message with the id of an execution that was accepted earlier.
func (x *Executor) dropLater(ctx context.Context, held *hand, d *engine.Delivery, r engine.Record) error {
	x.log.Warn("message dropped: another with its id was accepted first", "execution", r.ID,
		"task", d.Execution.Task, "queue", d.Execution.Queue, "first task", r.Task, "first queue", r.Queue)
	if r.Status.Finished() && r.Task == d.Execution.Task {
		return x.repeatEffects(ctx, held, r.Execution) // the sender may wait for the outcome
	}
	return held.Done(ctx)
}

// leaveToOthers returns an execution whose task is not bound here, so that an executor that
// binds it can claim it.
func (x *Executor) leaveToOthers(ctx context.Context, a *attempt) error {
	d := a.delivery
	wait := x.foreign(foreignKind{queue: d.Execution.Queue, task: d.Execution.Task}, d.Deliveries)
	x.log.Debug("task is not bound here", "task", d.Execution.Task, "execution", d.Execution.ID, "wait", wait)
	return a.held.Return(ctx, now().Add(wait), false)
}

// isEarly reports whether the message of an execution has arrived before its StartAt. An
// execution without a delay is never early: if its StartAt is in the future, the clock that
// wrote the record is ahead.
func isEarly(r engine.Record, at time.Time) bool {
	return r.StartAt.After(at) && r.StartAt.After(r.ChangedAt)
}

// sleep puts an execution to sleep, or ends it at its timeout. No executor holds the execution
// while it sleeps. Its only message is the timer of its timeout, if it has one.
func (x *Executor) sleep(ctx context.Context, held *hand, r engine.Record) error {
	var ev engine.Event
	switch at := now(); {
	case r.Status == engine.Ready && isEarly(r, at):
		return held.Return(ctx, r.StartAt, r.Revision > 0)
	case r.Status == engine.Ready:
		c, gone, err := x.isOver(ctx, &r.Execution, x.heard.near(&r.Execution))
		if err != nil {
			return err
		}
		if gone {
			return x.cancel(ctx, held, r, c)
		}
		ev = engine.Claimed{At: at, Executor: x.config.Name}
	case r.Status == engine.Running && !r.ExpiresAt.IsZero() && !at.Before(r.ExpiresAt):
		ev = timedOut(&r.Execution, at)
	default:
		return x.repeatEffects(ctx, held, r.Execution)
	}
	_, fx, err := x.move(ctx, r, ev)
	if err != nil {
		return err
	}
	return x.acknowledge(ctx, held, fx)
}

// takeOver handles an execution whose record says that it is running.
func (x *Executor) takeOver(ctx context.Context, a *attempt, r engine.Record) error {
	if r.Message != a.delivery.Message {
		return a.held.Done(ctx) // the attempt belongs to another message
	}
	if mine := x.attempts.find(r.ID); mine != nil && mine.holds(r.Revision) {
		// The attempt runs here. Its message was redelivered because its lease was extended
		// too late.
		a.held.drop()
		return nil
	}
	if a.wrote(&r.Execution) {
		a.execution, a.revision, a.recorded = &r.Execution, r.Revision, true
		x.take(a)
		return nil
	}
	lost := engine.LeaseLost{At: now(), CrashCap: x.config.CrashCap}
	next, _, err := engine.Apply(r.Execution, lost)
	if err != nil {
		return err
	}
	if next.Status.Finished() {
		_, fx, err := x.move(ctx, r, lost)
		if err != nil {
			return err
		}
		return x.acknowledge(ctx, a.held, fx)
	}
	return x.begin(ctx, a, r, lost)
}

// begin claims an execution that is ready after the events before. It does not record the
// claim of a fresh delivery: most attempts end before the record would be of use.
func (x *Executor) begin(ctx context.Context, a *attempt, r engine.Record, before ...engine.Event) error {
	near := x.heard.near(&r.Execution)
	a.checked = near > nearAncestors
	if !a.delivery.Fresh {
		near = max(near, nearAncestors) // a cancellation may have been published before this executor listened
	}
	c, gone, err := x.isOver(ctx, &r.Execution, near)
	switch {
	case errors.Is(err, engine.ErrNotFound) && r.Revision == 0:
		return a.held.Done(ctx) // it ended and was deleted with its tree, but the acknowledgement got lost
	case err != nil && !errors.Is(err, engine.ErrNotFound):
		return err
	}
	if gone {
		return x.cancel(ctx, a.held, r, c)
	}
	if a.held.isLost() { // while the ancestors were read
		a.loseClaim()
		return nil
	}
	at := now()
	if at.Before(r.CreatedAt) {
		at = r.CreatedAt // the client's clock is ahead, and the record must not start before it was created
	}
	a.start = engine.Claimed{
		At: at, Executor: x.config.Name,
		Message: a.delivery.Message, Delivery: a.delivery.Deliveries,
	}
	if a.delivery.Fresh {
		next, _, err := engine.Apply(r.Execution, a.start)
		if err != nil {
			return err
		}
		// The delivery is not needed any more: reuse its memory for the claimed execution.
		a.delivery.Execution = next
		a.execution, a.revision = &a.delivery.Execution, r.Revision
	} else {
		next, _, err := x.move(ctx, r, append(before, a.start)...)
		if err != nil {
			return err
		}
		a.execution, a.revision, a.recorded = &next.Execution, next.Revision, true
	}
	x.take(a)
	return nil
}

// loseClaim drops a delivery whose lease ended before its attempt could begin: the server has
// redelivered the message, or is about to.
func (a *attempt) loseClaim() {
	a.x.log.Warn("delivery dropped: its lease ended before the attempt began",
		"execution", a.delivery.Execution.ID, "task", a.delivery.Execution.Task)
	a.held.drop()
}

// take adds a claimed attempt to those that cancellations and the shutdown can find.
func (x *Executor) take(a *attempt) {
	a.claimed = true
	a.held.keep()
	x.attempts.add(a)
	if c, gone := x.heard.of(a.execution); gone {
		// The cancellation was heard after begin had asked, and before it could find the attempt.
		a.cancel(c)
		return
	}
	if isClosed(x.gone) { // the store was closed during the claim
		go a.abandon(x.health.lost())
	}
	if a.execution.Parent != "" && x.heard.near(a.execution) > nearAncestors {
		if !a.checked {
			if c, gone, _ := x.endedAncestor(x.kill, a.execution, nearInDoubt); gone {
				a.cancel(c)
				return
			}
		}
		a.watchAncestors() // a cancellation may be heard before it is recorded
	}
}

// cancel cancels an execution whose message this executor holds.
func (x *Executor) cancel(ctx context.Context, held *hand, r engine.Record, c engine.Cancel) error {
	r, fx, err := x.modify(ctx, r, requested(c))
	if rejected := (*engine.TransitionError)(nil); errors.As(err, &rejected) {
		return x.repeatEffects(ctx, held, r.Execution)
	}
	if err != nil {
		return err
	}
	return x.acknowledge(ctx, held, fx)
}

// refuse records that an execution has failed because its message can't be understood.
func (x *Executor) refuse(ctx context.Context, held *hand, r engine.Record, reason error) error {
	if r.Queue == "" {
		r.Queue = engine.DefaultQueue
	}
	r.Policy = engine.Policy{}
	at := now()
	_, fx, err := x.move(ctx, r, engine.Claimed{At: at, Executor: x.config.Name}, engine.Erred{
		At: at, Final: true, Failure: engine.Failure{Kind: engine.KindInvalidInput, Message: "invalid message: " + reason.Error()},
	})
	if err != nil {
		return err
	}
	return x.acknowledge(ctx, held, fx)
}

// repeatEffects carries out the effects of y's record, which an earlier holder of the message
// may not have carried out, and acknowledges the message.
func (x *Executor) repeatEffects(ctx context.Context, held *hand, y engine.Execution) error {
	return x.acknowledge(ctx, held, engine.Effects(y))
}

// acknowledge carries out the effects and then acknowledges the message: in that order, so that
// a crash in between repeats the effects. If one of the effects requeues the execution,
// acknowledge only returns the message.
func (x *Executor) acknowledge(ctx context.Context, held *hand, fx []engine.Effect) error {
	for _, f := range fx {
		if requeue, ok := f.(engine.Requeue); ok {
			return held.Return(ctx, requeue.At, true)
		}
	}
	err := x.carry(fx)
	if err == nil || errors.Is(err, engine.ErrNotFound) { // deleted with its tree
		return held.Done(ctx)
	}
	return x.unread(ctx, err, held)
}

// carry carries out effects. It tries until it succeeds, until the executor is killed, or until
// the store says that a record which the effects need was deleted or can't be read.
func (x *Executor) carry(fx []engine.Effect) error {
	var lasting error
	x.steady("carry out effects", func(ctx context.Context) error {
		err := x.carryOnce(ctx, fx)
		fx = engine.Again(fx)
		if unreadable(err) || errors.Is(err, engine.ErrNotFound) {
			lasting = err
			return nil
		}
		return err
	})
	if lasting != nil {
		return lasting
	}
	return x.kill.Err()
}

// carryOnce carries out effects. If the parent waits for nothing but the execution that has
// just finished, carryOnce writes the parent's record itself instead of sending a closure.
func (x *Executor) carryOnce(ctx context.Context, fx []engine.Effect) error {
	for i, f := range fx {
		tell, ok := f.(engine.TellParent)
		if !ok || !tell.Direct {
			continue
		}
		err := x.tell(ctx, tell)
		if unreadable(err) {
			break // send the closure: another executor can read the record, or an operator finds the message
		}
		if err != nil {
			return err
		}
		fx = slices.Concat(fx[:i], fx[i+1:])
		break
	}
	return x.store.Carry(ctx, fx...)
}
