package engine

import "time"

// SpellsEvery is how often the beginning of one kind of trouble is logged at most.
const SpellsEvery = time.Minute

// Spells bound how often trouble of one kind is logged that comes and goes: a line when it
// begins and one when it ends, for one spell a minute. The zero value is ready; it is not
// safe for use by several goroutines.
type Spells struct {
	failing, telling bool
	told             time.Time
	left             int
}

// Fails notes a failure. It reports whether to log that trouble has begun, and how many
// spells were left out of the log since the last line. A spell that begins within a minute
// after a line is told if it outlasts that minute.
func (s *Spells) Fails(now time.Time) (tell bool, left int) {
	if !s.failing {
		s.failing, s.telling = true, false
	}
	if s.telling || !s.told.IsZero() && now.Sub(s.told) < SpellsEvery {
		return false, 0
	}
	s.telling, s.told = true, now
	left, s.left = s.left, 0
	return true, left
}

// Ends notes that what failed succeeds. It reports whether to log it: the log has the
// beginning.
func (s *Spells) Ends() (tell bool) {
	if s.failing && !s.telling {
		s.left++
	}
	tell = s.failing && s.telling
	s.failing = false
	return tell
}
