package engine

import (
	"slices"
	"time"

	"github.com/durable-execution/durable/codec"
)

// An Effect is something that must follow from the state of an execution. Effects are
// idempotent: after a crash, [Effects] derives them from the record again, and the store
// carries them out again. Effects share the executions that they point to; never change
// those.
type Effect interface{ effect() }

type (
	// Requeue makes the execution due at a time: for another attempt or, if it sleeps,
	// for its timeout. It is the only effect that the holder of the message carries out,
	// by [Baton.Return].
	Requeue struct{ At time.Time }

	// SpawnChildren creates the children of Parent. Again says that some of them may
	// exist already.
	SpawnChildren struct {
		Parent *Execution
		Again  bool
	}

	// SpawnFinalize creates the finalize of a parent. Again says that it may exist
	// already.
	SpawnFinalize struct {
		Finalize *Execution
		Again    bool
	}

	// TellParent tells the parent that Child, a child or the finalize, has finished. The
	// holder of the child's message may write the parent's record itself, and carry out the
	// parent's effects, instead of sending the closure. Direct says that the parent waits for
	// no other execution, so that no other executor is about to write the parent's record.
	TellParent struct {
		Closure Closure
		Child   *Execution
		Direct  bool
	}

	// CancelBelow cancels the executions below a finished parent, except those that the
	// parent knows to have finished.
	CancelBelow struct{ Parent *Execution }

	// Withdraw removes all messages of a finished execution from the queue and the
	// timers.
	Withdraw struct{ Execution *Execution }

	// Expire schedules the expiry of the execution's tree: an executor then removes the
	// tree if its time is over. The execution is a finished root, or it has finished below
	// a finished parent, in which case its root may already be gone. It schedules nothing for
	// a root that the store removes by itself or keeps for ever: see [Expire.LookAt].
	Expire struct{ Execution *Execution }

	// Announce publishes the outcome to waiters. It is a notice, which may get lost.
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

// Effects returns all effects that follow from the state of x, including those that were
// already carried out. An executor carries them out for a redelivered message.
func Effects(x Execution) []Effect { return effects(&x, true) }

// Again marks effects as repeated: the executions that they create may exist already, and
// may even have finished.
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

// effects never retains its argument: the effects it returns hold copies.
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
	fx := make([]Effect, 0, 2) // nearly all executions have at most two
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

// maxHanded is the most bytes of an output that Hand passes on.
const maxHanded = 16 << 10

// Hand returns the effect with the output of the completed step as the input of the next
// step, so that the executor of the next step need not read the output. The step must be the
// one that the parent has just counted. Hand returns the effect unchanged if the output is
// too long, or if the next step does not take its input from this step.
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

// mayBeQueued reports whether a message of the finished x may still be in the queue or the
// timers: x was cancelled while it was ready, or x slept.
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

// hasBelow reports whether [Execution.Below] returns any ids.
func (x *Execution) hasBelow() bool {
	return x.Status.Finished() && x.Status != Completed &&
		(x.Ended.Len() < x.Spawned || x.Finalize != nil && x.Status == Cancelled)
}

// Knows reports whether x, active or finished, has counted the execution that c is about
// as finished.
func (x *Execution) Knows(c Closure) bool {
	if c.IsFinalize {
		return x.Status == Completed || x.Status == FinalizeFailed
	}
	return x.Ended.Has(c.Index)
}

// Below returns the ids of the executions below a finished x, except those that x knows to
// have finished.
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
	// The finalize exists only once all children have finished. If the finalize itself
	// failed, nothing is left to cancel.
	if len(ids) == 0 {
		ids = append(ids, finalizeID(x.ID))
	}
	return ids
}

// FollowsClosure reports whether the effects of x follow from the end of an execution below
// it, so that the holder of that closure carries them out. Otherwise they follow from the
// return of x's code. x must not be Ready or Running.
func (x Execution) FollowsClosure() bool {
	return x.Status != WaitingForChildren || (x.Sequence > 0 && x.Spawned > 1)
}

// ToCreate returns the executions to create for spawns, the children that the parent has to
// create. If s is repeated, it leaves out the children that the parent has counted as
// finished.
func (s SpawnChildren) ToCreate(spawns []Spawn) []Execution {
	list := s.Parent.Children(spawns)
	if s.Again {
		list = slices.DeleteFunc(list, func(c Execution) bool { return s.Parent.Ended.Has(c.Index) })
	}
	return list
}

// Children returns the executions for spawns, the children that x has to create.
func (x Execution) Children(spawns []Spawn) []Execution {
	list := make([]Execution, len(spawns))
	for i, s := range spawns {
		list[i] = x.Child(x.Spawned-len(spawns)+i, s)
	}
	return list
}

// Child returns the execution for s as child i of x.
func (x Execution) Child(i int, s Spawn) Execution {
	c := s.execution(childID(x.ID, i), x)
	c.Index, c.Only = i, x.Spawned == 1 || x.Sequence > 0
	return c
}

// FinalizeExecution returns the execution for x.Finalize.
func (x Execution) FinalizeExecution() Execution {
	c := x.Finalize.execution(finalizeID(x.ID), x)
	c.IsFinalize = true
	return c
}

// execution derives everything from the parent's record, so that spawning again after a
// crash creates the same execution.
func (s Spawn) execution(id string, parent Execution) Execution {
	born := parent.ChangedAt
	return Execution{
		ID: id, Parent: parent.ID,
		Task: s.Task, Queue: s.Queue, Policy: s.Policy, Input: s.Input, InputFrom: s.InputFrom, Validated: s.Validated,
		Metadata: s.Metadata, Sleeping: s.Sleeping,
		Status: Ready, CreatedAt: born, StartAt: born.Add(s.Policy.Delay), ChangedAt: born,
	}
}
