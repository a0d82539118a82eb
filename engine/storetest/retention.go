package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
)

// vanishes is how late a record may vanish: nats-server checks expired messages four times a
// second, and times to live are in whole seconds.
const vanishes = time.Second + late

var retentionRules = []rule{
	{"a root without children vanishes after a retention of a day or more, and not before", func(t *testing.T, s engine.Store) {
		for i, end := range []engine.Event{
			engine.Returned{At: now(), Output: payload(10)},
			engine.Erred{At: now(), Final: true, Failure: engine.Failure{Kind: engine.KindError, Message: "why"}},
			engine.CancelRequested{At: now(), Reason: "why"},
		} {
			x := execution(t, fmt.Sprint("x", i))
			x.Policy.Retention = 24*time.Hour + time.Duration(i)*1500*time.Millisecond
			r, fx := move(t, s, engine.Record{Execution: x}, engine.Claimed{At: now()}, end)
			carry(t, s, fx...)
			lives(t, s, r.Execution, x.Policy.Retention+2*s.Limits().Lease)
		}
	}},

	{"a root without children expires after a shorter retention, and not before", func(t *testing.T, s engine.Store) {
		f := expiries(t, s, 2)
		for i, retention := range []time.Duration{time.Second, 24*time.Hour - time.Second} {
			x := execution(t, fmt.Sprint("x", i))
			x.Policy.Retention = retention
			r, fx := move(t, s, engine.Record{Execution: x}, engine.Claimed{At: now()}, engine.Returned{At: now()})
			carry(t, s, fx...)
			m := at(t, f, r.FinishedAt.Add(retention+2*s.Limits().Lease))
			if m.Root != x.ID {
				t.Errorf("root = %q, want %s", m.Root, x.ID)
			}
			same(t, get(t, s, x.ID).Execution, r.Execution) // it does not vanish by itself
			check(t, s.Delete(t.Context(), x.ID, r.Revision))
			absent(t, s, x.ID)
			done(t, m)
		}
		long := execution(t, "long")
		long.Policy.Retention = 24 * time.Hour
		_, fx := move(t, s, engine.Record{Execution: long}, engine.Claimed{At: now()}, engine.Returned{At: now()})
		carry(t, s, fx...)
		silent(t, f, 48*time.Hour)
	}},

	{"the namespace's retention counts for a root without its own; active executions, and trees to keep for ever, stay", func(t *testing.T, s engine.Store) {
		if d := s.Limits().Retention; d != engine.DefaultRetention {
			t.Errorf("retention = %s, want %s", d, engine.DefaultRetention)
		}
		forever, active, child, root := execution(t, "forever"), execution(t, "active"), execution(t, "z.0"), execution(t, "root")
		active.Policy.Retention, child.Policy.Retention, child.Parent = time.Second, time.Second, "z"
		forever.Policy.Retention, root.Policy.Retention = engine.Forever, engine.Forever
		end := []engine.Event{engine.Claimed{At: now()}, engine.Returned{At: now()}}
		move(t, s, engine.Record{Execution: forever}, end...)
		move(t, s, engine.Record{Execution: active}, end[0])
		move(t, s, engine.Record{Execution: child}, end...)
		_, fx := grown(t, s, root)
		carry(t, s, fx...)
		r, _ := move(t, s, engine.Record{Execution: execution(t, "x")}, end...)
		lives(t, s, r.Execution, engine.DefaultRetention+2*s.Limits().Lease)
		for _, id := range []string{"forever", "active", "z.0", "root", "root.0"} {
			get(t, s, id)
		}
		silent(t, expiries(t, s, 1), lost(s))
	}},

	{"a tree expires after the retention of its root", func(t *testing.T, s engine.Store) {
		x := execution(t, "root")
		x.Policy.Retention = 5 * time.Second
		r, fx := grown(t, s, x)
		f := expiries(t, s, 2)
		carry(t, s, fx...)
		carry(t, s, fx...) // a second time: there is still only one expiry
		m := at(t, f, r.FinishedAt.Add(5*time.Second+2*s.Limits().Lease))
		if m.Root != "root" {
			t.Errorf("root = %q, want root", m.Root)
		}
		get(t, s, "root") // it does not vanish by itself
		get(t, s, "root.0")
		done(t, m)
		silent(t, f, lost(s))
	}},

	{"a tree that nobody removes counts as missing a lease after its retention, and its id may be used again", func(t *testing.T, s engine.Store) {
		x := execution(t, "root")
		x.Policy.Retention = 5 * time.Second
		r, _ := grown(t, s, x)
		time.Sleep(5*time.Second + 2*s.Limits().Lease)
		get(t, s, "root")
		conflicts(t, s, x, 0)
		time.Sleep(s.Limits().Lease + time.Second)
		absent(t, s, "root")
		if _, err := s.GetMany(t.Context(), []string{"root"}); !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("get many = %v, want ErrNotFound", err)
		}
		for r, err := range s.List(t.Context(), engine.Filter{}) {
			if check(t, err); r.ID == "root" {
				t.Errorf("it is listed: %s", r.Status)
			}
		}
		conflicts(t, s, x, 0) // its own message must not run again if it is redelivered
		again := execution(t, "root")
		enqueue(t, s, again)
		unrecorded(t, s, again)
		written := update(t, s, again, 0)
		same(t, get(t, s, "root").Execution, again)
		absent(t, s, "root.0")
		conflicts(t, s, r.Execution, r.Revision)
		if err := s.Delete(t.Context(), "root", 0); !errors.Is(err, engine.ErrConflict) {
			t.Errorf("delete of an existing tree = %v, want ErrConflict", err)
		}
		if now := get(t, s, "root"); now.Revision != written {
			t.Errorf("revision = %d, want %d", now.Revision, written)
		}
	}},

	{"a tree that is gone does not count as missing while the message of its last attempt exists", func(t *testing.T, s engine.Store) {
		x := execution(t, "root")
		x.Policy.Retention = 5 * time.Second
		enqueue(t, s, x)
		r, _ := grown(t, s, x)
		time.Sleep(time.Minute)
		same(t, get(t, s, "root").Execution, r.Execution)
		for found, err := range s.List(t.Context(), engine.Filter{}) {
			if check(t, err); found.ID == "root" {
				same(t, found.Execution, r.Execution)
			}
		}
		done(t, next(t, claim(t, s, 1)))
		absent(t, s, "root")
	}},

	{"a tree that counts as missing is deleted without a revision", func(t *testing.T, s engine.Store) {
		x := execution(t, "root")
		x.Policy.Retention = 5 * time.Second
		grown(t, s, x)
		time.Sleep(time.Minute)
		get(t, s, "root.0")
		check(t, s.Delete(t.Context(), "root", 0))
		absent(t, s, "root.0")
		absent(t, s, "root")
	}},

	{"an expiry is redelivered until it is done, at the time to which it is returned", func(t *testing.T, s engine.Store) {
		f := expiries(t, s, 5)
		carry(t, s, engine.Expire{Execution: &engine.Execution{ID: "root.1-2", Parent: "root.1", FinishedAt: now().Add(-time.Hour)}})
		m := next(t, f)
		m = at(t, f, time.Now().Add(s.Limits().Lease))
		for _, d := range []time.Duration{0, 300 * time.Millisecond, time.Hour} {
			when := now().Add(d)
			sendBack(t, m, when, true)
			if m = at(t, f, when); m.Root != "root" {
				t.Errorf("root = %q, want root", m.Root)
			}
		}
		done(t, m)
		silent(t, f, 2*time.Hour)
	}},

	{"an expiry waits for a feed", func(t *testing.T, s engine.Store) {
		carry(t, s, engine.Expire{Execution: &engine.Execution{ID: "root.1", Parent: "root", FinishedAt: now()}})
		time.Sleep(24 * time.Hour)
		done(t, next(t, expiries(t, s, 1)))
	}},

	{"a tree is deleted as a whole, without other trees", func(t *testing.T, s engine.Store) {
		r, _ := grown(t, s, execution(t, "root"))
		grown(t, s, execution(t, "root2"))
		grown(t, s, execution(t, "roo"))
		check(t, s.Delete(t.Context(), "root", r.Revision))
		absent(t, s, "root")
		absent(t, s, "root.0")
		absent(t, s, "root.1")
		ids := map[string]bool{}
		for r, err := range s.List(t.Context(), engine.Filter{}) {
			check(t, err)
			ids[r.ID] = true
		}
		for _, id := range []string{"root2", "root2.0", "root2.1", "roo", "roo.0", "roo.1"} {
			get(t, s, id)
			if delete(ids, id); len(ids) == 0 && id != "roo.1" {
				t.Errorf("%s is not listed", id)
			}
		}
		if len(ids) > 0 {
			t.Errorf("%v are listed, want them gone", ids)
		}
		if _, err := s.GetMany(t.Context(), []string{"root2", "root"}); !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("get many = %v, want ErrNotFound", err)
		}
	}},

	{"the long list of children of a tree is deleted with it", func(t *testing.T, s engine.Store) {
		x := execution(t, "root")
		children := make([]engine.Spawn, 5000)
		for i := range children {
			children[i] = engine.Spawn{Task: "child", Queue: queue, Input: payload(40)}
		}
		r, _ := move(t, s, engine.Record{Execution: x}, engine.Claimed{At: now()}, engine.Returned{At: now(), Children: children})
		r = get(t, s, "root")
		if r.SpawnsAt == "" {
			t.Skip("the store keeps it in the record")
		}
		check(t, s.Delete(t.Context(), "root", r.Revision))
		if list, err := s.Spawns(t.Context(), r.Execution); !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("%d children, %v, want ErrNotFound", len(list), err)
		}
	}},

	{"a tree is deleted at the revision of its root", func(t *testing.T, s engine.Store) {
		r, _ := grown(t, s, execution(t, "root"))
		for _, revision := range []engine.Revision{0, r.Revision - 1, r.Revision + 1} {
			if err := s.Delete(t.Context(), "root", revision); !errors.Is(err, engine.ErrConflict) {
				t.Errorf("delete at %d = %v, want ErrConflict", revision, err)
			}
		}
		get(t, s, "root")
		get(t, s, "root.1")
	}},

	{"the rest of a tree without a root can be deleted", func(t *testing.T, s engine.Store) {
		x := execution(t, "root.0")
		x.Parent = "root"
		for range 2 { // deleting a tree that does not exist does no harm
			update(t, s, x, 0)
			check(t, s.Delete(t.Context(), "root", 0))
			absent(t, s, "root.0")
			check(t, s.Delete(t.Context(), "root", 0))
		}
	}},

	{"a deleted id may be used again at once, and its old revisions conflict", func(t *testing.T, s engine.Store) {
		x := execution(t, "root")
		for range 3 {
			r, _ := grown(t, s, x)
			check(t, s.Delete(t.Context(), "root", r.Revision))
			conflicts(t, s, r.Execution, r.Revision)
			absent(t, s, "root")
		}
		r, _ := grown(t, s, x)
		time.Sleep(time.Minute)
		same(t, get(t, s, "root").Execution, r.Execution)
		get(t, s, "root.1")
	}},
}

