package engine

import (
	"slices"
	"time"

	"github.com/durable-execution/durable/codec"
)

// An Effect is something that must follow from the state that an execution is
// in. Effects are idempotent: after a crash they are derived from the record
// again, with [Effects], and carried out again. The executions in them are shared
// among them, and nobody changes them.
type Effect interface{ effect() }

type (
	// Requeue makes the execution due again at a time: for another attempt or, while
	// it sleeps, for its timeout. It is the one effect that the holder of the baton
	// carries out, by [Baton.Return].
	Requeue struct{ At time.Time }

	// SpawnChildren creates the children of Parent. Again says that some may
	// exist already.
	SpawnChildren struct {
		Parent *Execution
		Again  bool
	}

	// SpawnFinalize creates the finalize execution of a parent. Again says that
	// it may exist already.
	SpawnFinalize struct {
		Finalize *Execution
		Again    bool
	}

	// TellParent tells the parent that its child or finalize, Child, has finished. Who
	// holds the child's message may write the parent's record itself, and carry out what
	// follows, in place of sending the closure. Direct says that the parent waits for
	// nothing else, so that nobody else is about to write.
	TellParent struct {
		Closure Closure
		Child   *Execution
		Direct  bool
	}

	// CancelBelow cancels the executions below a finished one that it does not
	// know to have finished.
	CancelBelow struct{ Parent *Execution }

	// Withdraw takes an execution that nobody runs, and that has ended, out of the
	// queue and the timers, with every later message of its id.
	Withdraw struct{ Execution *Execution }

	// Expire has the tree of an execution looked at when its time is over: that of
	// a root that has finished, or of one that ended below a finished parent, whose
	// root may be gone already. It is nothing where the root vanishes by itself, or never:
	// see [Expire.LookAt].
	Expire struct{ Execution *Execution }

	// Announce tells waiters the outcome. It is a notification: it may get lost.
	Announce struct{ Execution *Execution }
)

func (Requeue) effect()       {}
func (SpawnChildren) effect() {}
func (SpawnFinalize) effect() {}
func (TellParent) effect()    {}
func (CancelBelow) effect()   {}
func (Withdraw) effect()      {}
func (Expire) effect()        {}
func (Announce) effect()      {}

// Effects returns what must follow from the state of x, whether or not it has
// been carried out before. A redelivered message is answered with it.
func Effects(x Execution) []Effect { return effects(&x, true) }

// Again returns effects for another try: what they create may exist, and may even
// have come to its end already.
func Again(fx []Effect) []Effect {
	list := slices.Clone(fx)
	for i, f := range list {
		switch f := f.(type) {
		case SpawnChildren:
			f.Again = true
			list[i] = f
		case SpawnFinalize:
			f.Again = true
			list[i] = f
		case TellParent:
			f.Closure.Again = true
			list[i] = f
		}
	}
	return list
}

// effects does not keep of: what it returns points to a copy, where that has an execution
// in it.
func effects(of *Execution, again bool) []Effect {
	switch x := of; x.Status {
	case Ready:
		return []Effect{Requeue{At: x.StartAt}}
	case Running:
		if x.Sleeping && !x.ExpiresAt.IsZero() {
			return []Effect{Requeue{At: x.ExpiresAt}}
		}
		return nil
	case WaitingForChildren:
		y := *x
		return []Effect{SpawnChildren{Parent: &y, Again: again}}
	case WaitingForFinalize:
		y := x.FinalizeExecution()
		return []Effect{SpawnFinalize{Finalize: &y, Again: again}}
	}
	x := *of
	fx := make([]Effect, 0, 2) // as many as nearly all have
	if x.mayBeQueued() {
		fx = append(fx, Withdraw{Execution: &x})
	}
	if x.tellsParent() {
		fx = append(fx, TellParent{Closure: x.closure(again), Child: &x, Direct: x.Only || x.IsFinalize})
	}
	if x.hasBelow() {
		fx = append(fx, CancelBelow{Parent: &x})
	}
	if x.expires() {
		fx = append(fx, Expire{Execution: &x})
	}
	return append(fx, Announce{Execution: &x})
}

// maxHanded is how long an output may be to be handed on.
const maxHanded = 16 << 10

