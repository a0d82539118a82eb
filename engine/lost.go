package engine

import (
	"context"
	"maps"
	"slices"
	"time"
)

const (
	// lookFresh is how old an answer, or a confirmed silence, may be before a Lookout calls the
	// roll once more. So frequent looks cost one roll call every two seconds.
	lookFresh = 2 * time.Second
	// firstLook is how long executors have to answer the first roll call. The second call names
	// the missing executors and lasts for lastLook. Together they take less than a second.
	firstLook = 300 * time.Millisecond
	lastLook  = 500 * time.Millisecond
	// heardKept is how long a Lookout remembers an executor that no longer answers.
	heardKept = time.Hour
)

// A Lost is a lost executor: records say that it runs executions, but it does not answer roll
// calls.
type Lost struct {
	Executor string
	// Running is how many of the examined executions it runs; Queues has the number for each
	// queue.
	Running int
	Queues  map[string]int
	// SilentSince is when it last answered or, if no executor knows that, when a caller first
	// missed it.
	SilentSince time.Time
	// TakenOverBy is the latest time at which its leases end and other executors get its
	// executions. It is zero if no executor that answers could run one of them.
	TakenOverBy time.Time
}

// LostExecutors maps names to lost executors.
type LostExecutors map[string]*Lost

// Of returns the lost executor that runs x. It returns nil if x is not running or its executor
// is not lost.
func (l LostExecutors) Of(x Execution) *Lost {
	if !x.held() {
		return nil
	}
	return l[x.Executor]
}

// All returns the lost executors, sorted by name.
func (l LostExecutors) All() []*Lost {
	var list []*Lost
	for _, name := range slices.Sorted(maps.Keys(l)) {
		list = append(list, l[name])
	}
	return list
}

// held reports whether the record says that an executor runs x.
func (x *Execution) held() bool { return x.Status == Running && !x.Sleeping && x.Executor != "" }

// A silence has the times of an executor that does not answer.
type silence struct {
	heard  time.Time // when it last answered; zero if never
	missed time.Time // when it was first missed
}

// lostAmong returns those silent executors that run executions of the list; present are the
// answers of the others.
func lostAmong(list []Execution, silent map[string]silence, present []Answer, lease time.Duration) LostExecutors {
	lost := LostExecutors{}
	for i := range list {
		x := &list[i]
		s, ok := silent[x.Executor]
		if !ok || !x.held() {
			continue
		}
		l := lost[x.Executor]
		if l == nil {
			l = &Lost{Executor: x.Executor, Queues: map[string]int{}, SilentSince: s.heard}
			if s.heard.IsZero() {
				l.SilentSince = s.missed
			}
			lost[x.Executor] = l
		}
		l.Running++
		l.Queues[x.Queue]++
		if l.TakenOverBy.IsZero() && slices.ContainsFunc(present, func(a Answer) bool { return a.takesOver(x) }) {
			// It may have lived, and renewed its leases, until a caller first missed it.
			l.TakenOverBy = s.missed.Add(lease)
		}
	}
	return lost
}

// takesOver reports whether the executor may run x once the lease on x has ended.
func (p *Presence) takesOver(x *Execution) bool {
	return p.Serves(x.Queue) && (p.Cut && len(p.Tasks) == 0 || p.Binds(x.Task))
}

// A Lookout finds lost executors. It is safe for concurrent use. It remembers when each executor
// answered, so keep one Lookout for as long as you look. The executors that answer remember which
// ones were missed, so that all Lookouts state the same time for a takeover.
type Lookout struct {
	store Store
	turn  chan struct{} // a mutex that respects contexts: it holds a value while a call is under way

	// Guarded by turn.
	heard     map[string]time.Time // when an executor last answered
	missed    map[string]time.Time // when a silent executor was first missed
	confirmed map[string]time.Time // when a silent executor last missed a call
	present   []Answer             // the answers to the latest complete roll call
}

// NewLookout returns a Lookout that calls the roll in s.
func NewLookout(s Store) *Lookout {
	return &Lookout{store: s, turn: make(chan struct{}, 1), heard: map[string]time.Time{}, missed: map[string]time.Time{}, confirmed: map[string]time.Time{}}
}

