package doctor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/layout"
	"github.com/durable-execution/durable/jsstore/internal/message"
	"github.com/durable-execution/durable/jsstore/internal/rpc"
)

// What the doctor can mend, and how. Each repair does what an executor would do if the missing
// message were redelivered, or what the server should have done. No repair relies on the report
// alone: it checks again before it acts, and writes records only at the revision that it has
// seen. So two doctors, or a doctor and an executor, do not harm each other.

// A repair fixes what a finding reports. It returns what it did, as a past participle, or an
// empty string if nothing was left to do.
type repair struct {
	finding int // index in Findings
	do      func(context.Context) (did string, err error)
}

// mends registers do as the repair of the last finding.
func (e *examiner) mends(do func(context.Context) (string, error)) {
	e.repairs = append(e.repairs, repair{len(e.Findings) - 1, do})
}

// mendAll carries out all repairs. A failed repair does not stop the others.
func (e *examiner) mendAll(ctx context.Context) {
	for _, r := range e.repairs {
		f := &e.Findings[r.finding]
		did, err := r.do(ctx)
		switch {
		case err != nil:
			f.Why, f.Fix = "it could not be mended: "+err.Error(), "run doctor --mend again; the executors' credentials, or the operator's, have the right"
			continue
		case did == "":
			did = "nothing was left to mend"
		}
		f.Mended = did
	}
}

// mendCommand returns the command line that mends.
func (e *examiner) mendCommand() string { return e.ns.Command("doctor --mend") }

// again publishes the message that a recorded execution lacks. It is a hint, and the record
// decides what happens: two hints start one attempt.
func (e *examiner) again(ctx context.Context, x *engine.Execution, at time.Time) error {
	m := message.HintMessage(e.layout, x, message.Later(at, time.Now()))
	if _, err := e.rpc.Publish(ctx, m, nil); err != nil {
		return fmt.Errorf("timer for %s: %w", x.ID, err)
	}
	return nil
}

// crashesAllowed is the crash cap that a repair applies. The executor's own cap judges the next
// crash.
const crashesAllowed = math.MaxInt32

// drive moves a stuck execution on, if it is still stuck.
func (e *examiner) drive(ctx context.Context, s suspect) (string, error) {
	if why, err := e.verdict(ctx, s); err != nil || why == "" {
		return "", err
	}
	if did, err := e.clear(ctx, s); did != "" || err != nil {
		return did, err
	}
	if s.Status == engine.Running && !s.Sleeping {
		if there, err := e.answers(ctx, s); err != nil || there {
			return "", err
		}
	}
	r := s.Record
	full, err := e.Get(ctx, s.ID) // a suspect lacks its payloads
	switch {
	case errors.Is(err, engine.ErrNotFound):
		return "", nil
	case err != nil:
		return "", err
	case full.Revision != r.Revision:
		return "", nil
	}
	switch {
	case full.Status == engine.Ready, full.Status == engine.Running && full.Sleeping:
		return "published again", e.again(ctx, &full.Execution, due(engine.Effects(full.Execution)))
	case full.Status == engine.Running:
		next, fx, err := engine.Move(ctx, e.Store, full, engine.LeaseLost{At: e.now(), CrashCap: crashesAllowed})
		if errors.Is(err, engine.ErrConflict) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		return "counted as a crash of its executor, and published again", e.again(ctx, &next.Execution, due(fx))
	}
	// Executions below that have finished report their end once more; the others are spawned
	// once more.
	ended, list := 0, awaited(full.Execution)
	for _, id := range list {
		below, err := e.ns.Record(ctx, id)
		if errors.Is(err, engine.ErrNotFound) {
			continue
		}
		if err == nil && below.Status.Finished() {
			ended++
			err = e.Carry(ctx, engine.Effects(below.Execution)...)
		}
		if err != nil {
			return "", err
		}
	}
	if ended == len(list) {
		return "told again that the executions it waits for have ended", nil
	}
	return "the executions it waits for were spawned or reported again", e.Carry(ctx, engine.Effects(full.Execution)...)
}

// answers reports whether the executor of a running suspect answers the roll call, the first
// one or a new one. Then it may be running the attempt, and the doctor must not start a second
// one.
func (e *examiner) answers(ctx context.Context, s suspect) (bool, error) {
	if e.mayRun(s, e.Executors) {
		return true, nil
	}
	present, err := e.rollAgain(ctx)
	return e.mayRun(s, present), err
}

