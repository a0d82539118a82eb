package engine

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/durable-execution/durable/codec"
)

// Executions in every status, and events of every kind, for the tests of Apply.

var t0 = time.UnixMilli(1_700_000_000_000).UTC()

// at returns the time n seconds after t0.
func at(n int) time.Time { return t0.Add(time.Duration(n) * time.Second) }

func text(s string) codec.Payload {
	return codec.Payload{Type: codec.JSON, Data: []byte(`"` + s + `"`)}
}

// ready returns a child of a parent, after the events.
func ready(p Policy, events ...Event) Execution {
	x := Execution{
		ID: "te_root.3", Parent: "te_root", Index: 3, Task: "task", Queue: "queue", Policy: p, Input: text("in"),
		Status: Ready, CreatedAt: t0, StartAt: t0, ChangedAt: t0,
	}
	for _, ev := range events {
		next, _, err := Apply(x, ev)
		if err != nil {
			panic(err)
		}
		x = next
	}
	return x
}

var (
	claimed      = Claimed{At: at(1), Executor: "executor"}
	returned     = Returned{At: at(2), Output: text("out")}
	finalize     = Spawn{Task: "finalize", Queue: "queue", Policy: Policy{Timeout: time.Second, Delay: time.Minute}, Validated: true}
	toFinalize   = Returned{At: at(2), Output: text("mid"), Finalize: &finalize}
	erred        = Erred{At: at(2), Failure: Failure{Kind: KindError, Message: "boom", Stack: "main.go:1"}, RetryDelay: 5 * time.Second}
	timedOut     = Erred{At: at(2), Failure: Failure{Kind: KindTimeout, Message: "too slow"}, RetryDelay: 5 * time.Second}
	saidCancel   = Erred{At: at(2), Failure: Failure{Kind: KindCancelled, Message: "enough"}, RetryDelay: 5 * time.Second}
	crashed      = LeaseLost{At: at(2), CrashCap: 10}
	crashedLast  = LeaseLost{At: at(2), CrashCap: 0}
	polled       = Polled{At: at(2), After: 7 * time.Second}
	handedBack   = HandedBack{At: at(2)}
	woken        = Woken{At: at(6), Output: text("approved")}
	rejected     = Woken{At: at(6), Failure: &Failure{Kind: KindError, Message: "rejected"}}
	cancelled    = CancelRequested{At: at(9), Reason: "because"}
	ranOn        = AttemptEnded{At: at(9), Executor: "late", StartedAt: at(1)}
	cancelBelow  = CancelRequested{At: at(9), Reason: "parent", ParentFinished: true}
	finalized    = FinalizeEnded{At: at(8), Closure: Closure{Parent: "te_root.3", ID: finalizeID("te_root.3"), Task: "finalize", IsFinalize: true, Status: Completed, Output: text("final")}}
	finalizeFell = FinalizeEnded{At: at(8), Closure: Closure{Parent: "te_root.3", ID: finalizeID("te_root.3"), Task: "finalize", IsFinalize: true, Status: Failed, Message: "fell"}}
)

// asleep is ready for a sleeping execution.
func asleep(p Policy, events ...Event) Execution {
	x := ready(p)
	x.Sleeping = true
	for _, ev := range events {
		next, _, err := Apply(x, ev)
		if err != nil {
			panic(err)
		}
		x = next
	}
	return x
}

// spawned returns the event of a run function that spawns n children and perhaps a finalize.
func spawned(n int, fin *Spawn) Returned {
	r := Returned{At: at(2), Output: text("mid"), Finalize: fin, Gathers: fin == nil}
	for i := range n {
		r.Children = append(r.Children, Spawn{
			Task: "child", Queue: "queue", Policy: Policy{Timeout: time.Second, Delay: time.Duration(i) * time.Second},
			Input: text(fmt.Sprint(i)), Validated: true,
		})
	}
	return r
}

// end returns the closure of child i of ready().
func end(i int, s Status) Closure {
	c := Closure{Parent: "te_root.3", ID: childID("te_root.3", i), Task: "child", Index: i, Status: s}
	if s != Completed {
		c.Message = fmt.Sprintf("child %d broke", i)
	}
	return c
}

func ending(list ...Closure) ChildrenEnded { return ChildrenEnded{At: at(5), Children: list} }

