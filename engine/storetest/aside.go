package storetest

import (
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
)

var asideRules = []rule{
	{"a dead letter is not redelivered, and is listed with its place and its reason", func(t *testing.T, s engine.Store) {
		enqueue(t, s, execution(t, "x"))
		carry(t, s, engine.TellParent{Closure: closure("root", 0)})
		check(t, s.Cancel(t.Context(), engine.Cancel{ID: "y", At: now(), Reason: "why"}))
		due, ended, ending := claim(t, s, 2), closures(t, s, 2), cancels(t, s, 2)
		sent := now()
		for _, b := range []engine.Baton{next(t, due), next(t, ended), next(t, ending)} {
			check(t, b.SetAside(t.Context(), "it leads\nnowhere"))
		}
		asides(t, s, "x", "root", "y")
		for a, err := range s.Aside(t.Context()) {
			check(t, err)
			if a.Name == "" || a.Place == "" || a.Record || a.Reason == "" || a.At.Before(sent.Add(-time.Second)) || a.At.After(now()) {
				t.Errorf("aside = %+v, want a message with a name, a place, a reason and the time", a)
			}
		}
		silent(t, due, lost(s))
		silent(t, ended, 0)
		silent(t, ending, 0)
		absent(t, s, "x")
		enqueue(t, s, execution(t, "x")) // the id is free again
		done(t, next(t, due))
	}},

	{"setting a redelivered message aside twice makes one dead letter", func(t *testing.T, s engine.Store) {
		enqueue(t, s, execution(t, "x"))
		f := claim(t, s, 2)
		late := next(t, f)
		again := at(t, f, time.Now().Add(s.Limits().Lease))
		check(t, again.SetAside(t.Context(), "why"))
		check(t, late.SetAside(t.Context(), "why"))
		asides(t, s, "x")
	}},

	{"a dead letter vanishes after the retention", func(t *testing.T, s engine.Store) {
		enqueue(t, s, execution(t, "x"))
		check(t, next(t, claim(t, s, 1)).SetAside(t.Context(), "why"))
		time.Sleep(s.Limits().Retention - time.Minute)
		asides(t, s, "x")
		time.Sleep(time.Minute + vanishes)
		asides(t, s)
	}},

	{"a dead letter is not an execution", func(t *testing.T, s engine.Store) {
		enqueue(t, s, execution(t, "x"), execution(t, "y"))
		f := claim(t, s, 2)
		check(t, next(t, f).SetAside(t.Context(), "why"))
		done(t, next(t, f))
		lists(t, s, engine.Filter{})
	}},
}

// asides fails the test unless the dead letters are about these executions, in this order.
func asides(t *testing.T, s engine.Store, ids ...string) {
	t.Helper()
	var got []string
	for a, err := range s.Aside(t.Context()) {
		check(t, err)
		got = append(got, a.ID)
	}
	if len(got) != len(ids) {
		t.Errorf("the dead letters are about %q, want %q", got, ids)
		return
	}
	for i := range ids {
		if got[i] != ids[i] {
			t.Errorf("the dead letters are about %q, want %q", got, ids)
		}
	}
}
