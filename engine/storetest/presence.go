package storetest

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
)

var presenceRules = []rule{
	{"present executors answer a roll call", func(t *testing.T, s engine.Store) {
		one, two := presence("one"), presence("two")
		attend(t, s, func(engine.RollCall) *engine.Presence { return &one })
		attend(t, s, func(engine.RollCall) *engine.Presence { return &two })
		before := time.Now()
		got := roll(t, s, engine.RollCall{})
		if len(got) != 2 {
			t.Fatalf("%d answers, want 2", len(got))
		}
		for _, want := range []engine.Presence{one, two} {
			i := slices.IndexFunc(got, func(a engine.Answer) bool { return a.Executor == want.Executor })
			if i < 0 || !reflect.DeepEqual(got[i].Presence, want) {
				t.Errorf("answers = %+v, want %+v among them", got, want)
				continue
			}
			if at := got[i].CalledAt; at.Before(before) || at.After(time.Now()) || got[i].Took < 0 || got[i].Took > late {
				t.Errorf("called at %s, answered after %s, want a call now and an answer at once", at, got[i].Took)
			}
		}
	}},

	{"a roll call without answers returns an empty list", func(t *testing.T, s engine.Store) {
		start := time.Now()
		if got := roll(t, s, engine.RollCall{For: time.Hour}); len(got) != 0 {
			t.Errorf("answers = %+v, want none", got)
		}
		if took := time.Since(start); took > time.Minute {
			t.Errorf("the roll call took %s without any executor, want no wait", took)
		}
		attend(t, s, func(engine.RollCall) *engine.Presence { return nil })
		if got := roll(t, s, engine.RollCall{}); len(got) != 0 {
			t.Errorf("answers of an executor that stays silent = %+v, want none", got)
		}
	}},

	{"present executors receive the question", func(t *testing.T, s engine.Store) {
		var asked atomic.Value
		p := presence("one")
		attend(t, s, func(c engine.RollCall) *engine.Presence { asked.Store(c); return &p })
		for _, schemas := range []bool{true, false} {
			roll(t, s, engine.RollCall{Schemas: schemas})
			if got, _ := asked.Load().(engine.RollCall); got.Schemas != schemas {
				t.Errorf("asked for schemas: %v, want %v", got.Schemas, schemas)
			}
		}
	}},

	{"an executor that has left does not answer", func(t *testing.T, s engine.Store) {
		p := presence("one")
		stop, err := s.Present(t.Context(), func(engine.RollCall) *engine.Presence { return &p })
		check(t, err)
		if got := roll(t, s, engine.RollCall{}); len(got) != 1 {
			t.Fatalf("%d answers, want 1", len(got))
		}
		stop()
		stop() // a second call does no harm
		if got := roll(t, s, engine.RollCall{}); len(got) != 0 {
			t.Errorf("answers = %+v, want none", got)
		}
	}},

	{"an executor stays present after the context of Present has ended", func(t *testing.T, s engine.Store) {
		p := presence("one")
		stop, err := outlived(t, func(ctx context.Context) (func(), error) {
			return s.Present(ctx, func(engine.RollCall) *engine.Presence { return &p })
		})
		check(t, err)
		defer stop()
		time.Sleep(time.Minute)
		if got := roll(t, s, engine.RollCall{}); len(got) != 1 {
			t.Errorf("%d answers, want 1", len(got))
		}
	}},

	{"an answer that is too long comes without its schemas, and is marked as cut", func(t *testing.T, s engine.Store) {
		long, err := json.Marshal(map[string]string{"description": string(make([]byte, 2<<20))})
		check(t, err)
		p := presence("one")
		p.Tasks[0].InputSchema = long
		attend(t, s, func(engine.RollCall) *engine.Presence { return &p })
		got := roll(t, s, engine.RollCall{Schemas: true})
		if len(got) != 1 || !got[0].Cut || len(got[0].Tasks) != 2 || got[0].Tasks[0].InputSchema != nil {
			t.Errorf("answers = %+v, want one that is cut", got)
		}
	}},

	{"a roll call ends with its context", func(t *testing.T, s engine.Store) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if got, err := s.RollCall(ctx, engine.RollCall{}); err == nil {
			t.Errorf("answers = %+v, want an error", got)
		}
	}},
}

// presence returns a presence with a value in nearly every field.
func presence(name string) engine.Presence {
	return engine.Presence{
		Executor: name, Host: "host", PID: 7, Program: "example.com/shop v1.2.3", Version: "v0.1.0", RecordVersion: 1,
		StartedAt: now().Add(-time.Hour), Now: now(), Lease: 2 * time.Second,
		Queues: map[string]int{"default": 3, "slow": 1},
		Tasks: []engine.BoundTask{
			{ID: "a", Fingerprint: "f1", Input: "int", Output: "string", InputSchema: json.RawMessage(`{"type":"integer"}`)},
			{ID: "b", Fingerprint: "f2", Input: "int", Output: "int"},
		},
		Slots: 100, Running: 5, InHand: 6, Strays: 1,
		Failures: map[string]int{"extend leases": 2}, Failing: map[string]time.Time{"extend leases": now()},
		Stopping: true,
	}
}

func attend(t *testing.T, s engine.Store, answer func(engine.RollCall) *engine.Presence) {
	t.Helper()
	stop, err := s.Present(t.Context(), answer)
	check(t, err)
	t.Cleanup(stop)
}

func roll(t *testing.T, s engine.Store, c engine.RollCall) []engine.Answer {
	t.Helper()
	list, err := s.RollCall(t.Context(), c)
	check(t, err)
	return list
}
