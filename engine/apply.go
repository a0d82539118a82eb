package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/durable-execution/durable/codec"
)

// A TransitionError reports an event that can't happen in the current status of an
// execution, or that adds nothing new. Duplicates and lost races cause it; it is not a
// fault.
type TransitionError struct {
	ID    string
	From  Status
	Event string
}

func (e *TransitionError) Error() string {
	return fmt.Sprintf("execution %s: %s while %s", e.ID, e.Event, e.From)
}

// Apply returns what x becomes when ev happens, and the effects that must follow.
// It reads no clock and no randomness, and does not change its argument. It returns a
// *[TransitionError] if ev can't happen in x's status.
//
// Invariants of every execution that Apply returns:
//   - a finished status is final: no event changes a finished execution, except that the
//     history of a cancelled one may gain an attempt that had begun: see [AttemptEnded];
//   - FinishedAt is set if and only if the execution has finished;
//   - Attempt is at most Policy.Retry.MaxRetries;
//   - Ended contains each finished child once, and no other index.
func Apply(x Execution, ev Event) (Execution, []Effect, error) {
	fx, err := applyTo(&x, ev)
	return x, fx, err
}

// applyTo is Apply in place. If it returns an error, it has not changed x.
func applyTo(x *Execution, ev Event) ([]Effect, error) {
	if !slices.Contains(ev.from(), x.Status) || !news(x, ev) {
		return nil, &TransitionError{ID: x.ID, From: x.Status, Event: eventName(ev)}
	}
	before, spawned := x.Status, x.Spawned
	happen(x, ev)
	if before.Finished() {
		return nil, nil // its effects followed when it finished
	}
	if x.Status == WaitingForChildren && before == WaitingForChildren && x.Spawned == spawned {
		return nil, nil // other children have yet to finish: nothing follows
	}
	if x.Status.Finished() {
		x.Closed = !x.tellsParent() && !x.hasBelow()
	}
	return effects(x, false), nil
}

// happen calls the event's own apply. A call through the interface would cost each event
// a copy of the execution on the heap, because escape analysis can't see that such a call
// does not retain x.
func happen(x *Execution, ev Event) {
	switch e := ev.(type) {
	case Claimed:
		e.apply(x)
	case Returned:
		e.apply(x)
	case Erred:
		e.apply(x)
	case Polled:
		e.apply(x)
	case LeaseLost:
		e.apply(x)
	case HandedBack:
		e.apply(x)
	case ChildrenEnded:
		e.apply(x)
	case FinalizeEnded:
		e.apply(x)
	case Woken:
		e.apply(x)
	case AttemptEnded:
		e.apply(x)
	case CancelRequested:
		e.apply(x)
	default:
		panic(fmt.Sprintf("engine: happen has no case for %T", ev))
	}
}

func eventName(ev Event) string { return fmt.Sprintf("%T", ev)[len("engine."):] }

// news reports whether ev can change x. A closure can't if x has counted it already or does
// not wait for it. An event of running code can't happen to a sleeping execution.
func news(x *Execution, ev Event) bool {
	switch e := ev.(type) {
	case ChildrenEnded:
		return slices.ContainsFunc(e.Children, func(c Closure) bool { return x.awaits(c) })
	case FinalizeEnded:
		return e.Closure.IsFinalize
	case Woken:
		return x.Sleeping
	case Returned, Polled, LeaseLost, HandedBack:
		return !x.Sleeping // a sleeping execution runs no code
	case AttemptEnded:
		return !x.Sleeping && !x.remembers(e)
	}
	return true
}

// awaits reports whether c is the closure of a child that x has not counted yet.
func (x *Execution) awaits(c Closure) bool {
	return !c.IsFinalize && !c.IsWake && c.Index >= 0 && c.Index < x.Spawned && !x.Ended.Has(c.Index)
}

var (
	fromReady           = []Status{Ready}
	fromRunning         = []Status{Running}
	fromWaiting         = []Status{WaitingForChildren}
	fromFinalizing      = []Status{WaitingForFinalize}
	fromReadyAndRunning = []Status{Ready, Running}
	fromActive          = statuses[:4]
	fromCancelled       = []Status{Cancelled}
)

func (Claimed) from() []Status         { return fromReady }
func (Returned) from() []Status        { return fromRunning }
func (Erred) from() []Status           { return fromRunning }
func (Polled) from() []Status          { return fromRunning }
func (LeaseLost) from() []Status       { return fromRunning }
func (HandedBack) from() []Status      { return fromRunning }
func (ChildrenEnded) from() []Status   { return fromWaiting }
func (FinalizeEnded) from() []Status   { return fromFinalizing }
func (Woken) from() []Status           { return fromReadyAndRunning }
func (AttemptEnded) from() []Status    { return fromCancelled }
func (CancelRequested) from() []Status { return fromActive }

