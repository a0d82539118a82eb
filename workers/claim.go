package workers

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/durable-execution/durable/engine"
)

// takeExecutions is the loop of a queue: each execution that is due gets a slot
// and a goroutine.
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
			if !s.acquire(q, x.stopping) || isClosed(x.stopping) { // also where both were true
				// It has not begun, so anybody may have it.
				x.steady("give back", func(ctx context.Context) error { return held.Return(ctx, time.Time{}, false) })
				x.attempts.finish()
				return
			}
			x.execute(newAttempt(x, d, held, release))
		})
	}
}

// execute sees one delivery through: it claims the execution and runs an
// attempt, or finishes what an earlier holder of the message has left.
func (x *Executor) execute(a *attempt) {
	x.steadyUntilStop("claim an execution", func(ctx context.Context) error {
		for {
			err := x.claim(ctx, a)
			if !errors.Is(err, engine.ErrConflict) {
				return x.unread(ctx, err, a.held)
			}
			a.delivery.Fresh = false // somebody has written since: the record decides
		}
	}, a.held)
	if !a.claimed {
		a.release()
		return
	}
	a.run()
}

// claim makes the execution a's, or sees to the message if it is not to be run.
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
	// A message that has lain in the hands of a process that was stopped may be somebody
	// else's by now, and a cancellation of the execution itself in its record.
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
				return a.held.Done(ctx) // deleted, with its tree
			case d.Invalid == nil:
				// The message lies nowhere any more: whoever removed the tree has withdrawn it.
				// Should it lie there nevertheless, it comes again.
				a.held.drop()
				return nil
			}
			r, err = engine.Record{Execution: d.Execution}, nil
		}
		if r.Message == d.Message {
			a.held.deliveries -= r.Delivery // before its latest attempt: those since then led to none
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
		// It has gone to somebody else since this executor stalled.
		a.held.drop()
		return nil
	case r.Status == engine.Running:
		return x.takeOver(ctx, a, r)
	case r.Status != engine.Ready:
		return x.leave(ctx, a.held, r.Execution)
	case isEarly(r, now()):
		return a.held.Return(ctx, r.StartAt, r.Revision > 0)
	}
	return x.begin(ctx, a, r)
}

// dropLater puts a message down that came after another of its id.
func (x *Executor) dropLater(ctx context.Context, held *hand, d *engine.Delivery, r engine.Record) error {
	x.log.Warn("message dropped: another with its id was accepted first", "execution", r.ID,
		"task", d.Execution.Task, "queue", d.Execution.Queue, "first task", r.Task, "first queue", r.Queue)
	if r.Status.Finished() && r.Task == d.Execution.Task {
		return x.leave(ctx, held, r.Execution) // somebody may wait for it
	}
	return held.Done(ctx)
}

// leaveToOthers gives back what needs code that is not bound here.
func (x *Executor) leaveToOthers(ctx context.Context, a *attempt) error {
	d := a.delivery
	wait := x.foreign(foreignKind{queue: d.Execution.Queue, task: d.Execution.Task}, d.Deliveries)
	x.log.Debug("task is not bound here", "task", d.Execution.Task, "execution", d.Execution.ID, "wait", wait)
	return a.held.Return(ctx, now().Add(wait), false)
}

// isEarly reports whether the message of an execution has come before its time. What
// is to wait for nothing is due as soon as its message is there: its times may be
// those of a clock that is ahead.
func isEarly(r engine.Record, at time.Time) bool {
	return r.StartAt.After(at) && r.StartAt.After(r.ChangedAt)
}

// sleep puts an execution to sleep, or ends it at its timeout. Nobody holds it in
// between: its message is a timer, if it has a timeout, and otherwise none.
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
		return x.leave(ctx, held, r.Execution)
	}
	_, fx, err := x.move(ctx, r, ev)
	if err != nil {
		return err
	}
	return x.putDown(ctx, held, fx)
}

