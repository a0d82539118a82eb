package engine

import (
	"fmt"
	"math"
	"time"
)

// Retention is how long the tree of a root is kept once the root has finished. 0 and
// [Forever] keep it for ever; less than 1 s is refused. The default is the namespace's
// retention: see [Limits]. A tree is removed as a whole, two leases after that time. Only
// the retention of the root counts.
type Retention time.Duration

// KeepForever keeps a tree until a caller deletes it.
const KeepForever Retention = 0

const (
	// Forever is the retention, in a [Policy] or in [Limits], that never ends.
	Forever time.Duration = math.MaxInt64
	// DefaultRetention is the retention of a namespace that sets none.
	DefaultRetention = 7 * 24 * time.Hour

	// minRetention is the shortest time to live that nats-server accepts.
	minRetention = time.Second
	// vanishingRetention is the shortest retention with which a root that has nothing below it
	// vanishes by itself. It is a day for two reasons. Operators notice an outage of a day, and
	// can plan for it. And most roots are kept for a day or more: a timer for each of them would
	// add half to the messages that the store keeps for them.
	vanishingRetention = 24 * time.Hour
)

func (r Retention) set(o *options) {
	if o.policy.Retention = time.Duration(r); r == KeepForever {
		o.policy.Retention = Forever
	}
}

// ValidateRetention returns an error that says what is wrong with a retention, or nil.
// Zero means the namespace's retention.
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

// How a tree is removed. If a root never had anything below it, and is kept for a day or longer,
// the store writes its record with a time to live: the server's own timer removes the record, at
// no further cost. For any other finished root, [Expire] schedules a message for the end of the
// retention. The executor that receives it removes the tree: first the remaining messages of the
// root, then the root.
//
// A record must not be removed before the message of the last attempt, or that message would run
// again. An acknowledgement may get lost in a crash of the server, and time passes while the
// server is down. So executors withdraw messages first. An executor that holds a message which
// is in no stream any more, and finds no record, does not run it. It does not run a child without
// a record either, once its parent's record is gone. A record with a time to live can't wait for
// its message: if a server is down for longer than the retention (a day or more), a lone root
// may run again whose end was recorded just before the outage.
//
// No record may stay behind. A child may write its record after its root is gone: it may still
// run, or be cancelled, when the fleet comes back after a long time. Every child that finishes
// either tells its parent or was cancelled by it. So an executor schedules another expiry when it
// receives a closure and finds no active parent, and when it carries out the effects of a
// cancellation by a finished parent. That expiry comes after the write: if the root is gone, it
// removes the child's record; if the root exists, the root's own expiry is still to come. An
// execution that never finishes has lost its record with the tree: its next write conflicts,
// and executors drop a hint without a record.
//
// One case remains: an executor stalls after its claim and before it writes the record, for
// longer than the whole retention, and dies just after writing it. The record says running,
// and no process will ever remove it.

// grace is added to the retention. The message of the last attempt may be redelivered after
// its lease, and must then find the record, or the execution would seem never to have run.
// Executions that are cancelled below a failed root finish within this time, if any
// executor runs.
func grace(l Limits) time.Duration { return min(plus(l.Lease, l.Lease), longestDelay) }

// retention returns the retention of a root's tree; false means for ever.
func (x *Execution) retention(l Limits) (time.Duration, bool) {
	d := x.Policy.Retention
	if d == 0 {
		d = l.Retention
	}
	return d, d > 0 && d != Forever
}

// kept returns how long the tree of a root is kept once the root has finished; false means
// for ever.
func (x *Execution) kept(l Limits) (time.Duration, bool) {
	d, ends := x.retention(l)
	return plus(d, grace(l)), ends
}

// TimeToLive returns how long after the write the store must remove the record of x. False
// means that the record stays until Delete.
func (x Execution) TimeToLive(l Limits) (time.Duration, bool) {
	retention, ends := x.retention(l)
	d, _ := x.kept(l)
	return d, ends && x.Status.Finished() && x.alone() && retention >= vanishingRetention
}

// RemoveAt returns when the tree of a finished root is to be removed; false means never.
func (x Execution) RemoveAt(l Limits) (time.Time, bool) {
	d, ends := x.kept(l)
	return x.FinishedAt.Add(d), ends
}

// Gone reports whether x is a root whose tree should have been removed at least a lease
// before at. (It waits a lease because the executor that removes the tree may crash.) After an
// outage, or after a server has restored old data, such a tree may still be stored; it counts
// as removed.
func (x *Execution) Gone(l Limits, at time.Time) bool {
	since, ends := x.GoneAt(l)
	return ends && at.After(since)
}

// GoneAt returns the time after which x is [Execution.Gone]; false means never.
func (x *Execution) GoneAt(l Limits) (time.Time, bool) {
	if x.Parent != "" || !x.Status.Finished() || x.FinishedAt.IsZero() {
		return time.Time{}, false
	}
	remove, ends := x.RemoveAt(l)
	return remove.Add(l.Lease), ends
}

// SameLife reports whether x and y, which have the same id, are the same execution, and not
// two that used the id one after the other.
func (x *Execution) SameLife(y *Execution) bool {
	return x.CreatedAt.UnixMilli() == y.CreatedAt.UnixMilli()
}

// alone reports whether x is a root that never spawned anything.
func (x *Execution) alone() bool { return x.Parent == "" && x.Spawned == 0 && x.Finalize == nil }

// expires reports whether the tree of a finished x may need an expiry: x is a root, or has
// finished below a finished parent.
func (x *Execution) expires() bool { return x.Parent == "" || x.ParentFinished }

// LookAt returns when the expiry is due. False means that there is none: the tree is kept for
// ever, or it is a root that vanishes by itself.
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
