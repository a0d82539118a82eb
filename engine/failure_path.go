package engine

import (
	"fmt"
	"strings"
)

// How the reason of a failure goes up a tree. A parent is told one thing of a child that did
// not complete: the reason at the bottom, with the execution that it is of. That is said once
// and goes up unchanged, however many levels there are; each level adds a pointer to its own
// child, and only for its own record.

// told is what a parent is told of why x did not complete, maxMessage bytes at most: x's own
// reason or, where that lies below x, "ID (task) status: reason" of the execution at the bottom.
func (x *Execution) told() string {
	f := x.Failure
	switch {
	case f == nil:
		return ""
	case f.Kind == KindChildren && len(x.ChildFailures) > 0:
		c := x.ChildFailures[0]
		return bottom(c.ID, c.Task, c.Status, c.Message)
	case f.Kind == KindFinalize && x.Finalize != nil:
		// As FinalizeEnded has written it.
		rest, own := strings.CutPrefix(f.Message, "finalize "+x.Finalize.Task+" ")
		if status, reason, ok := strings.Cut(rest, ": "); own && ok {
			return bottom(finalizeID(x.ID), x.Finalize.Task, Status(status), reason)
		}
	}
	return cut(f.Message, maxMessage)
}

// bottom returns the reason at the bottom, of which a parent knows its child, or finalize, and
// what that has told.
func bottom(id, task string, s Status, told string) string {
	if s == ChildrenFailed || s == FinalizeFailed {
		return cut(told, maxMessage) // it is of an execution further down, and says which
	}
	who := fmt.Sprintf("%s (%s) %s: ", id, task, s)
	return who + cut(told, maxMessage-len(who))
}

// Pointer returns the part of the failure's message that says which child, step or finalize
// did not complete, without its reason: for views that show that execution as well. It is the
// whole message where the reason is the execution's own.
func (f *Failure) Pointer() string {
	if f.Kind != KindChildren && f.Kind != KindFinalize {
		return f.Message
	}
	pointer, _, _ := strings.Cut(f.Message, ": ")
	return pointer
}