func (e Claimed) apply(x *Execution) {
	e.At = latest(e.At, x.CreatedAt)
	x.become(Running, e.At)
	x.Executor, x.StartedAt = e.Executor, e.At
	x.Message, x.Delivery = e.Message, e.Delivery
	x.ExpiresAt = time.Time{}
	if x.Policy.Timeout > 0 {
		x.ExpiresAt = e.At.Add(min(x.Policy.Timeout, longestDelay)) // a timer must be able to express it
	}
}

func (e Returned) apply(x *Execution) {
	x.endAttempt(e.At, nil)
	x.Output, x.Gathers, x.Finalize = e.Output, e.Gathers, e.Finalize
	x.Spawned, x.Spawns = len(e.Children), e.Children
	x.Failure = nil
	if len(e.Steps) > 0 {
		x.Sequence, x.Steps = len(e.Steps), e.Steps
		x.nextStep(e.At)
		return
	}
	if len(e.Children) > 0 {
		x.become(WaitingForChildren, e.At)
		return
	}
	x.join(e.At)
}

// join continues once no child is left to wait for: with the finalize, if there is one.
func (x *Execution) join(at time.Time) {
	if x.Finalize != nil {
		x.become(WaitingForFinalize, at)
		return
	}
	x.become(Completed, at)
}

// nextStep continues a sequence. Each step's input is the previous step's output, which
// stays in that step's record: the executor of the step reads it there. The output of the
// last step is the output of the sequence.
func (x *Execution) nextStep(at time.Time) {
	before := ""
	if x.Spawned > 0 {
		before = childID(x.ID, x.Spawned-1)
	}
	if len(x.Steps) == 0 {
		x.OutputOf = before
		x.become(Completed, at)
		return
	}
	step := x.Steps[0]
	step.InputFrom = before
	x.Steps = x.Steps[1:]
	x.Spawns, x.SpawnsAt = []Spawn{step}, ""
	x.Spawned++
	x.become(WaitingForChildren, at)
}

func (e Erred) apply(x *Execution) {
	x.endAttempt(e.At, &e.Failure)
	x.Failure = &e.Failure
	switch {
	case e.Failure.Kind == KindCancelled:
		x.become(Cancelled, e.At)
	case !e.Final && x.Attempt < x.Policy.Retry.MaxRetries:
		x.Attempt++
		x.reschedule(e.At, e.At.Add(min(e.RetryDelay, longestDelay)))
	case e.Failure.Kind == KindTimeout:
		x.become(TimedOut, e.At)
	default:
		x.become(Failed, e.At)
	}
}

// A run that was not done adds no attempt to the history: the history would hold nothing
// else. It resets the counts of retries and crashes.
func (e Polled) apply(x *Execution) {
	x.Polls++
	x.Attempt, x.Crashes, x.Failure = 0, 0, nil
	x.reschedule(e.At, e.At.Add(min(e.After, longestDelay)))
}

func (e LeaseLost) apply(x *Execution) {
	f := &Failure{Kind: KindExpired, Message: "execution expired"}
	x.endAttempt(e.At, f)
	x.Crashes++
	x.Failure = f
	if x.Crashes > e.CrashCap {
		x.Failure = &Failure{Kind: KindExpired, Message: fmt.Sprintf(
			"execution expired: lost its executor %d times in the middle of an attempt, which is more than the cap of %d", x.Crashes, e.CrashCap)}
		x.become(Failed, e.At)
		return
	}
	x.reschedule(e.At, e.At)
}

func (e HandedBack) apply(x *Execution) {
	if !e.Until.IsZero() {
		x.StartedAt = time.Time{}
		if n := len(x.History); n > 0 {
			x.StartedAt = x.History[n-1].StartedAt
		}
		x.reschedule(e.At, e.Until)
		return
	}
	x.endAttempt(e.At, &Failure{Kind: KindShutdown, Message: "executor shut down before the attempt ended"})
	x.reschedule(e.At, e.At)
}

func (e ChildrenEnded) apply(x *Execution) {
	x.Ended = slices.Clone(x.Ended) // Apply's argument shares these bytes
	failed := 0
	for _, c := range e.Children {
		if !x.awaits(c) {
			continue
		}
		x.Ended.add(c.Index)
		if c.Status == Completed || (x.Policy.OnChildFailure == WaitAll && x.Sequence == 0) {
			continue
		}
		if failed++; len(x.ChildFailures) < maxChildFailures {
			x.ChildFailures = append(slices.Clip(x.ChildFailures), ChildFailure{
				Index: c.Index, ID: c.ID, Task: c.Task, Status: c.Status, Message: cut(c.Message, maxMessage),
			})
		}
	}
	switch {
	case failed > 0 && x.Sequence > 0:
		step := x.ChildFailures[0]
		x.Failure = &Failure{Kind: KindChildren, Message: fmt.Sprintf("step %d of %d (%s) %s: %s",
			step.Index+1, x.Sequence, step.Task, step.Status, step.Message)}
		x.become(ChildrenFailed, e.At)
	case failed > 0:
		first := x.ChildFailures[0]
		x.Failure = &Failure{Kind: KindChildren, Message: fmt.Sprintf("%s of %d did not complete; child %d (%s) %s: %s",
			plural(failed, "child", "children"), x.Spawned, first.Index, first.Task, first.Status, first.Message)}
		x.become(ChildrenFailed, e.At)
	case x.Ended.Len() < x.Spawned:
	case x.Sequence > 0:
		x.nextStep(e.At)
	default:
		x.join(e.At)
	}
}

