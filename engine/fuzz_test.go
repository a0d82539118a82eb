package engine

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/durable-execution/durable/codec"
)

// A life is an execution that random events happen to, with counts of its own to check the
// execution against.
type life struct {
	t *testing.T
	r *rand.Rand
	x Execution
	// now is the time of the latest event.
	now time.Time
	// counted has the children whose closure arrived while the execution waited for it.
	counted map[int]bool
	// told has the closures that executions below have sent, so that they can be repeated.
	told []Closure
	// ended counts attempts that have ended, crashes the attempts that a crash ended.
	ended, crashes int
	// parentTold counts the TellParent effects.
	parentTold int
	// took has the edges of the diagram that this life took.
	took map[string]bool
}

func newLife(t *testing.T, seed uint64) *life {
	l := &life{t: t, r: rand.New(rand.NewPCG(seed, 0)), now: t0, counted: map[int]bool{}, took: map[string]bool{}}
	l.x = Execution{
		ID: "te_root.1-2", Parent: "te_root.1", Index: 2, Task: "task", Queue: "queue",
		Policy: l.policy(), Input: l.payload(), Validated: l.coin(), IsFinalize: l.coin(),
		Status: Ready, CreatedAt: t0, StartAt: t0, ChangedAt: t0,
	}
	if l.r.IntN(4) == 0 {
		l.x.ID, l.x.Parent, l.x.Index, l.x.IsFinalize = "te_root", "", 0, false
	}
	l.x.Sleeping = l.r.IntN(5) == 0
	if err := l.x.Policy.Validate(); err != nil {
		t.Fatalf("policy %+v: %v", l.x.Policy, err)
	}
	return l
}

func (l *life) coin() bool { return l.r.IntN(2) == 0 }

func (l *life) ms(most int) time.Duration { return time.Duration(l.r.IntN(most)) * time.Millisecond }

func (l *life) word() string {
	return []string{"", "a", "grün", strings.Repeat("long ", 500), "\x00\xff"}[l.r.IntN(5)]
}

func (l *life) policy() Policy {
	p := Policy{
		Delay:          l.ms(1000),
		OnChildFailure: []ChildPolicy{"", FailFast, WaitAll}[l.r.IntN(3)],
		Retry: Retry{
			MaxRetries: l.r.IntN(4), BaseDelay: l.ms(1000), MaxDelay: l.ms(5000),
			Multiplier: []float64{0, 0.1, 1, 2.5, 1e300}[l.r.IntN(5)], Jitter: l.r.Float64(),
		},
	}
	if l.coin() {
		p.Timeout = time.Millisecond + l.ms(1000)
	}
	return p
}

func (l *life) payload() codec.Payload {
	switch l.r.IntN(3) {
	case 0:
		return codec.Payload{}
	case 1:
		return codec.Payload{Type: codec.MsgPack, Data: []byte{0xa1, byte('a' + l.r.IntN(26))}}
	}
	return codec.Payload{Type: codec.JSON, Data: fmt.Append(nil, l.r.IntN(100))}
}

func (l *life) spawn() Spawn {
	return Spawn{Task: "below", Queue: "queue", Policy: l.policy(), Input: l.payload(), Validated: l.coin()}
}

func (l *life) failure() Failure {
	kinds := []FailureKind{KindError, KindPanic, KindTimeout, KindCancelled, KindInvalidInput, KindOutput}
	return Failure{Kind: kinds[l.r.IntN(len(kinds))], Message: l.word(), Stack: l.word()}
}

