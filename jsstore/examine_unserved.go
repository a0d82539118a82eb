package jsstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/durable-execution/durable/engine"
)

// What lies in the ready stream that nobody will run: its subject says of no execution, or
// its queue is served by nobody.

// judgeSubject tells of a subject that is none of an execution. Executors set such a message
// aside if their queue's consumer delivers it; others lie there for good.
func (e *examiner) judgeSubject(subject string, reason error) {
	e.find(Problem, "queue.subject", subject, "no execution: "+reason.Error(),
		"who published it believes that it will run", e.mendCommand()+" sets it aside, and durable forget NAME drops it; correct the client")
	e.mends(func(ctx context.Context) (string, error) {
		for m, err := range e.scan(ctx, e.layout.ready(), subject) {
			if err != nil {
				return "", err
			}
			if m.Subject == subject {
				return "set aside", e.takeOut(ctx, e.layout.ready(), m, reason.Error())
			}
		}
		return "", nil
	})
}

// maxUnserved is how many messages of a queue that nobody serves are compared with records.
const maxUnserved = 1000

// judgeUnserved tells of a queue that nobody serves. Some of what lies there may be of ids
// that have run elsewhere, or run there: a cancellation is about that one, and refused or
// wrong.
func (e *examiner) judgeUnserved(ctx context.Context, queue string, lies uint64) {
	stray, first, err := e.strays(ctx, queue)
	if err != nil {
		e.unknown("queue.served", queue, err)
		return
	}
	if n := uint64(len(stray)); n < lies {
		e.find(Problem, "queue.served", queue, counted(lies-n, "execution lies", "executions lie")+" in this queue, which no executor serves",
			"it waits until one does", fmt.Sprintf("start an executor with workers.Config{Queues: ...} that names it; or it is a mistyped queue: %s", e.command("cancel "+first)))
	}
	for i, s := range stray {
		if i == maxTold {
			e.find(Problem, "queue.stray", queue, counted(len(stray)-i, "more lies", "more lie")+" there whose id is that of an execution in another queue",
				"so many have one cause", e.mendCommand())
			rest := stray[i:]
			e.mends(func(ctx context.Context) (string, error) { return each(ctx, rest, e.removeStray) })
			return
		}
		e.find(Problem, "queue.stray", s.id, "lies in queue "+queue+" too, which nobody serves: "+s.why,
			"a cancellation is about the other one; if that is deleted, this one runs once its queue is served", e.mendCommand()+" sets it aside")
		e.mends(func(ctx context.Context) (string, error) { return e.removeStray(ctx, s) })
	}
}

// A stray is a message of an id that is an execution elsewhere.
type stray struct {
	*stored
	id, why string
}

// strays returns the strays of a queue, and the id of a message that is none.
func (e *examiner) strays(ctx context.Context, queue string) (list []stray, first string, err error) {
	n := 0
	for m, err := range e.scan(ctx, e.layout.ready(), e.layout.readyIn(queue)) {
		if n++; err != nil || n > maxUnserved {
			return list, first, err
		}
		x, err := e.layout.execution(m.Subject)
		if err != nil {
			continue // see judgeSubject
		}
		why, err := e.isStray(ctx, m)
		switch {
		case err != nil:
			return nil, "", err
		case why != "":
			list = append(list, stray{m, x.ID, why})
		case first == "":
			first = x.ID
		}
	}
	return list, first, nil
}

// isStray says where else the execution of a message in the ready stream is; empty if that is
// its own message.
func (e *examiner) isStray(ctx context.Context, lies *stored) (string, error) {
	x := e.layout.parse(lies).Execution
	if x.ID != engine.RootOf(x.ID) {
		return "", nil // only executors send it, and again where it has ended
	}
	m, err := e.newest(ctx, e.layout.recordSubject(x.ID))
	if err != nil || m == nil {
		return "", err
	}
	r, err := e.decodeRecord(m)
	switch {
	case errors.Is(err, engine.ErrNotFound), errors.Is(err, engine.ErrNewer), errors.Is(err, engine.ErrDamaged):
		return "", nil
	case err != nil:
		return "", err
	case r.Queue != x.Queue || r.Task != x.Task:
		return fmt.Sprintf("%s is an execution of task %s in queue %s, and is %s", x.ID, r.Task, r.Queue, r.Status), nil
	case r.Status.Finished() && !r.SameLife(&x): // or else it may have to be told
		return fmt.Sprintf("%s is %s already", x.ID, r.Status), nil
	}
	return "", nil
}

func (e *examiner) removeStray(ctx context.Context, s stray) (string, error) {
	why, err := e.isStray(ctx, s.stored)
	if err != nil || why == "" {
		return "", err
	}
	return "set aside", e.takeOut(ctx, e.layout.ready(), s.stored, why)
}