func (e FinalizeEnded) apply(x *Execution) {
	if e.Closure.Status != Completed {
		x.Failure = &Failure{Kind: KindFinalize, Message: bounded(fmt.Sprintf(
			"finalize %s %s: %s", e.Closure.Task, e.Closure.Status, e.Closure.Message))}
		x.become(FinalizeFailed, e.At)
		return
	}
	x.Output, x.OutputOf, x.Gathers = e.Closure.Output, e.Closure.OutputOf, false
	x.become(Completed, e.At)
}

// A sleeping execution runs no code: the wake itself is the outcome.
func (e Woken) apply(x *Execution) {
	if x.Status == Running {
		x.endAttempt(e.At, e.Failure)
	}
	x.Output, x.Failure = e.Output, e.Failure
	if e.Failure != nil {
		x.become(Failed, e.At)
		return
	}
	x.become(Completed, e.At)
}

func (e AttemptEnded) apply(x *Execution) {
	x.remember(e.attempt(x), x.Failure)
}

// attempt returns the attempt of x that e reports. The attempt began before x was cancelled,
// even if the clock of its executor says otherwise.
func (e AttemptEnded) attempt(x *Execution) Attempt {
	started := latest(e.StartedAt, x.CreatedAt)
	if started.After(x.FinishedAt) {
		started = x.FinishedAt
	}
	return Attempt{Number: x.Attempt, Executor: e.Executor, StartedAt: started, EndedAt: e.At}
}

// remembers reports whether the history already has the attempt that e reports.
func (x *Execution) remembers(e AttemptEnded) bool {
	told := e.attempt(x)
	return slices.ContainsFunc(x.History, func(a Attempt) bool {
		return a.Executor == told.Executor && a.StartedAt.Equal(told.StartedAt)
	})
}

func (e CancelRequested) apply(x *Execution) {
	f := &Failure{Kind: KindCancelled, Message: bounded(e.Reason)}
	if x.Status == Running {
		x.endAttempt(e.At, f)
	}
	x.Failure, x.ParentFinished = f, e.ParentFinished
	x.become(Cancelled, e.At)
}

// become sets the status of x and the times that depend on it.
func (x *Execution) become(s Status, at time.Time) {
	x.Status, x.ChangedAt = s, at
	if s != Running {
		x.ExpiresAt = time.Time{}
	}
	if s != Running && s != Ready {
		x.Message, x.Delivery = "", 0 // no further attempt will follow
	}
	if !s.Finished() {
		return
	}
	x.FinishedAt = latest(at, x.CreatedAt, x.StartedAt)
	if s != Completed {
		x.Output, x.OutputOf, x.Gathers = codec.Payload{}, "", false
	}
}

// latest returns the latest of some times. They come from the clocks of several machines;
// latest keeps the times of an execution in the order in which things happened.
func latest(list ...time.Time) time.Time {
	return slices.MaxFunc(list, time.Time.Compare)
}

// reschedule makes x ready for another attempt.
func (x *Execution) reschedule(now, start time.Time) {
	x.become(Ready, now)
	x.Executor, x.StartAt = "", start
}

// endAttempt adds the running attempt to the history.
func (x *Execution) endAttempt(at time.Time, f *Failure) {
	x.remember(Attempt{Number: x.Attempt, Executor: x.Executor, StartedAt: x.StartedAt, EndedAt: at}, f)
}

// remember adds an attempt to the history, which keeps failures without their
// stacks and with short messages, so that the record stays bounded.
func (x *Execution) remember(a Attempt, f *Failure) {
	if f != nil {
		a.Failure = &Failure{Kind: f.Kind, Message: cut(f.Message, maxMessage)}
	}
	a.EndedAt = latest(a.EndedAt, a.StartedAt)
	h := x.History
	if len(h) >= maxHistory {
		h = h[len(h)-maxHistory+1:]
	}
	x.History = append(slices.Clip(h), a)
}

// maxMessage is the most bytes of a failure's message that a parent's record and the history keep.
const maxMessage = 1024

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