// closure returns a closure of an execution below: a new one or a repeated one, and sometimes of
// an execution that does not exist.
func (l *life) closure(isFinalize bool) Closure {
	if len(l.told) > 0 && l.r.IntN(3) == 0 {
		return l.told[l.r.IntN(len(l.told))]
	}
	index := l.r.IntN(max(l.x.Spawned, 1)+2) - 1
	c := Closure{Parent: l.x.ID, ID: childID(l.x.ID, index), Task: "below", Index: index, Status: Completed}
	if isFinalize {
		c = Closure{Parent: l.x.ID, ID: finalizeID(l.x.ID), Task: "below", IsFinalize: true, Status: Completed}
	}
	if l.r.IntN(5) == 0 || isFinalize && l.coin() {
		finished := statuses[4:]
		c.Status = finished[l.r.IntN(len(finished))]
	}
	switch {
	case c.Status != Completed:
		c.Message = l.word()
	case isFinalize && l.coin():
		c.OutputOf = c.ID
	case isFinalize:
		c.Output = l.payload()
	}
	l.told = append(l.told, c)
	return c
}

// event returns a random event. Two times out of three it can happen in the current status.
func (l *life) event() Event {
	l.now = l.now.Add(l.ms(1000))
	for {
		ev := l.any()
		if l.r.IntN(3) == 0 || slices.Contains(ev.from(), l.x.Status) {
			return ev
		}
	}
}

func (l *life) any() Event {
	switch l.r.IntN(12) {
	case 0, 1:
		return Claimed{At: l.now, Executor: fmt.Sprint("executor-", l.r.IntN(3))}
	case 2, 3:
		if l.r.IntN(4) == 0 {
			e := Returned{At: l.now}
			for range 1 + l.r.IntN(4) {
				e.Steps = append(e.Steps, l.spawn())
			}
			return e
		}
		e := Returned{At: l.now, Output: l.payload(), Gathers: l.coin()}
		for range l.r.IntN(12) {
			e.Children = append(e.Children, l.spawn())
		}
		if l.coin() {
			s := l.spawn()
			e.Finalize, e.Gathers = &s, false
		}
		return e
	case 4:
		return Erred{At: l.now, Failure: l.failure(), Final: l.r.IntN(8) == 0, RetryDelay: l.ms(5000)}
	case 5:
		return LeaseLost{At: l.now, CrashCap: l.r.IntN(5)}
	case 6:
		if l.coin() {
			return Polled{At: l.now, After: l.ms(5000)}
		}
		if l.now.UnixMilli()%3 == 0 {
			return HandedBack{At: l.now, Until: l.now.Add(time.Second)}
		}
		return HandedBack{At: l.now}
	case 7, 8, 9:
		e := ChildrenEnded{At: l.now}
		for range l.r.IntN(4) {
			e.Children = append(e.Children, l.closure(l.r.IntN(8) == 0))
		}
		return e
	case 10:
		return FinalizeEnded{At: l.now, Closure: l.closure(true)}
	}
	if l.r.IntN(4) == 0 {
		e := Woken{At: l.now, Output: l.payload()}
		if l.coin() {
			f := l.failure()
			e = Woken{At: l.now, Failure: &f}
		}
		return e
	}
	if l.x.Status == Cancelled && l.coin() {
		return AttemptEnded{At: l.now, Executor: fmt.Sprint("late-", l.r.IntN(3)), StartedAt: l.now.Add(-l.ms(3000))}
	}
	if l.r.IntN(4) > 0 {
		return HandedBack{At: l.now} // cancel rarely, so that lives last longer
	}
	return CancelRequested{At: l.now, Reason: l.word(), ParentFinished: l.coin()}
}

// step applies an event and checks the result.
func (l *life) step(ev Event) {
	l.t.Helper()
	x := spare(l.x)
	before := deepCopy(x)
	next, fx, err := Apply(x, ev)
	if !untouched(x, before) {
		l.fatalf("%s changed its argument from %+v to %+v", eventName(ev), before, x)
	}
	if err != nil {
		var refused *TransitionError
		if !errors.As(err, &refused) || fx != nil || !reflect.DeepEqual(next, x) {
			l.fatalf("%s gave %v with %s and %+v", eventName(ev), err, kinds(fx), next)
		}
		if news := l.news(ev); news && slices.Contains(ev.from(), x.Status) {
			l.fatalf("%s was refused while %s: %+v", eventName(ev), x.Status, ev)
		}
		return
	}
	if x.Status.Finished() {
		l.remembered(x, next, fx, ev)
		return
	}
	l.count(ev, x)
	l.checkMove(x, next, ev)
	l.x = next
	l.checkState()
	l.checkEffects(x, fx)
	l.checkRecord()
}

