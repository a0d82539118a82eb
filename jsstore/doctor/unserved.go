package doctor

import (
	"context"
	"errors"
	"fmt"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/message"
	"github.com/durable-execution/durable/jsstore/internal/rpc"
)

// Messages in the ready stream that nobody will run: their subject describes no execution, or
// nobody serves their queue.

// judgeSubject reports a subject that describes no execution. Executors set such a message
// aside if their queue's consumer delivers it; otherwise the message stays there for ever.
func (e *examiner) judgeSubject(subject string, reason error) {
	e.find(Problem, "queue.subject", subject, "not the subject of an execution: "+reason.Error(),
		"whoever published it expects an execution to run", e.mendCommand()+" sets it aside, and durable forget NAME drops it; correct the client")
	e.mends(func(ctx context.Context) (string, error) {
		for m, err := range e.rpc.Scan(ctx, e.layout.Ready(), subject) {
			if err != nil {
				return "", err
			}
			if m.Subject == subject {
				return "set aside", e.ns.TakeOut(ctx, e.layout.Ready(), m, reason.Error())
			}
		}
		return "", nil
	})
}

// maxUnserved is how many messages of a queue without an executor are compared with records.
const maxUnserved = 1000

// judgeUnserved reports a queue that nobody serves. Some of its messages may have the id of an
// execution that has run, or is running, in another queue. A cancellation of that id concerns
// the other execution, so it would be refused or cancel the wrong one.
func (e *examiner) judgeUnserved(ctx context.Context, queue string, lies uint64) {
	stray, first, err := e.strays(ctx, queue)
	if err != nil {
		e.unknown("queue.served", queue, err)
		return
	}
	if n := uint64(len(stray)); n < lies {
		e.find(Problem, "queue.served", queue, counted(lies-n, "execution is", "executions are")+" in this queue, which no executor serves",
			"nothing in it runs until one does", fmt.Sprintf("start an executor with workers.Config{Queues: ...} that names it; if the queue is mistyped: %s", e.ns.Command("cancel "+first)))
	}
	for i, s := range stray {
		if i == maxTold {
			e.find(Problem, "queue.stray", queue, counted(len(stray)-i, "more message has", "more messages have")+" the id of an execution in another queue",
				"so many must have one cause", e.mendCommand())
			rest := stray[i:]
			e.mends(func(ctx context.Context) (string, error) { return each(ctx, rest, e.removeStray) })
			return
		}
		e.find(Problem, "queue.stray", s.id, "is also in queue "+queue+", which nobody serves: "+s.why,
			"a cancellation concerns the other one; if that one is deleted, this one runs once its queue is served", e.mendCommand()+" sets it aside")
		e.mends(func(ctx context.Context) (string, error) { return e.removeStray(ctx, s) })
	}
}

// A stray is a message with the id of an execution in another queue.
type stray struct {
	*rpc.Stored
	id, why string
}

// strays returns the strays of a queue, and the id of a message that is no stray.
func (e *examiner) strays(ctx context.Context, queue string) (list []stray, first string, err error) {
	n := 0
	for m, err := range e.rpc.Scan(ctx, e.layout.Ready(), e.layout.ReadyIn(queue)) {
		if n++; err != nil || n > maxUnserved {
			return list, first, err
		}
		x, err := e.layout.Execution(m.Subject)
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

// isStray says where else the execution of a message in the ready stream is. It returns an
// empty string if the message is the execution's own.
func (e *examiner) isStray(ctx context.Context, lies *rpc.Stored) (string, error) {
	x := message.ParseDue(e.layout, lies).Execution
	if x.ID != engine.RootOf(x.ID) {
		return "", nil // only executors send it, and they repeat it if it has finished
	}
	m, err := e.newest(ctx, e.layout.RecordSubject(x.ID))
	if err != nil || m == nil {
		return "", err
	}
	r, err := e.ns.DecodeRecord(m)
	switch {
	case errors.Is(err, engine.ErrNotFound), errors.Is(err, engine.ErrNewer), errors.Is(err, engine.ErrDamaged):
		return "", nil
	case err != nil:
		return "", err
	case r.Queue != x.Queue || r.Task != x.Task:
		return fmt.Sprintf("%s is an execution of task %s in queue %s, and is %s", x.ID, r.Task, r.Queue, r.Status), nil
	case r.Status.Finished() && !r.SameLife(&x): // otherwise the parent may still have to be told
		return fmt.Sprintf("%s is %s already", x.ID, r.Status), nil
	}
	return "", nil
}

func (e *examiner) removeStray(ctx context.Context, s stray) (string, error) {
	why, err := e.isStray(ctx, s.Stored)
	if err != nil || why == "" {
		return "", err
	}
	return "set aside", e.ns.TakeOut(ctx, e.layout.Ready(), s.Stored, why)
}
