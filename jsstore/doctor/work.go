package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/message"
	"github.com/durable-execution/durable/jsstore/internal/namespace"
	"github.com/durable-execution/durable/jsstore/internal/rpc"
)

const (
	// maxJudged is how many active executions are examined closely. Each takes a few reads from
	// the leaders.
	maxJudged = 1000
	// maxChildren is how many children of one execution are examined.
	maxChildren = 100
	// maxTold is how many findings of one kind are listed one by one.
	maxTold = 10
	// twice is the time between two checks of what seems stuck. A message that was only moving
	// from one stream to another during the first check has arrived by the second.
	twice = time.Second
)

// A suspect is an active execution whose record has not been written for a lease.
type suspect struct {
	engine.Record
	written time.Time
}

// An unread is a record that can't be read.
type unread struct {
	id  string
	err error
}

// examineWork looks for stuck executions. An active execution is driven by a message of its
// own, or by the executions below it.
func (e *examiner) examineWork(ctx context.Context) {
	records := e.streams[e.layout.Records()]
	if records == nil || e.streams[e.layout.Ready()] == nil || e.streams[e.layout.Timers()] == nil || e.streams[e.layout.Control()] == nil {
		return
	}
	if !records.Config.AllowDirect {
		e.find(Warning, "work.stuck", "", "the records can't be listed, so stuck work could not be searched for", "direct gets are refused", edit(records.Config.Name, "--allow-direct"))
		return
	}
	e.Records = int(records.State.Msgs) - e.about
	suspects, err := e.suspects(ctx, records.TimeStamp)
	if err != nil {
		e.unknown("work.stuck", "", err)
		return
	}
	stuck := e.stuck(ctx, suspects)
	if len(stuck) > 0 && pause(ctx, twice) == nil {
		stuck = e.stuck(ctx, stuck)
	}
	for i, s := range stuck {
		if i == maxTold {
			e.find(Problem, "work.stuck", "", counted(len(stuck)-maxTold, "more is stuck", "more are stuck"),
				"so many must have one cause", "find it first: the findings above, backups that were restored, streams that were purged by hand; then "+e.mendCommand())
			rest := stuck[i:]
			e.mends(func(ctx context.Context) (string, error) { return each(ctx, rest, e.drive) })
			break
		}
		why, _ := e.verdict(ctx, s)
		fix := e.mendCommand() + " moves it on"
		if s.Status == engine.Running && !s.Sleeping && e.mayRun(s, e.Executors) {
			fix = "if that executor is running it, it ends by itself; otherwise stop the executor, and then " + fix
		}
		e.find(Problem, "work.stuck", s.ID, fmt.Sprintf("task %s has been %s since %s and %s", s.Task, s.Status, s.written.UTC().Format(time.RFC3339), why),
			"nothing will move it on, and what waits for it waits for ever", fmt.Sprintf("%s; or durable cancel %s, then durable retry %s", fix, s.Root(), s.Root()))
		e.mends(func(ctx context.Context) (string, error) { return e.drive(ctx, s) })
	}
	e.fine("work.stuck", "%s; of %s unfinished and quiet, none is stuck", e.sampled(), counted(len(suspects), "that is", "that are"))
	e.judgeAside(ctx)
	e.judgeLost(ctx)
}

// sampled says how many records were examined.
func (e *examiner) sampled() string {
	if e.Sampled == 0 {
		return "no execution is recorded"
	}
	if e.Sampled < e.Records {
		return fmt.Sprintf("%d records of %d keys read, starting with those that have not been written for longest", e.Sampled, e.Records)
	}
	return "read all of " + counted(e.Sampled, "record", "records")
}

