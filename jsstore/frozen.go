package jsstore

import "time"

// A process that is frozen - stopped, swapped out, suspended with its machine - does not
// know it when it goes on. What the server delivered to it meanwhile lies in its socket,
// looks as fresh as ever, and may have gone to somebody else. So the store looks at the
// clock all the time: when it finds that more time has passed than it has slept, whatever
// comes is taken for old until the fences of its feeds are raised.

// stayAwake looks at the clock until the store is closed.
func (s *Store) stayAwake() {
	now := time.Now()
	s.awake.Store(&now)
	nap := time.NewTicker(s.config.Lease / 2)
	defer nap.Stop()
	for {
		select {
		case <-nap.C:
		case <-s.requests.closed:
			return
		}
		now := time.Now()
		if s.wasFrozen(now) {
			_, pullers := s.open()
			for _, p := range pullers {
				p.thawed()
			}
		}
		s.awake.Store(&now) // last: whoever asks meanwhile is told that it was
	}
}

// wasFrozen reports whether this process has not run for a good part of the lease, by
// either clock: the one that never jumps may stand still while a machine is suspended. It
// is less than the lease, so that nothing passes for fresh whose lease is over.
func (s *Store) wasFrozen(now time.Time) bool {
	last := s.awake.Load()
	if last == nil {
		return false
	}
	most := s.config.Lease * 3 / 4
	return now.Sub(*last) > most || now.Round(0).Sub(last.Round(0)) > most
}