// remembered checks an event of a finished execution: the only change may be that the history
// gains an attempt that had begun before the end.
func (l *life) remembered(from, to Execution, fx []Effect, ev Event) {
	l.t.Helper()
	if _, told := ev.(AttemptEnded); !told || from.Status != Cancelled || fx != nil {
		l.fatalf("%s happened to a finished execution, with %s", eventName(ev), kinds(fx))
	}
	l.took[fmt.Sprintf("%s --> %s : %s", from.Status, to.Status, eventName(ev))] = true
	n := len(to.History) - 1
	kept := from.History[len(from.History)-min(n, len(from.History)):]
	if n < 0 || !reflect.DeepEqual(orNil(to.History[:n:n]), orNil(kept)) || to.History[n].StartedAt.After(to.FinishedAt) {
		l.fatalf("history became %+v", to.History)
	}
	l.ended++
	l.x = to
	l.checkState()
	l.checkRecord()
	if to.History = from.History; !reflect.DeepEqual(to, from) {
		l.fatalf("%s changed more than the history: %+v", eventName(ev), to)
	}
}

// news reports whether ev must change the execution, if it can happen in the status.
func (l *life) news(ev Event) bool {
	switch e := ev.(type) {
	case FinalizeEnded:
		return e.Closure.IsFinalize
	case Woken:
		return l.x.Sleeping
	case Returned, Polled, LeaseLost, HandedBack:
		return !l.x.Sleeping
	case AttemptEnded:
		return !l.x.Sleeping && !slices.ContainsFunc(l.x.History, func(a Attempt) bool { return a.Executor == e.Executor })
	}
	e, ok := ev.(ChildrenEnded)
	return !ok || slices.ContainsFunc(e.Children, func(c Closure) bool {
		return !c.IsFinalize && c.Index >= 0 && c.Index < l.x.Spawned && !l.counted[c.Index]
	})
}

func (l *life) count(ev Event, x Execution) {
	switch e := ev.(type) {
	case ChildrenEnded:
		for _, c := range e.Children {
			if !c.IsFinalize && c.Index >= 0 && c.Index < x.Spawned {
				l.counted[c.Index] = true
			}
		}
	case LeaseLost:
		l.crashes++
	case Polled:
		l.crashes = 0
		return
	}
	back, _ := ev.(HandedBack)
	if x.Status == Running && back.Until.IsZero() { // otherwise no code has run
		l.ended++
	}
}

// awaitsLast reports whether all children but the last have ended.
func (x Execution) awaitsLast() bool { return x.Ended.Len() == x.Spawned-1 }