// suspects reads records, first those of roots and then the others. It returns the executions
// that are active and whose record has not been written for a lease.
func (e *examiner) suspects(ctx context.Context, now time.Time) ([]suspect, error) {
	var list []suspect
	beyond := 0
	left := leftovers{roots: map[string]bool{}, below: map[string]string{}, all: true}
	for _, subject := range e.ns.RecordsUnder("") {
		n := 0
		for m, err := range e.ns.ScanLast(ctx, subject) {
			if err != nil {
				return nil, err
			}
			if e.ns.IsOwn(m) {
				continue
			}
			if n++; e.Sample > 0 && n > e.Sample {
				left.all = false
				break
			}
			e.Sampled++
			r, err := message.DecodeRecord(m)
			e.count(r.Execution)
			switch {
			case errors.Is(err, engine.ErrNotFound):
			case left.has(e, m, r, now):
			case errors.Is(err, engine.ErrNewer):
				e.newer++
			case err != nil:
				e.unread = append(e.unread, unread{m.Subject[len(e.layout.RecordPrefix()):], err})
			case !r.Status.Active() || now.Sub(m.Time) <= e.ns.Limits.Lease+overdue:
			case len(list) == maxJudged:
				beyond++
			default:
				r.Input, r.Output = engine.Execution{}.Input, engine.Execution{}.Output
				list = append(list, suspect{r, m.Time})
			}
		}
	}
	e.judgeLeftovers(ctx, left)
	if beyond > 0 {
		e.find(Note, "work.stuck", "", fmt.Sprintf("only %d of %d unfinished and quiet executions were examined closely", maxJudged, maxJudged+beyond), "", "")
	}
	return list, nil
}

// stuck returns the suspects that nothing will move on.
func (e *examiner) stuck(ctx context.Context, suspects []suspect) []suspect {
	var list []suspect
	for _, s := range suspects {
		why, err := e.verdict(ctx, s)
		if err != nil {
			e.unknown("work.stuck", s.ID, err)
			return list
		}
		if why != "" {
			list = append(list, s)
		}
	}
	return list
}

// verdict says why nothing will move the execution on. It returns an empty string if something
// will. It checks what drives the execution in the order in which that changes: a closure is
// published before the child's message is acknowledged, and the parent's record is written
// before the closure is acknowledged. It reads the record last: if that has not changed,
// nothing was missed.
func (e *examiner) verdict(ctx context.Context, s suspect) (string, error) {
	why, err := e.undriven(ctx, s)
	if err != nil || why == "" {
		return "", err
	}
	drives := everyMessage
	if e.abandoned(s) { // then a message that was enqueued under its id since does not drive it
		drives = func(m *rpc.Stored) bool {
			d := message.ParseDue(e.layout, m)
			return !message.IsExecution(d) || d.Execution.SameLife(&s.Execution)
		}
	}
	if driven, err := e.hasMessage(ctx, s.ID, drives); err != nil || driven {
		return "", err
	}
	if m, err := e.get(ctx, e.layout.Control(), e.layout.ClosureSubject(s.ID), 1); err != nil || m != nil {
		return "", err
	}
	if m, err := e.get(ctx, e.layout.Control(), e.layout.CancelSubject(s.ID), 1); err != nil || m != nil {
		return "", err
	}
	m, err := e.newest(ctx, e.layout.RecordSubject(s.ID))
	if err != nil || m.Revision() != s.Revision {
		return "", err
	}
	return why, nil
}

// undriven says what is missing below an execution that has no message of its own.
func (e *examiner) undriven(ctx context.Context, s suspect) (string, error) {
	x := s.Execution
	switch x.Status {
	case engine.Ready:
		return "has no message in the queue or the timers", nil
	case engine.Running:
		switch {
		case x.Sleeping && x.ExpiresAt.IsZero():
			return "", nil // somebody may wake it
		case x.Sleeping:
			return "sleeps, but the timer of its time-out is gone", nil
		}
		return "has no message left that would bring it to another executor; " + e.whereabouts(s), nil
	case engine.WaitingForFinalize:
		gone, how, err := e.gone(ctx, x.FinalizeExecution().ID)
		if err != nil || !gone {
			return "", err
		}
		return "waits for its finalize, which " + how, nil
	}
	return e.withoutChildren(ctx, x)
}

// whereabouts says whether the suspect's executor has answered the roll call.
func (e *examiner) whereabouts(s suspect) string {
	switch named := func(a engine.Answer) bool { return a.Executor == s.Executor }; {
	case e.mayRun(s, e.Executors):
		return "its executor " + s.Executor + " answers"
	case slices.ContainsFunc(e.Executors, named):
		return "its executor " + s.Executor + " has been restarted since"
	}
	return "its executor " + s.Executor + " does not answer"
}

