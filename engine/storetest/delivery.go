package storetest

import (
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
)

var deliveryRules = []rule{
	{"the first delivery of a new id is fresh", func(t *testing.T, s engine.Store) {
		f := claim(t, s, 1)
		enqueue(t, s, execution(t, "x"))
		d := next(t, f)
		if !d.Fresh || !d.First || d.Deliveries != 1 {
			t.Errorf("fresh %v, deliveries %d, want true, 1", d.Fresh, d.Deliveries)
		}
		done(t, d)
	}},

	{"an execution that is enqueued as exclusive is not fresh", func(t *testing.T, s engine.Store) {
		x := execution(t, "x")
		check(t, s.Enqueue(t.Context(), engine.Due{Execution: x, Exclusive: true}))
		d := next(t, claim(t, s, 1))
		if d.Fresh || d.Deliveries != 1 {
			t.Errorf("fresh %v, deliveries %d, want false, 1", d.Fresh, d.Deliveries)
		}
		same(t, d.Execution, x)
		done(t, d)
	}},

	{"an abandoned message is redelivered after the lease", func(t *testing.T, s engine.Store) {
		x := execution(t, "x")
		f := claim(t, s, 4)
		enqueue(t, s, x)
		when := time.Now()
		for n := 1; n <= 3; n++ {
			d := at(t, f, when)
			when = time.Now().Add(s.Limits().Lease)
			if d.Fresh != (n == 1) || d.Deliveries != n {
				t.Errorf("fresh %v, deliveries %d, want %v, %d", d.Fresh, d.Deliveries, n == 1, n)
			}
			same(t, d.Execution, x)
			if n == 3 {
				done(t, d)
			}
		}
		silent(t, f, lost(s))
	}},

	{"an extended message is not redelivered", func(t *testing.T, s engine.Store) {
		enqueue(t, s, execution(t, "x"))
		d := next(t, claim(t, s, 1))
		f := claim(t, s, 1)
		lease := s.Limits().Lease
		for range 9 {
			silent(t, f, lease/3)
			check(t, d.Extend(t.Context()))
		}
		extended := time.Now()
		again := at(t, f, extended.Add(lease))
		if again.Fresh || again.Deliveries != 2 {
			t.Errorf("fresh %v, deliveries %d, want false, 2", again.Fresh, again.Deliveries)
		}
		done(t, again)
	}},

	{"an extended message can be acknowledged for good", func(t *testing.T, s engine.Store) {
		enqueue(t, s, execution(t, "x"))
		f := claim(t, s, 2)
		d := next(t, f)
		time.Sleep(s.Limits().Lease / 2)
		check(t, d.Extend(t.Context()))
		time.Sleep(s.Limits().Lease / 2)
		done(t, d)
		silent(t, f, lost(s))
	}},

	{"done is final", func(t *testing.T, s engine.Store) {
		enqueue(t, s, execution(t, "x"))
		f := claim(t, s, 2)
		done(t, next(t, f))
		silent(t, f, 10*time.Minute)
		absent(t, s, "x")
	}},

	{"a returned message is redelivered at once, to any feed", func(t *testing.T, s engine.Store) {
		x := execution(t, "x")
		enqueue(t, s, x)
		d := next(t, claim(t, s, 1))
		f := claim(t, s, 1)
		sendBack(t, d, now().Add(-time.Hour), false)
		d = next(t, f)
		if d.Fresh || d.Deliveries != 2 || d.Hint {
			t.Errorf("fresh %v, deliveries %d, hint %v, want false, 2, false", d.Fresh, d.Deliveries, d.Hint)
		}
		same(t, d.Execution, x)
		done(t, d)
		silent(t, f, lost(s))
	}},

	{"a message that is returned for later is redelivered in time", func(t *testing.T, s engine.Store) {
		x := execution(t, "x")
		enqueue(t, s, x)
		f := claim(t, s, 10)
		d := next(t, f)
		waits := []time.Duration{30 * time.Millisecond, 800 * time.Millisecond, 1200 * time.Millisecond, time.Minute, 2 * time.Hour}
		for n, wait := range waits {
			when := now().Add(wait)
			sendBack(t, d, when, false)
			same(t, get(t, s, "x").Execution, x)
			d = at(t, f, when)
			if d.Fresh || d.Deliveries != n+2 || d.Hint {
				t.Errorf("fresh %v, deliveries %d, hint %v, want false, %d, false", d.Fresh, d.Deliveries, d.Hint, n+2)
			}
			same(t, d.Execution, x)
		}
		done(t, d)
		silent(t, f, lost(s))
		absent(t, s, "x")
	}},

	{"a message that is returned for later outlives the feed", func(t *testing.T, s engine.Store) {
		enqueue(t, s, execution(t, "x"), execution(t, "y"))
		f := claim(t, s, 2)
		sendBack(t, next(t, f), now().Add(700*time.Millisecond), false)
		sendBack(t, next(t, f), now().Add(time.Hour), false)
		f.Close()
		time.Sleep(2 * time.Hour)
		f = claim(t, s, 3)
		first, second := next(t, f), next(t, f)
		if first.Execution.ID == second.Execution.ID {
			t.Errorf("delivered %s twice, want x and y", first.Execution.ID)
		}
		done(t, first)
		done(t, second)
		silent(t, f, lost(s))
	}},

	{"a message that is returned with a record is redelivered, maybe as a hint", func(t *testing.T, s engine.Store) {
		for _, wait := range []time.Duration{0, 400 * time.Millisecond, time.Hour} {
			x := execution(t, "x-"+wait.String()[:1])
			enqueue(t, s, x)
			f := claim(t, s, 3)
			d := next(t, f)
			r, _ := move(t, s, engine.Record{Execution: d.Execution}, engine.Claimed{At: now(), Executor: "e"}, engine.HandedBack{At: now()})
			when := now().Add(wait)
			sendBack(t, d, when, true)
			same(t, get(t, s, x.ID).Execution, r.Execution)
			hinted(t, at(t, f, when), x)
			// An abandoned hint is redelivered, too.
			again := at(t, f, time.Now().Add(s.Limits().Lease))
			hinted(t, again, x)
			done(t, again)
			same(t, get(t, s, x.ID).Execution, r.Execution)
			f.Close()
		}
	}},
}

func hinted(t *testing.T, d *engine.Delivery, x engine.Execution) {
	t.Helper()
	if d.Fresh || d.Invalid != nil {
		t.Errorf("fresh %v, invalid %v, want neither", d.Fresh, d.Invalid)
	}
	if !d.Hint {
		same(t, d.Execution, x)
		return
	}
	if d.Execution.ID != x.ID || d.Execution.Queue != x.Queue || d.Execution.Task != x.Task {
		t.Errorf("hint at %s of %s in %s, want %s of %s in %s",
			d.Execution.ID, d.Execution.Task, d.Execution.Queue, x.ID, x.Task, x.Queue)
	}
}
