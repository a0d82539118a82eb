package engine

import (
	"fmt"
	"math"
	"time"
)

// Retention is how long the tree of a root is kept once the root has finished.
// 0 and [Forever] keep it for ever; less than 1 s is refused. Where none is given
// it is the namespace's: see [Limits]. A tree goes as a whole, two leases after its
// time, and by the retention of its root alone: that of a child is ignored.
type Retention time.Duration

// KeepForever keeps a tree until it is deleted.
const KeepForever Retention = 0

const (
	// Forever is the retention, in a [Policy] or in [Limits], that never ends.
	Forever time.Duration = math.MaxInt64
	// DefaultRetention is that of a namespace that names none.
	DefaultRetention = 7 * 24 * time.Hour

	// minRetention is the shortest time to live that nats-server takes.
	minRetention = time.Second
	// vanishingRetention is the shortest retention with which a root that has nothing below it
	// vanishes by itself. An outage of a day is one that people have seen and can plan for; and
	// what is kept for a day or more is where the many are, for which a timer each would add
	// half to what they store.
	vanishingRetention = 24 * time.Hour
)

func (r Retention) set(o *options) {
	if o.policy.Retention = time.Duration(r); r == KeepForever {
		o.policy.Retention = Forever
	}
}

// ValidateRetention returns what is wrong with a retention, or nil. Zero stands
// for that of the namespace.
func ValidateRetention(d time.Duration) error {
	switch {
	case d < 0:
		return fmt.Errorf("retention %s: negative", d)
	case d > 0 && d < minRetention:
		return fmt.Errorf("retention %s: less than %s", d, minRetention)
	case d > longestDelay && d != Forever:
		return fmt.Errorf("retention %s: longer than %s, and not for ever", d, longestDelay)
	}
	return nil
}

// How a tree goes. The record of a root that never had anything below it and is kept for a
// day or longer is written with its time to live: the server's own timer removes it, and
// nothing else is stored for that. Any other finished root has an [Expire] lead to a
// message at its time, upon which an executor removes the tree: first what is left of the
// root's own messages, then the root.
//
// No record may go before the message that led to it, or that would run again: an
// acknowledgement gets lost with the server that it was on its way to, and time passes while
// that is down. So messages are withdrawn first. What is in the hands of an executor by then,
// and lies nowhere any more when that finds no record, is not run; nor is a child of which
// nothing is recorded once its parent's record is gone. A record that vanishes by itself
// can't wait for its message: a server that is down for longer than the retention, of a day
// or more, may run a lone root again whose end it had recorded in its last moments.
//
// Nothing may stay behind. What is written below a root that is gone - a child
// that runs on, or is cancelled, when the fleet comes back after a long time - is
// found by its end, since everything that ends either tells its parent or was
// cancelled by it: who is told of an end and finds no active parent, and who
// carries out what follows from a cancellation by a finished parent, has the tree
// looked at again. That look comes after the write, so that it removes what was
// written, if the root is gone; if the root is there, its own time is still to
// come. What never ends has lost its record with the tree: its next write
// conflicts, and a hint without a record is dropped.
//
// What is left to chance: an executor that stalls after its claim and before the
// record of it, for longer than the whole retention, and dies when it wakes, just
// after that record. It says running, of an execution that nobody remembers.

// grace is kept on top of the retention: a message that led to the end may come
// again when its lease is over, and must find what it led to, or the execution
// would be taken for one that never ran; and what is cancelled below a failed root
// ends in this time, unless nobody executes.
func grace(l Limits) time.Duration { return min(plus(l.Lease, l.Lease), longestDelay) }

// retention returns that of the tree of a root; false is for ever.
func (x *Execution) retention(l Limits) (time.Duration, bool) {
	d := x.Policy.Retention
	if d == 0 {
		d = l.Retention
	}
	return d, d > 0 && d != Forever
}

// kept returns how long the tree of a root is kept once the root has finished;
// false is for ever.
func (x *Execution) kept(l Limits) (time.Duration, bool) {
	d, ends := x.retention(l)
	return plus(d, grace(l)), ends
}

// TimeToLive returns for how long the record of x is kept once it is written; a
// store removes it then. False says that it stays until Delete.
func (x Execution) TimeToLive(l Limits) (time.Duration, bool) {
	retention, ends := x.retention(l)
	d, _ := x.kept(l)
	return d, ends && x.Status.Finished() && x.alone() && retention >= vanishingRetention
}

// RemoveAt returns when the tree of a root that has finished is to be removed;
// false is never.
func (x Execution) RemoveAt(l Limits) (time.Time, bool) {
	d, ends := x.kept(l)
	return x.FinishedAt.Add(d), ends
}

// Gone reports whether x is a root whose tree ought to have been removed for a lease by
// then: a lease, since whoever looks at it may die of it. What a store still has of it, after
// an outage or since a server has brought it back, counts as nothing.
func (x *Execution) Gone(l Limits, at time.Time) bool {
	if x.Parent != "" || !x.Status.Finished() || x.FinishedAt.IsZero() {
		return false
	}
	remove, ends := x.RemoveAt(l)
	return ends && at.Sub(remove) > l.Lease
}

// SameLife reports whether x and y, which have one id, are one execution, and not two that
// had the id one after the other.
func (x *Execution) SameLife(y *Execution) bool {
	return x.CreatedAt.UnixMilli() == y.CreatedAt.UnixMilli()
}

// alone reports whether x is a root that nothing was ever spawned below.
func (x *Execution) alone() bool { return x.Parent == "" && x.Spawned == 0 && x.Finalize == nil }

// expires reports whether the tree of x, which has finished, may have to be looked at:
// x is a root, or ended below a finished parent.
func (x *Execution) expires() bool { return x.Parent == "" || x.ParentFinished }

// LookAt returns when the tree is to be looked at; false is never: it is kept for ever, or
// is a root that vanishes by itself.
func (e Expire) LookAt(l Limits) (time.Time, bool) {
	x := e.Execution
	if x.Parent != "" {
		return x.FinishedAt.Add(grace(l)), true
	}
	if _, vanishes := x.TimeToLive(l); vanishes {
		return time.Time{}, false
	}
	return x.RemoveAt(l)
}