// withoutChildren is undriven for an execution that waits for children.
func (e *examiner) withoutChildren(ctx context.Context, x engine.Execution) (string, error) {
	looked, missing, open := 0, 0, x.Spawned-x.Ended.Len()
	for i := range x.Spawned {
		if x.Ended.Has(i) {
			continue
		}
		if looked == maxChildren {
			break
		}
		looked++
		gone, how, err := e.gone(ctx, x.Child(i, engine.Spawn{}).ID)
		if err != nil || !gone {
			return "", err
		}
		if how == doesNotExist {
			missing++
		}
	}
	of := ""
	if looked < open {
		of = fmt.Sprintf(" (%d of them examined)", looked)
	}
	return fmt.Sprintf("waits for %d children of %d%s: %d of these don't exist and %d have ended and told it", open, x.Spawned, of, missing, looked-missing), nil
}

const doesNotExist = "does not exist"

// gone reports whether nothing more can be expected of an execution, and why.
func (e *examiner) gone(ctx context.Context, id string) (bool, string, error) {
	m, err := e.newest(ctx, e.layout.RecordSubject(id))
	if err != nil {
		return false, "", err
	}
	how := doesNotExist
	if m != nil {
		r, err := message.DecodeRecord(m)
		switch {
		case errors.Is(err, engine.ErrNotFound):
		case err != nil || r.Status.Active():
			return false, "", nil
		default:
			how = fmt.Sprintf("is %s and has told its parents parent", r.Status)
		}
	}
	driven, err := e.hasMessage(ctx, id, everyMessage)
	return !driven, how, err
}

func everyMessage(*rpc.Stored) bool { return true }

// hasMessage reports whether a message with an id that counts is in the queue or the timers.
func (e *examiner) hasMessage(ctx context.Context, id string, counts func(*rpc.Stored) bool) (bool, error) {
	for _, place := range []namespace.Place{
		{Stream: e.layout.Ready(), Subject: e.layout.ReadyOf(id)}, {Stream: e.layout.Timers(), Subject: e.layout.LaterSubject(id)}, {Stream: e.layout.Timers(), Subject: e.layout.DueOf(id)},
	} {
		for from := uint64(1); ; {
			m, err := e.get(ctx, place.Stream, place.Subject, from)
			if err != nil || m != nil && counts(m) {
				return err == nil, err
			}
			if m == nil {
				break
			}
			from = m.Sequence + 1
		}
	}
	return false, nil
}

// maxAside is up to how many messages that are set aside are counted.
const maxAside = 1000

// judgeAside reports messages that were set aside, and the unreadable records among those that
// were examined.
func (e *examiner) judgeAside(ctx context.Context) {
	for i, m := range e.unread {
		if i == maxTold {
			e.find(Problem, "work.set_aside", "", counted(len(e.unread)-maxTold, "more record", "more records")+" can't be read",
				"so many must have one cause", "see whether somebody else writes to "+e.layout.Records())
			break
		}
		e.find(Problem, "work.set_aside", m.id, "its record can't be read: "+m.err.Error(),
			"no executor goes on with it", "nats kv get "+e.layout.Bucket()+" "+m.id+" shows it; nats kv del removes it, and then it may be enqueued again")
	}
	lain := 0
	for m, err := range e.ns.ScanLast(ctx, e.layout.AsideSubjects()) {
		if err != nil {
			e.unknown("work.set_aside", "", err)
			return
		}
		if message.IsGrave(m) {
			continue
		}
		e.countAside(m)
		if lain++; lain > maxAside {
			break
		}
		if a := e.ns.Aside(m); lain <= maxTold {
			e.find(Warning, "work.set_aside", a.Name, "set aside, from "+a.Place+": "+a.Reason,
				"nothing happens that it should have started", "durable putback "+a.Name+" once it can be read, or durable forget "+a.Name)
		}
	}
	if lain > maxTold {
		more := fmt.Sprint(lain - maxTold)
		if lain > maxAside {
			more = fmt.Sprint(maxAside-maxTold, " or more")
		}
		e.find(Warning, "work.set_aside", "", more+" more messages are set aside", "so many must have one cause", "durable list --set-aside")
	}
	if e.newer > 0 {
		e.find(Note, "work.newer", "", counted(e.newer, "record", "records")+" of a later version of durable",
			"executors of this version leave them to those of the later version", "finish the deploy")
	}
	e.fine("work.set_aside", "no message is set aside, and every examined record can be read")
}