// Find returns the lost executors among those that run executions of the list. An executor
// is lost if it misses two roll calls, which take 0.8 s together. If no executor is lost, Find
// takes as long as the slowest answer. The error is that of the store, or ctx's cause.
func (l *Lookout) Find(ctx context.Context, list []Execution) (LostExecutors, error) {
	return l.find(ctx, list, false, nil)
}

// FindAmong is Find for a caller that has made the first roll call; answers are all answers to
// it. FindAmong makes only the second call.
func (l *Lookout) FindAmong(ctx context.Context, list []Execution, answers []Answer) (LostExecutors, error) {
	return l.find(ctx, list, true, answers)
}

func (l *Lookout) find(ctx context.Context, list []Execution, called bool, answers []Answer) (LostExecutors, error) {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if called {
		l.note(answers)
		l.present = answers
	}
	names := l.unknown(list)
	if len(names) > 0 && !called {
		answers, err := l.store.RollCall(ctx, RollCall{For: firstLook, Await: names})
		if err != nil {
			return nil, err
		}
		l.note(answers)
		if names = l.unknown(list); len(names) > 0 { // otherwise the call ended early, and other answers may be missing
			l.present = answers
		}
	}
	if len(names) > 0 {
		if err := l.callAgain(ctx, names); err != nil {
			return nil, err
		}
	}
	return l.lost(list), nil
}

// callAgain calls the missing executors by name, and asks the others to remember which ones stay
// silent.
func (l *Lookout) callAgain(ctx context.Context, names []string) error {
	answers, err := l.store.RollCall(ctx, RollCall{For: lastLook, Missing: names})
	if err != nil {
		return err
	}
	l.note(answers)
	if len(answers) > 0 { // without any answer, the earlier ones are still the best knowledge
		l.present = answers
	}
	now := time.Now()
	var silent []string
	for _, name := range names {
		if now.Sub(l.heard[name]) > lookFresh {
			silent = append(silent, name)
			l.confirmed[name] = now
			if l.missed[name].IsZero() {
				l.missed[name] = now
			}
		}
	}
	for _, a := range answers {
		for name, at := range a.Missed {
			if ahead, give := a.Offset(); ahead.Abs() > give { // the clock of the executor differs from ours
				at = at.Add(-ahead)
			}
			if known := l.missed[name]; !known.IsZero() && at.Before(known) && at.After(l.heard[name]) {
				l.missed[name] = at
			}
		}
	}
	if len(silent) == 0 || len(answers) == 0 {
		return nil
	}
	_, err = l.store.RollCall(ctx, RollCall{For: NoAnswers, Missed: silent})
	return err
}

// unknown returns the executors that run executions of the list and that have neither answered
// nor missed a call lately.
func (l *Lookout) unknown(list []Execution) []string {
	now := time.Now()
	names := map[string]bool{}
	for i := range list {
		x := &list[i]
		if x.held() && now.Sub(l.heard[x.Executor]) > lookFresh && now.Sub(l.confirmed[x.Executor]) > lookFresh {
			names[x.Executor] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// note remembers the answers to a roll call.
func (l *Lookout) note(answers []Answer) {
	for _, a := range answers {
		if a.CalledAt.After(l.heard[a.Executor]) {
			l.heard[a.Executor] = a.CalledAt
		}
		delete(l.missed, a.Executor)
		delete(l.confirmed, a.Executor)
	}
	now := time.Now()
	old := func(_ string, at time.Time) bool { return now.Sub(at) > heardKept }
	maps.DeleteFunc(l.heard, old)
	maps.DeleteFunc(l.confirmed, old)
	maps.DeleteFunc(l.missed, func(name string, _ time.Time) bool { _, ok := l.confirmed[name]; return !ok })
}

func (l *Lookout) lost(list []Execution) LostExecutors {
	silent := map[string]silence{}
	for name, missed := range l.missed {
		if time.Since(l.heard[name]) > lookFresh {
			silent[name] = silence{heard: l.heard[name], missed: missed}
		}
	}
	return lostAmong(list, silent, l.present, l.store.Limits().Lease)
}