// lives returns executions in every status. Some have the same status, but got it in different
// ways.
func lives() map[string]Execution {
	once, thrice := Policy{Timeout: time.Minute}, Policy{Timeout: time.Minute, Retry: Retry{MaxRetries: 2}}
	all := Policy{OnChildFailure: WaitAll}
	return map[string]Execution{
		"ready":                        ready(once),
		"ready after a retry":          ready(thrice, claimed, erred),
		"ready after a crash":          ready(once, claimed, crashed),
		"ready after a hand-back":      ready(once, claimed, handedBack),
		"ready for another poll":       ready(thrice, claimed, erred, claimed, polled),
		"running":                      ready(once, claimed),
		"running with retries":         ready(thrice, claimed),
		"running for the last time":    ready(thrice, claimed, erred, claimed, erred, claimed),
		"running after a crash":        ready(once, claimed, crashed, claimed),
		"running without a timeout":    ready(Policy{}, claimed),
		"waiting for children":         ready(once, claimed, spawned(3, nil)),
		"waiting, with a finalize":     ready(once, claimed, spawned(3, &finalize)),
		"waiting for the last child":   ready(once, claimed, spawned(3, nil), ending(end(0, Completed), end(2, Completed))),
		"waiting for the last, final":  ready(once, claimed, spawned(3, &finalize), ending(end(0, Completed), end(2, Completed))),
		"waiting for all":              ready(all, claimed, spawned(3, nil), ending(end(1, Failed))),
		"waiting for all, final":       ready(all, claimed, spawned(3, &finalize), ending(end(1, Failed))),
		"waiting for finalize":         ready(once, claimed, toFinalize),
		"waiting for finalize, parent": ready(once, claimed, spawned(1, &finalize), ending(end(0, Completed))),
		"completed":                    ready(once, claimed, returned),
		"completed, gathering":         ready(once, claimed, spawned(1, nil), ending(end(0, Completed))),
		"completed by its finalize":    ready(once, claimed, toFinalize, finalized),
		"failed":                       ready(once, claimed, erred),
		"failed by crashes":            ready(once, claimed, crashedLast),
		"timed out":                    ready(once, claimed, timedOut),
		"children failed":              ready(once, claimed, spawned(3, &finalize), ending(end(0, Completed), end(1, Failed))),
		"finalize failed":              ready(once, claimed, toFinalize, finalizeFell),
		"cancelled by itself":          ready(once, claimed, saidCancel),
		"cancelled while ready":        ready(once, cancelled),
		"cancelled while running":      ready(once, claimed, cancelled),
		"cancelled while waiting":      ready(once, claimed, spawned(3, nil), ending(end(0, Completed)), cancelled),
		"cancelled before finalize":    ready(once, claimed, toFinalize, cancelled),
		"to sleep":                     asleep(once),
		"asleep":                       asleep(once, claimed),
		"asleep without end":           asleep(Policy{}, claimed),
		"woken":                        asleep(once, claimed, woken),
		"woken before it slept":        asleep(once, woken),
		"woken by an error":            asleep(once, claimed, rejected),
		"cancelled asleep":             asleep(once, claimed, cancelled),
		"slept too long":               asleep(once, claimed, timedOut),
		"cancelled by its parent":      ready(once, claimed, cancelBelow),
	}
}

// events returns events of every kind, with the variants that matter.
func events() []Event {
	final := erred
	final.Final = true
	return []Event{
		claimed,
		returned, toFinalize, spawned(2, nil), spawned(2, &finalize),
		erred, timedOut, saidCancel, final,
		crashed, crashedLast, handedBack, polled,
		ending(end(1, Completed)), ending(end(1, Failed)), ending(end(1, Cancelled)), ending(end(0, Completed)),
		ending(end(0, Completed), end(1, Completed), end(2, Completed)),
		ending(end(0, Completed), end(1, Failed), end(2, TimedOut)),
		finalized, finalizeFell, woken, rejected,
		cancelled, cancelBelow, ranOn,
	}
}

func TestLivesAndEventsAreComplete(t *testing.T) {
	seen := map[Status]bool{}
	for _, x := range lives() {
		seen[x.Status] = true
	}
	for _, s := range Statuses() {
		if !seen[s] {
			t.Errorf("no life has the status %s", s)
		}
	}
	kinds := map[string]bool{}
	for _, ev := range events() {
		kinds[eventName(ev)] = true
	}
	if got, want := len(kinds), 11; got != want {
		t.Errorf("%d kinds of event: %v, want %d", got, kinds, want)
	}
}