func (l *life) checkMove(from, to Execution, ev Event) {
	l.t.Helper()
	edge := fmt.Sprintf("%s --> %s", from.Status, to.Status)
	if !slices.Contains(lifecycle()[edge], eventName(ev)) {
		l.fatalf("%s moved it %s, which is not in the diagram", eventName(ev), edge)
	}
	l.took[edge+" : "+eventName(ev)] = true
	if polled := eventName(ev) == "Polled"; polled && (to.Attempt != 0 || to.Polls != from.Polls+1) || !polled && to.Polls != from.Polls {
		l.fatalf("%s made attempt %d, poll %d of %d", eventName(ev), to.Attempt, to.Polls, from.Polls)
	}
	if to.Attempt != from.Attempt && eventName(ev) != "Polled" && (to.Attempt != from.Attempt+1 || eventName(ev) != "Erred") {
		l.fatalf("%s made attempt %d of %d", eventName(ev), to.Attempt, from.Attempt)
	}
	stepped := from.Sequence > 0 && to.Spawned == from.Spawned+1
	if stepped && (!from.awaitsLast() || to.Ended.Len() != from.Spawned || len(to.Steps) != len(from.Steps)-1) {
		l.fatalf("step %d of %d followed on %d ended, %d to come", to.Spawned, to.Sequence, to.Ended.Len(), len(to.Steps))
	}
	if stepped {
		from.Spawned, from.Spawns, from.ChangedAt = to.Spawned, to.Spawns, to.ChangedAt
	}
	if to.Status != from.Status && !to.ChangedAt.Equal(l.now) || to.Status == from.Status && !to.ChangedAt.Equal(from.ChangedAt) {
		l.fatalf("changed at %s by an event at %s", to.ChangedAt, l.now)
	}
	if from.Spawned > 0 && (to.Spawned != from.Spawned || !reflect.DeepEqual(to.Spawns, from.Spawns)) {
		l.fatalf("%d children became %d", from.Spawned, to.Spawned)
	}
	if len(from.ChildFailures) > 0 {
		l.fatalf("%s happened after children had failed", eventName(ev))
	}
	// The fields that are set at creation never change.
	to.Status, to.Closed, to.Attempt, to.Polls, to.Crashes, to.Executor = from.Status, from.Closed, from.Attempt, from.Polls, from.Crashes, from.Executor
	to.StartAt, to.StartedAt, to.ExpiresAt, to.ChangedAt, to.FinishedAt = from.StartAt, from.StartedAt, from.ExpiresAt, from.ChangedAt, from.FinishedAt
	to.Output, to.Gathers, to.OutputOf, to.Failure, to.History = from.Output, from.Gathers, from.OutputOf, from.Failure, from.History
	to.Sequence, to.Steps, to.SpawnsAt = from.Sequence, from.Steps, from.SpawnsAt
	to.Spawned, to.Spawns, to.Ended, to.ChildFailures, to.Finalize, to.ParentFinished = from.Spawned, from.Spawns, from.Ended, from.ChildFailures, from.Finalize, from.ParentFinished
	if !reflect.DeepEqual(to, from) {
		l.fatalf("%s changed what it was born with", eventName(ev))
	}
}

