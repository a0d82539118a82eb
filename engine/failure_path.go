package engine

import (
	"fmt"
	"strings"
)

// How the reason of a failure travels up a tree. A parent learns one thing about a child that
// did not complete: the reason of the lowest execution that failed, and which execution that
// is. This text goes up unchanged through all levels. Each level's own record adds a
// pointer to its own child.

// told returns why x did not complete, for its parent, in at most maxMessage bytes: x's own
// reason or, if an execution below x is the cause, "ID (task) status: reason" of that execution.
func (x *Execution) told() string {
	f := x.Failure
	switch {
	case f == nil:
		return ""
	case f.Kind == KindChildren && len(x.ChildFailures) > 0:
		c := x.ChildFailures[0]
		return bottom(c.ID, c.Task, c.Status, c.Message)
	case f.Kind == KindFinalize && x.Finalize != nil:
		// FinalizeEnded.apply wrote the message in this format.
		rest, own := strings.CutPrefix(f.Message, "finalize "+x.Finalize.Task+" ")
		if status, reason, ok := strings.Cut(rest, ": "); own && ok {
			return bottom(finalizeID(x.ID), x.Finalize.Task, Status(status), reason)
		}
	}
	return cut(f.Message, maxMessage)
}

// bottom returns the reason of the lowest failed execution, given a child or finalize of x
// and the reason that this child has told.
func bottom(id, task string, s Status, told string) string {
	if s == ChildrenFailed || s == FinalizeFailed {
		return cut(told, maxMessage) // it already names an execution further down
	}
	who := fmt.Sprintf("%s (%s) %s: ", id, task, s)
	return who + cut(told, maxMessage-len(who))
}

// Pointer returns the part of the failure's message that names the child, step or finalize
// that did not complete, without its reason. It is for user interfaces that also show that
// execution. If the reason is the execution's own, Pointer returns the whole message.
func (f *Failure) Pointer() string {
	if f.Kind != KindChildren && f.Kind != KindFinalize {
		return f.Message
	}
	pointer, _, _ := strings.Cut(f.Message, ": ")
	return pointer
}