// takeOver decides about an execution that is running by its record.
func (x *Executor) takeOver(ctx context.Context, a *attempt, r engine.Record) error {
	if r.Message != a.delivery.Message {
		return a.held.Done(ctx) // another message keeps the attempt
	}
	if mine := x.attempts.find(r.ID); mine != nil && mine.holds(r.Revision) {
		// It runs here; its message came again because it was extended too late.
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
		return x.putDown(ctx, a.held, fx)
	}
	return x.begin(ctx, a, r, lost)
}

// begin claims a ready execution, after the events that make it so. A fresh one
// is not recorded yet: most are over before it would be of use.
func (x *Executor) begin(ctx context.Context, a *attempt, r engine.Record, before ...engine.Event) error {
	near := x.heard.near(&r.Execution)
	a.checked = near > nearAncestors
	if !a.delivery.Fresh {
		near = max(near, nearAncestors) // a cancellation may have been published before this executor listened
	}
	c, gone, err := x.isOver(ctx, &r.Execution, near)
	switch {
	case errors.Is(err, engine.ErrNotFound) && r.Revision == 0:
		return a.held.Done(ctx) // it ended, and was deleted with its tree: its acknowledgement got lost
	case err != nil && !errors.Is(err, engine.ErrNotFound):
		return err
	}
	if gone {
		return x.cancel(ctx, a.held, r, c)
	}
	if a.held.isLost() { // while it was looked at
		a.loseClaim()
		return nil
	}
	at := now()
	if at.Before(r.CreatedAt) {
		at = r.CreatedAt // by a clock that is ahead: as the record will have it
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
		// The delivery has done its part: its memory is that of the claim.
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

// loseClaim lets go of a delivery whose lease ended before it could begin: the server has
// delivered it again, or is about to.
func (a *attempt) loseClaim() {
	a.x.log.Warn("a delivery was in hand for longer than its lease: it does not begin here",
		"execution", a.delivery.Execution.ID, "task", a.delivery.Execution.Task)
	a.held.drop()
}

// take makes an attempt known that has been claimed.
func (x *Executor) take(a *attempt) {
	a.claimed = true
	a.held.keep()
	x.attempts.add(a)
	if c, gone := x.heard.of(a.execution); gone {
		// It passed after the first look, and before the attempt could be found.
		a.cancel(c)
		return
	}
	if isClosed(x.gone) { // since it was claimed
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

// cancel cancels an execution whose message is in hand.
func (x *Executor) cancel(ctx context.Context, held *hand, r engine.Record, c engine.Cancel) error {
	r, fx, err := x.modify(ctx, r, requested(c))
	if over := (*engine.TransitionError)(nil); errors.As(err, &over) {
		return x.leave(ctx, held, r.Execution)
	}
	if err != nil {
		return err
	}
	return x.putDown(ctx, held, fx)
}

// refuse records an execution whose message can't be understood as failed.
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
	return x.putDown(ctx, held, fx)
}

// leave finishes what an earlier holder of the message has recorded, and maybe
// not carried out, and puts the message down.
func (x *Executor) leave(ctx context.Context, held *hand, y engine.Execution) error {
	return x.putDown(ctx, held, engine.Effects(y))
}

// putDown carries out effects and then puts the message down: in that order, so
// that a crash between the two repeats them.
func (x *Executor) putDown(ctx context.Context, held *hand, fx []engine.Effect) error {
	for _, f := range fx {
		if again, ok := f.(engine.Requeue); ok {
			return held.Return(ctx, again.At, true)
		}
	}
	err := x.carry(fx)
	if err == nil || errors.Is(err, engine.ErrNotFound) { // deleted, with its tree
		return held.Done(ctx)
	}
	return x.unread(ctx, err, held)
}

// carry carries out effects, until it succeeds, finds that what they are about
// is gone or can't be read, or the executor is killed.
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

func (x *Executor) carryOnce(ctx context.Context, fx []engine.Effect) error {
	for i, f := range fx {
		tell, ok := f.(engine.TellParent)
		if !ok || !tell.Direct {
			continue
		}
		err := x.tell(ctx, tell)
		if unreadable(err) {
			break // by a message, which is then what somebody else takes, or an operator finds
		}
		if err != nil {
			return err
		}
		fx = slices.Concat(fx[:i], fx[i+1:])
		break
	}
	return x.store.Carry(ctx, fx...)
}