func (l *life) checkState() {
	l.t.Helper()
	x := l.x
	finished, s := x.Status.Finished(), x.Status
	waiting := s == WaitingForChildren || s == WaitingForFinalize
	hasOutput := !x.Output.IsZero() || x.Gathers || x.OutputOf != ""
	for rule, holds := range map[string]bool{
		"FinishedAt is set if and only if it is finished":             x.FinishedAt.IsZero() != finished,
		"its times are in order":                                      !finished || !x.FinishedAt.Before(x.StartedAt) && !x.FinishedAt.Before(x.CreatedAt),
		"it does not start before it is made":                         x.StartedAt.IsZero() || !x.StartedAt.Before(x.CreatedAt),
		"Attempt is at most MaxRetries":                               x.Attempt >= 0 && x.Attempt <= x.Policy.Retry.MaxRetries,
		"Crashes are counted":                                         x.Crashes == l.crashes,
		"ExpiresAt is set if and only if it runs with a timeout":      x.ExpiresAt.IsZero() != (s == Running && x.Policy.Timeout > 0),
		"a ready one has no executor":                                 s != Ready || x.Executor == "",
		"all others have one, but for what was cancelled while ready": s == Ready || x.Executor != "" || s == Cancelled || x.Sleeping,
		"a finished one that did not complete says why":               !finished || (x.Failure != nil) == (s != Completed),
		"what waits has not failed":                                   !waiting || x.Failure == nil,
		"after a retry, a crash or both it says why":                  s != Ready && s != Running || (x.Failure != nil) == (x.Attempt+x.Crashes > 0),
		"only a completed or waiting one has an output":               !hasOutput || s == Completed || waiting,
		"what waits for children has some to wait for":                s != WaitingForChildren || x.Ended.Len() < x.Spawned,
		"what waits for its finalize has one and no children left":    s != WaitingForFinalize || x.Finalize != nil && x.Ended.Len() == x.Spawned,
		"a completed one has no children left":                        s != Completed || x.Ended.Len() == x.Spawned,
		"children fail under fail-fast only, and steps":               s != ChildrenFailed || (x.Policy.OnChildFailure != WaitAll || x.Sequence > 0) && len(x.ChildFailures) > 0,
		"child failures are those of a parent that they failed":       len(x.ChildFailures) == 0 || s == ChildrenFailed,
		"history is bounded":                                          len(x.History) == min(l.ended, maxHistory),
		"what is closed is finished":                                  !x.Closed || finished,
	} {
		if !holds {
			l.fatalf("%s: does not hold", rule)
		}
	}
	for i := range 8 * len(x.Ended) {
		if x.Ended.Has(i) != l.counted[i] || x.Ended.Has(i) && i >= x.Spawned {
			l.fatalf("child %d ended %v, want %v of %d", i, x.Ended.Has(i), l.counted[i], x.Spawned)
		}
	}
	if x.Ended.Len() != len(l.counted) {
		l.fatalf("%d children ended, want %d", x.Ended.Len(), len(l.counted))
	}
	for i, f := range x.ChildFailures {
		if !l.counted[f.Index] || f.Status == Completed || slices.ContainsFunc(x.ChildFailures[:i], func(g ChildFailure) bool { return g.Index == f.Index }) {
			l.fatalf("child failure %+v", f)
		}
	}
	for i, a := range x.History {
		ascends := i == 0 || a.Number >= x.History[i-1].Number
		if a.StartedAt.After(a.EndedAt) || a.Executor == "" || x.Polls == 0 && (!ascends || a.Number > x.Attempt) {
			l.fatalf("history %+v", x.History)
		}
	}
}

func (l *life) checkEffects(from Execution, fx []Effect) {
	l.t.Helper()
	x := l.x
	derived := Effects(x)
	if from.Status == WaitingForChildren && x.Status == WaitingForChildren && from.Spawned == x.Spawned {
		if fx != nil {
			l.fatalf("%s followed from some children's end", kinds(fx))
		}
	} else if !reflect.DeepEqual(once(derived), once(fx)) {
		l.fatalf("derived %+v, want %+v", derived, fx)
	}
	var want []string
	switch x.Status {
	case Ready:
		want = []string{"Requeue"}
	case Running:
		if x.Sleeping && x.Policy.Timeout > 0 {
			want = []string{"Requeue"}
		}
	case WaitingForChildren:
		want = []string{"SpawnChildren"}
	case WaitingForFinalize:
		want = []string{"SpawnFinalize"}
	}
	if x.Status.Finished() {
		want = l.wantEnd(from)
	}
	if got := strings.Fields(kinds(derived)); !slices.Equal(got, want) {
		l.fatalf("effects %v, want %v", got, want)
	}
}

// wantEnd returns the effects that must follow when the execution finishes; from is its value
// before that.
func (l *life) wantEnd(from Execution) []string {
	l.t.Helper()
	x := l.x
	var want []string
	if from.Status == Ready || x.Sleeping && x.Status != TimedOut {
		want = append(want, "Withdraw")
	}
	if x.Parent != "" && !x.ParentFinished {
		l.parentTold++
		want = append(want, "TellParent")
	}
	var below []string
	for i := range x.Spawned {
		if !l.counted[i] {
			below = append(below, childID(x.ID, i))
		}
	}
	if from.Status == WaitingForFinalize && x.Status == Cancelled {
		below = append(below, finalizeID(x.ID))
	}
	if x.Status == Completed && below != nil {
		l.fatalf("completed above %v", below)
	}
	if !slices.Equal(x.Below(), below) {
		l.fatalf("below %v, want %v", x.Below(), below)
	}
	if below != nil {
		want = append(want, "CancelBelow")
	}
	if closed := !slices.Contains(want, "TellParent") && below == nil; x.Closed != closed {
		l.fatalf("closed %v, want %v", x.Closed, closed)
	}
	if x.Parent == "" || x.ParentFinished {
		want = append(want, "Expire")
	}
	return append(want, "Announce")
}

