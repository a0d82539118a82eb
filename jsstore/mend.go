package jsstore

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
)

// What the doctor can mend, and how. Each repair is what an executor would do if the message
// that is missing came again, or what the server ought to have done. None rests on the report
// alone: it looks again before it acts, and writes where the record is at the revision that it
// has seen. So two doctors, or a doctor and an executor, do no harm to each other.

// A repair puts right what a finding tells of. It returns what it did, in the past; nothing
// means that there was nothing to do any more.
type repair struct {
	finding int // in Findings
	do      func(context.Context) (did string, err error)
}

// mends notes that the last finding can be mended by do.
func (e *examiner) mends(do func(context.Context) (string, error)) {
	e.repairs = append(e.repairs, repair{len(e.Findings) - 1, do})
}

// mendAll carries out all repairs, each whatever became of the others.
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

// command is a line that mends.
func (e *examiner) mendCommand() string { return e.command("doctor --mend") }

// again publishes the message that a recorded execution lacks. It is a hint, which the
// record decides about: two of them start one attempt.
func (s *Store) again(ctx context.Context, x *engine.Execution, at time.Time) error {
	m := s.layout.hint(x, later(at, time.Now()))
	if _, err := s.publish(ctx, m, nil); err != nil {
		return fmt.Errorf("timer for %s: %w", x.ID, err)
	}
	return nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// crashesAllowed is the crash cap of a repair: that of an executor judges the next loss.
const crashesAllowed = math.MaxInt32

// drive has an execution move on that nothing moves on, if that is so still.
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
		return "taken for lost with its executor, and published again", e.again(ctx, &next.Execution, due(fx))
	}
	// What has ended below tells it again, and the rest is spawned again.
	ended, list := 0, awaited(full.Execution)
	for _, id := range list {
		below, err := e.record(ctx, id)
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
		return "told of the end of what it waits for", nil
	}
	return "what it waits for was spawned or told again", e.Carry(ctx, engine.Effects(full.Execution)...)
}

// answers reports whether the executor that a running suspect names answers the roll, now or
// when it was called first: then it may run the attempt, which would be started beside it.
func (e *examiner) answers(ctx context.Context, s suspect) (bool, error) {
	if e.mayRun(s, e.Executors) {
		return true, nil
	}
	present, err := e.rollAgain(ctx)
	return e.mayRun(s, present), err
}

// rollAgain calls the roll once more, once for all repairs: an answer may have been late.
func (e *examiner) rollAgain(ctx context.Context) ([]engine.Answer, error) {
	if e.second == nil {
		e.second = sync.OnceValues(func() ([]engine.Answer, error) { return e.RollCall(ctx, engine.RollCall{For: e.Roll}) })
	}
	return e.second()
}

// mayRun reports whether any of those who answered may run the suspect. An executor that
// was started after the record was written is another one of the same name.
func (e *examiner) mayRun(s suspect, present []engine.Answer) bool {
	return slices.ContainsFunc(present, func(a engine.Answer) bool {
		ahead, give := a.Offset()
		return a.Executor == s.Executor && !a.StartedAt.Add(-ahead).After(s.written.Add(clockTolerance+give))
	})
}

// now is the time as records have it.
func (e *examiner) now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// due returns when an execution is to be delivered by what follows from its state.
func due(fx []engine.Effect) time.Time {
	for _, f := range fx {
		if q, ok := f.(engine.Requeue); ok {
			return q.At
		}
	}
	return time.Now()
}

// awaited returns the ids of what an execution waits for.
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

// clear removes a suspect that is to be forgotten rather than driven: it has outlived the
// retention, or its root is gone. Such a one has been brought back by a server.
func (e *examiner) clear(ctx context.Context, s suspect) (string, error) {
	root := engine.Record{Execution: s.Execution, Revision: s.Revision}
	if s.Parent != "" {
		m, err := e.newest(ctx, e.layout.recordSubject(s.Root()))
		if err != nil {
			return "", err
		}
		if m == nil || isGrave(m) {
			return e.forgetTree(ctx, s.Root(), 0, "removed: its root is gone")
		}
		if root, err = decodeRecord(m); err != nil {
			return "", err
		}
		if e.outlived(m, &root.Execution) {
			return e.forgetTree(ctx, s.Root(), root.Revision, "removed with its tree, whose retention is over")
		}
		return "", nil
	}
	if e.abandoned(s) {
		return e.forgetTree(ctx, s.ID, s.Revision, "removed: it has outlived the retention")
	}
	return "", nil
}

// abandoned reports whether a root that was never written again would have been removed
// by now, had it ended with that.
func (e *examiner) abandoned(s suspect) bool {
	root := s.Execution
	root.Status, root.FinishedAt = engine.Completed, s.written
	return root.Gone(e.Limits(), time.Now())
}

// forgetTree deletes a tree, unless somebody has written its root meanwhile.
func (e *examiner) forgetTree(ctx context.Context, root string, at engine.Revision, did string) (string, error) {
	err := e.Delete(ctx, root, at)
	if errors.Is(err, engine.ErrConflict) {
		return "", nil
	}
	return did, err
}

// takeOut sets a message aside that nobody can act upon and removes it from where it lies:
// in this order, so that a crash in between leaves it in both places.
func (s *Store) takeOut(ctx context.Context, stream string, m *stored, reason string) error {
	if err := s.keepAside(ctx, stream, m, reason); err != nil {
		return err
	}
	return s.deleteMessage(ctx, stream, m.Sequence)
}

// deleteMessage removes a message; that it is not there is no error.
func (s *Store) deleteMessage(ctx context.Context, stream string, sequence uint64) error {
	err := s.change(ctx, "STREAM.MSG.DELETE."+stream, map[string]any{"seq": sequence, "no_erase": true})
	if err != nil {
		if _, there := s.message(ctx, stream, "", map[string]any{"seq": sequence}); errors.Is(there, engine.ErrNotFound) {
			return nil
		}
	}
	return err
}

// deliverAgain sends a message anew that its consumer has passed over, and then removes it.
// What is to run goes through the timers, for in the ready stream there is room for one: what
// comes from there is claimed by the record, so that it may come twice.
func (s *Store) deliverAgain(ctx context.Context, src source, m *stored) error {
	next := &nats.Msg{Subject: m.Subject, Header: ownHeaders(m.Header), Data: m.Data}
	switch kind, rest := s.layout.split(m.Subject); {
	case kind == "due" && src.queue() == "":
		root, err := s.layout.rootToLookAt(m.Subject)
		if err != nil {
			return err
		}
		next = s.layout.look(root, time.Now())
	case kind == "ready", kind == "due":
		if next.Header.Get(codec.HeaderHint) == "" && !engine.IsDue(m.Data) && next.Header.Get(codec.HeaderCreated) == "" {
			next.Header.Set(codec.HeaderCreated, fmt.Sprint(m.Time.UnixMilli()))
		}
		next.Subject = s.layout.laterSubject(s.layout.idIn(m.Subject))
		schedule(next, time.Now(), s.layout.ns+".due."+rest)
	}
	if _, err := s.publish(ctx, next, nil); err != nil {
		return fmt.Errorf("send %s again: %w", m.Subject, err)
	}
	return s.deleteMessage(ctx, src.stream, m.Sequence)
}
