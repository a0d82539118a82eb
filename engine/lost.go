package engine

import (
	"context"
	"maps"
	"slices"
	"time"
)

const (
	// lookFresh is how old an answer, or a silence that was confirmed, may be before
	// executors are asked again: whoever looks often costs a roll call every two seconds.
	lookFresh = 2 * time.Second
	// firstLook is how long executors have to answer before those that are missing are
	// called by name, for lastLook: a look takes less than a second.
	firstLook = 300 * time.Millisecond
	lastLook  = 500 * time.Millisecond
	// heardKept is how long a Lookout remembers an executor that no longer answers.
	heardKept = time.Hour
)

// A Lost is an executor that runs executions by their records, and that does not answer
// roll calls.
type Lost struct {
	Executor string
	// Running counts those of the executions looked at that it runs, Queues the same by
	// queue.
	Running int
	Queues  map[string]int
	// SilentSince is when it last answered or, if nobody present knows that, when it was
	// first missed.
	SilentSince time.Time
	// TakenOverBy is when its leases have ended at the latest, so that other executors get
	// its executions. It is zero if no executor is present that could run one of them.
	TakenOverBy time.Time
}

// LostExecutors are lost executors by name. The nil map has none.
type LostExecutors map[string]*Lost

// Of returns the lost executor that runs x; nil if x does not run, or its executor is not
// lost.
func (l LostExecutors) Of(x Execution) *Lost {
	if !x.held() {
		return nil
	}
	return l[x.Executor]
}

// All returns them sorted by name.
func (l LostExecutors) All() []*Lost {
	var list []*Lost
	for _, name := range slices.Sorted(maps.Keys(l)) {
		list = append(list, l[name])
	}
	return list
}

// held reports whether an executor runs x, by its record.
func (x *Execution) held() bool { return x.Status == Running && !x.Sleeping && x.Executor != "" }

// A silence is what is known of an executor that does not answer.
type silence struct {
	heard  time.Time // when it last answered; zero if never
	missed time.Time // when it was first missed
}

// lostAmong returns the silent executors that run executions of the list. present are the
// executors that answer.
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
			// It was alive until it was missed at the latest, and renewed its leases until then.
			l.TakenOverBy = s.missed.Add(lease)
		}
	}
	return lost
}

// takesOver reports whether the executor may run x once its lease has ended.
func (p *Presence) takesOver(x *Execution) bool {
	return p.Serves(x.Queue) && (p.Cut && len(p.Tasks) == 0 || p.Binds(x.Task))
}

// A Lookout finds lost executors. It may be used by several goroutines. It remembers who
// answered when, so keep one for as long as somebody looks. The executors that are present
// remember who was missed: all lookouts give the same time for a takeover.
type Lookout struct {
	store Store
	turn  chan struct{} // holds a value while one looks

	// Guarded by turn.
	heard     map[string]time.Time // when an executor last answered
	missed    map[string]time.Time // when one that is silent was first missed
	confirmed map[string]time.Time // when one that is silent was last called in vain
	present   []Answer             // to the latest complete roll call
}

// NewLookout returns a Lookout that calls the roll in s.
func NewLookout(s Store) *Lookout {
	return &Lookout{store: s, turn: make(chan struct{}, 1), heard: map[string]time.Time{}, missed: map[string]time.Time{}, confirmed: map[string]time.Time{}}
}

// Find returns the lost executors among those that run executions of the list. An executor
// is lost if it misses two roll calls, which take 0.8 s together; if none is lost, it takes
// as long as the slowest answer. It returns an error if the store does, or if ctx ends.
func (l *Lookout) Find(ctx context.Context, list []Execution) (LostExecutors, error) {
	return l.find(ctx, list, false, nil)
}

// FindAmong is Find after a roll call of the caller, with all answers to it. It makes only
// the second call.
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
		if names = l.unknown(list); len(names) > 0 { // or the call ended before all had answered
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

// callAgain calls those that were missed by name, and has the executors that are present
// remember who stays silent.
func (l *Lookout) callAgain(ctx context.Context, names []string) error {
	answers, err := l.store.RollCall(ctx, RollCall{For: lastLook, Missing: names})
	if err != nil {
		return err
	}
	l.note(answers)
	if len(answers) > 0 { // a call that everybody misses says nothing about who is there
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
			if ahead, give := a.Offset(); ahead.Abs() > give { // by a clock that differs from this one
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

// unknown returns the executors that run executions of the list, and of which it is not
// known whether they answer.
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

// note takes the answers to a roll call.
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