func (l *life) checkRecord() {
	l.t.Helper()
	data, err := EncodeRecord(l.x)
	if err != nil {
		l.fatalf("encode: %v", err)
	}
	got, err := DecodeRecord(data)
	if err != nil {
		l.fatalf("decode: %v", err)
	}
	if !reflect.DeepEqual(withoutEmpty(got), withoutEmpty(l.x)) {
		l.fatalf("from its record: %+v", got)
	}
}

func (l *life) fatalf(format string, args ...any) {
	l.t.Helper()
	l.t.Fatalf("%s\nexecution: %+v", fmt.Sprintf(format, args...), l.x)
}

// run applies up to a hundred events, and at most 20 after the end.
func (l *life) run() {
	l.t.Helper()
	after := 0
	for i := 0; i < 100 && after < 20; i++ {
		l.step(l.event())
		if l.x.Status.Finished() {
			after++
		}
	}
	want := 0
	if l.x.Status.Finished() && l.x.Parent != "" && !l.x.ParentFinished {
		want = 1
	}
	if l.parentTold != want {
		l.fatalf("parent told %d times, want %d", l.parentTold, want)
	}
}

// seeds is the number of lives that together take every edge of the diagram.
const seeds = 200

func FuzzLife(f *testing.F) {
	for seed := range uint64(10) {
		f.Add(seeds + seed) // TestRandomLivesTakeEveryEdge runs the lower seeds
	}
	f.Fuzz(func(t *testing.T, seed uint64) { newLife(t, seed).run() })
}

func TestRandomLivesTakeEveryEdge(t *testing.T) {
	took := map[string]bool{}
	for seed := range uint64(seeds) {
		l := newLife(t, seed)
		l.run()
		maps.Copy(took, l.took)
	}
	for edge, names := range lifecycle() {
		for _, name := range names {
			if !took[edge+" : "+name] {
				t.Errorf("no life of %d went %s : %s", seeds, edge, name)
			}
		}
	}
}

func FuzzDecodeRecord(f *testing.F) {
	for _, x := range lives() {
		data, err := EncodeRecord(x)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	data, err := EncodeRecord(populated())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		bothReaders(t, data, func(x *Execution, f *fields) { x.record(f) })
		x, err := DecodeRecord(data)
		if err != nil {
			return
		}
		again, err := EncodeRecord(x)
		if err != nil {
			t.Fatalf("encode %+v: %v", x, err)
		}
		y, err := DecodeRecord(again)
		if err != nil {
			t.Fatalf("decode %x of %+v: %v", again, x, err)
		}
		twice, err := EncodeRecord(y)
		if err != nil || !bytes.Equal(twice, again) {
			t.Fatalf("%x became %x, %v", again, twice, err)
		}
		if hasNaN := strings.Contains(fmt.Sprintf("%v %v %v", x.Policy, x.Spawns, x.Finalize), "NaN"); hasNaN {
			return // NaN does not equal itself
		}
		if x, y = withoutEmpty(x), withoutEmpty(y); !reflect.DeepEqual(y, x) {
			t.Errorf("got %+v, want %+v", y, x)
		}
	})
}

// withoutEmpty replaces empty slices by nil.
func withoutEmpty(x Execution) Execution {
	x.Input.Data, x.Output.Data = orNil(x.Input.Data), orNil(x.Output.Data)
	x.Spawns, x.Steps, x.Ended, x.ChildFailures, x.History = orNil(x.Spawns), orNil(x.Steps), orNil(x.Ended), orNil(x.ChildFailures), orNil(x.History)
	return x
}

func orNil[S ~[]E, E any](s S) S {
	if len(s) == 0 {
		return nil
	}
	return s
}
