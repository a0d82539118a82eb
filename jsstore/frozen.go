package jsstore

import "time"

// A frozen process (stopped, swapped out, or suspended with its machine) does not notice it
// when it continues. Messages that the server delivered meanwhile are still in its socket and
// look fresh, but the server may have redelivered them to another executor. So the store checks
// the clock periodically: if much more time has passed than it slept, it treats every message
// as old until the fences of its feeds have returned.

// stayAwake checks the clock until the store is closed.
func (s *Store) stayAwake() {
	now := time.Now()
	s.awake.Store(&now)
	nap := time.NewTicker(s.ns.Limits.Lease / 2)
	defer nap.Stop()
	for {
		select {
		case <-nap.C:
		case <-s.rpc.Done():
			return
		}
		now := time.Now()
		if s.wasFrozen(now) {
			_, pullers := s.open()
			for _, p := range pullers {
				p.thawed()
			}
		}
		s.awake.Store(&now) // last: until then wasFrozen stays true for other callers
	}
}

// wasFrozen reports whether this process has not run for a good part of the lease. It checks
// the monotonic clock and the wall clock, because the monotonic clock may stand still while a
// machine is suspended. The limit is less than the lease, so a message whose lease is over
// never counts as fresh.
func (s *Store) wasFrozen(now time.Time) bool {
	last := s.awake.Load()
	if last == nil {
		return false
	}
	most := s.ns.Limits.Lease * 3 / 4
	return now.Sub(*last) > most || now.Round(0).Sub(last.Round(0)) > most
}