// Hand returns the effect with the output of a step that has completed as the input of
// the next: who runs that need not read it. It returns the effect as it is if that is
// not what it is for, or too long; the step is the one that the parent has just been
// told of.
func (s SpawnChildren) Hand(step *Execution) SpawnChildren {
	if s.Parent.Sequence == 0 || len(s.Parent.Spawns) != 1 || s.Parent.Spawns[0].InputFrom != step.ID ||
		step.Status != Completed || step.Gathers || step.OutputOf != "" || len(step.Output.Data) > maxHanded {
		return s
	}
	parent := *s.Parent
	next := parent.Spawns[0]
	next.Input = step.Output
	parent.Spawns = []Spawn{next}
	s.Parent = &parent
	return s
}

// mayBeQueued reports whether x ended while it waited in the queue or for a
// timer, where it may still lie: one that was cancelled then, or that slept.
func (x *Execution) mayBeQueued() bool {
	if x.Sleeping {
		return x.Status != TimedOut
	}
	return x.Status == Cancelled && x.Executor == ""
}

func (x *Execution) tellsParent() bool { return x.Parent != "" && !x.ParentFinished }

func (x *Execution) closure(again bool) Closure {
	c := Closure{
		Parent: x.Parent, ID: x.ID, Task: x.Task,
		Index: x.Index, IsFinalize: x.IsFinalize, Status: x.Status, Again: again,
	}
	c.Message = x.told()
	if x.IsFinalize && x.Status == Completed {
		c.Output, c.OutputOf = x.Output, x.OutputOf
		if x.Gathers {
			c.Output, c.OutputOf = codec.Payload{}, x.ID
		}
	}
	return c
}

// hasBelow reports whether there are any executions [Execution.Below] x.
func (x *Execution) hasBelow() bool {
	return x.Status.Finished() && x.Status != Completed &&
		(x.Ended.Len() < x.Spawned || x.Finalize != nil && x.Status == Cancelled)
}

// Knows reports whether x, which may have finished, counts the execution that c tells
// of as ended.
func (x *Execution) Knows(c Closure) bool {
	if c.IsFinalize {
		return x.Status == Completed || x.Status == FinalizeFailed
	}
	return x.Ended.Has(c.Index)
}

// Below returns the ids of the executions below a finished x that have not
// finished as far as x knows.
func (x Execution) Below() []string {
	if !x.hasBelow() {
		return nil
	}
	var ids []string
	for i := range x.Spawned {
		if !x.Ended.Has(i) {
			ids = append(ids, childID(x.ID, i))
		}
	}
	// The finalize exists once all children have ended. One that has failed has
	// nothing left to cancel.
	if len(ids) == 0 {
		ids = append(ids, finalizeID(x.ID))
	}
	return ids
}

// FollowsClosure reports whether what must follow from x's state, which is not
// Ready or Running, follows from the end of something below it, so that whoever
// holds the closure sees to it; otherwise it follows from the return of its code.
func (x Execution) FollowsClosure() bool {
	return x.Status != WaitingForChildren || (x.Sequence > 0 && x.Spawned > 1)
}

// ToCreate returns the executions that spawns, the parent's last children to spawn, become.
// Where some may exist already it leaves out those that the parent counts as ended.
func (s SpawnChildren) ToCreate(spawns []Spawn) []Execution {
	list := s.Parent.Children(spawns)
	if s.Again {
		list = slices.DeleteFunc(list, func(c Execution) bool { return s.Parent.Ended.Has(c.Index) })
	}
	return list
}

// Children returns the executions that spawns, x's last children to create, become.
func (x Execution) Children(spawns []Spawn) []Execution {
	list := make([]Execution, len(spawns))
	for i, s := range spawns {
		list[i] = x.Child(x.Spawned-len(spawns)+i, s)
	}
	return list
}

// Child returns the execution that s becomes as child i of x.
func (x Execution) Child(i int, s Spawn) Execution {
	c := s.execution(childID(x.ID, i), x)
	c.Index, c.Only = i, x.Spawned == 1 || x.Sequence > 0
	return c
}

// FinalizeExecution returns the execution that x.Finalize becomes.
func (x Execution) FinalizeExecution() Execution {
	c := x.Finalize.execution(finalizeID(x.ID), x)
	c.IsFinalize = true
	return c
}

// execution is made of nothing but its parent's record, so that spawning again
// after a crash makes the same one.
func (s Spawn) execution(id string, parent Execution) Execution {
	born := parent.ChangedAt
	return Execution{
		ID: id, Parent: parent.ID,
		Task: s.Task, Queue: s.Queue, Policy: s.Policy, Input: s.Input, InputFrom: s.InputFrom, Validated: s.Validated,
		Metadata: s.Metadata, Sleeping: s.Sleeping,
		Status: Ready, CreatedAt: born, StartAt: born.Add(s.Policy.Delay), ChangedAt: born,
	}
}