// grown writes the record of x as a completed parent of two completed children, and their records.
// It returns the parent's record and its effects.
func grown(t *testing.T, s engine.Store, x engine.Execution) (engine.Record, []engine.Effect) {
	t.Helper()
	r, _ := move(t, s, engine.Record{Execution: x}, engine.Claimed{At: now()},
		engine.Returned{At: now(), Children: []engine.Spawn{{Task: "child", Queue: queue}, {Task: "child", Queue: queue}}})
	var ends []engine.Closure
	for i, child := range r.Children(r.Spawns) {
		move(t, s, engine.Record{Execution: child}, engine.Claimed{At: now()}, engine.Returned{At: now()})
		ends = append(ends, childClosure(r.Execution, i, engine.Completed))
	}
	return move(t, s, r, engine.ChildrenEnded{At: now(), Children: ends})
}

// lives fails the test unless the record of x, just written, exists for d and then vanishes.
func lives(t *testing.T, s engine.Store, x engine.Execution, d time.Duration) {
	t.Helper()
	written := time.Now()
	time.Sleep(d - time.Millisecond)
	same(t, get(t, s, x.ID).Execution, x)
	time.Sleep(time.Until(written.Add(d + vanishes)))
	absent(t, s, x.ID)
}

func expiries(t *testing.T, s engine.Store, n int) engine.Feed[engine.ExpiryMessage] {
	t.Helper()
	f, err := s.Expiries(t.Context())
	return opened(t, f, err, n)
}