// rollAgain calls the roll a second time, because an answer may have been late. All repairs
// share that second call.
func (e *examiner) rollAgain(ctx context.Context) ([]engine.Answer, error) {
	if e.second == nil {
		e.second = sync.OnceValues(func() ([]engine.Answer, error) { return e.RollCall(ctx, engine.RollCall{For: e.Roll}) })
	}
	return e.second()
}

// mayRun reports whether one of the executors that answered may be running the suspect. An
// executor that started after the record was written is a different one with the same name.
func (e *examiner) mayRun(s suspect, present []engine.Answer) bool {
	return slices.ContainsFunc(present, func(a engine.Answer) bool {
		ahead, give := a.Offset()
		return a.Executor == s.Executor && !a.StartedAt.Add(-ahead).After(s.written.Add(clockTolerance+give))
	})
}

// now returns the current time with the precision of records.
func (e *examiner) now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// due returns when an execution must be delivered, according to the effects of its state.
func due(fx []engine.Effect) time.Time {
	for _, f := range fx {
		if q, ok := f.(engine.Requeue); ok {
			return q.At
		}
	}
	return time.Now()
}

// awaited returns the ids of the executions that an execution waits for.
func awaited(x engine.Execution) (list []string) {
	if x.Status == engine.WaitingForFinalize {
		return []string{x.FinalizeExecution().ID}
	}
	for i := range x.Spawned {
		if !x.Ended.Has(i) {
			list = append(list, x.Child(i, engine.Spawn{}).ID)
		}
	}
	return list
}

// clear removes a suspect that must be deleted rather than moved on: its retention is over, or
// its root is gone. A server has brought such a record back.
func (e *examiner) clear(ctx context.Context, s suspect) (string, error) {
	root := engine.Record{Execution: s.Execution, Revision: s.Revision}
	if s.Parent != "" {
		m, err := e.newest(ctx, e.layout.RecordSubject(s.Root()))
		if err != nil {
			return "", err
		}
		if m == nil || message.IsGrave(m) {
			return e.forgetTree(ctx, s.Root(), 0, "removed: its root is gone")
		}
		if root, err = message.DecodeRecord(m); err != nil {
			return "", err
		}
		if e.ns.Outlived(m, &root.Execution) {
			return e.forgetTree(ctx, s.Root(), root.Revision, "removed with its tree, whose retention is over")
		}
		return "", nil
	}
	if e.abandoned(s) {
		return e.forgetTree(ctx, s.ID, s.Revision, "removed: it has outlived the retention")
	}
	return "", nil
}

// abandoned reports whether a root would have been removed by now if its last write had
// finished it.
func (e *examiner) abandoned(s suspect) bool {
	root := s.Execution
	root.Status, root.FinishedAt = engine.Completed, s.written
	return root.Gone(e.Limits(), time.Now())
}

// forgetTree deletes a tree, unless its root has been written meanwhile.
func (e *examiner) forgetTree(ctx context.Context, root string, at engine.Revision, did string) (string, error) {
	err := e.Delete(ctx, root, at)
	if errors.Is(err, engine.ErrConflict) {
		return "", nil
	}
	return did, err
}

// deliverAgain publishes a copy of a message that its consumer has skipped, and then removes
// the message. An execution goes through the timers, because the ready stream accepts only one
// message for each id. It may come twice from the timers: the executor claims it through the
// record.
func (e *examiner) deliverAgain(ctx context.Context, src layout.Source, m *rpc.Stored) error {
	next := &nats.Msg{Subject: m.Subject, Header: message.OwnHeaders(m.Header), Data: m.Data}
	switch kind, rest := e.layout.Split(m.Subject); {
	case kind == "due" && src.Queue() == "":
		root, err := e.layout.RootToLookAt(m.Subject)
		if err != nil {
			return err
		}
		next = message.LookMessage(e.layout, root, time.Now())
	case kind == "ready", kind == "due":
		if next.Header.Get(codec.HeaderHint) == "" && !engine.IsDue(m.Data) && next.Header.Get(codec.HeaderCreated) == "" {
			next.Header.Set(codec.HeaderCreated, fmt.Sprint(m.Time.UnixMilli()))
		}
		next.Subject = e.layout.LaterSubject(e.layout.IDIn(m.Subject))
		message.Schedule(next, time.Now(), e.layout.NS+".due."+rest)
	}
	if _, err := e.rpc.Publish(ctx, next, nil); err != nil {
		return fmt.Errorf("send %s again: %w", m.Subject, err)
	}
	return e.rpc.DeleteMessage(ctx, src.Stream, m.Sequence)
}