// deepCopy returns a copy of v that shares no memory with it. It also copies the spare capacity of
// slices.
func deepCopy[T any](v T) T {
	dst := reflect.New(reflect.TypeFor[T]()).Elem()
	copyInto(dst, reflect.ValueOf(v))
	return dst.Interface().(T)
}

func copyInto(dst, src reflect.Value) {
	switch src.Kind() {
	case reflect.Pointer:
		if !src.IsNil() {
			dst.Set(reflect.New(src.Type().Elem()))
			copyInto(dst.Elem(), src.Elem())
		}
	case reflect.Slice:
		if src.IsNil() {
			return
		}
		full := src.Slice(0, src.Cap())
		dst.Set(reflect.MakeSlice(src.Type(), src.Cap(), src.Cap()))
		for i := range full.Len() {
			copyInto(dst.Index(i), full.Index(i))
		}
		dst.Set(dst.Slice(0, src.Len()))
	case reflect.Struct:
		if src.Type() == reflect.TypeFor[time.Time]() {
			dst.Set(src)
			return
		}
		for i := range src.NumField() {
			copyInto(dst.Field(i), src.Field(i))
		}
	default:
		dst.Set(src)
	}
}

// spare gives the slices of x spare capacity with known contents. An append that does not copy the
// slice would change them.
func spare(x Execution) Execution {
	x = deepCopy(x)
	x.Ended = withSpare(x.Ended, 0x55)
	x.History = withSpare(x.History, Attempt{Number: -1, Executor: "spare"})
	x.ChildFailures = withSpare(x.ChildFailures, ChildFailure{Index: -1, Message: "spare"})
	x.Spawns = withSpare(x.Spawns, Spawn{Task: "spare"})
	x.Input.Data = withSpare(x.Input.Data, 0x55)
	x.Output.Data = withSpare(x.Output.Data, 0x55)
	return x
}

func withSpare[S ~[]E, E any](s S, with E) S {
	more := make(S, len(s)+8)
	for i := range more {
		more[i] = with
	}
	copy(more, s)
	return more[:len(s)]
}

// untouched reports whether x is equal to before, also in the spare capacity of its slices.
func untouched(x, before Execution) bool {
	full := func(x Execution) Execution {
		x.Ended = x.Ended[:cap(x.Ended)]
		x.History = x.History[:cap(x.History)]
		x.ChildFailures = x.ChildFailures[:cap(x.ChildFailures)]
		x.Spawns = x.Spawns[:cap(x.Spawns)]
		x.Input.Data = x.Input.Data[:cap(x.Input.Data)]
		x.Output.Data = x.Output.Data[:cap(x.Output.Data)]
		return x
	}
	return reflect.DeepEqual(x, before) && reflect.DeepEqual(full(x), full(before))
}

// once returns effects without the mark of [Again].
func once(effects []Effect) []Effect {
	list := make([]Effect, len(effects))
	for i, e := range effects {
		switch e := e.(type) {
		case SpawnChildren:
			e.Again = false
			list[i] = e
		case SpawnFinalize:
			e.Again = false
			list[i] = e
		case TellParent:
			e.Closure.Again = false
			list[i] = e
		default:
			list[i] = e
		}
	}
	return list
}

// kinds returns the names of effects, in order.
func kinds(effects []Effect) string {
	var names []string
	for _, e := range effects {
		names = append(names, strings.TrimPrefix(fmt.Sprintf("%T", e), "engine."))
	}
	return strings.Join(names, " ")
}

// find returns the only effect of a type.
func find[E Effect](t *testing.T, effects []Effect) E {
	t.Helper()
	var found []E
	for _, e := range effects {
		if e, ok := e.(E); ok {
			found = append(found, e)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d effects %T in %s, want 1", len(found), *new(E), kinds(effects))
	}
	return found[0]
}

// apply is Apply for an event that can happen.
func apply(t *testing.T, x Execution, ev Event) (Execution, []Effect) {
	t.Helper()
	next, fx, err := Apply(x, ev)
	if err != nil {
		t.Fatalf("apply %s to %s: %v", eventName(ev), x.Status, err)
	}
	return next, fx
}
