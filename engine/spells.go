package engine

import "time"

// SpellsEvery is the shortest time between two log lines about the beginning of the same kind of
// trouble.
const SpellsEvery = time.Minute

// Spells limits the log lines about one kind of trouble that comes and goes. A spell is the time
// from the first failure to the next success. At most one spell a minute is logged, with a line
// at its beginning and one at its end. The zero value is ready to use. It is not safe for
// concurrent use.
type Spells struct {
	failing, telling bool
	told             time.Time
	left             int
}

// Fails notes a failure. It reports whether to log that trouble has begun, and how many spells
// were not logged since the last line. A spell that begins within a minute after a line is logged
// only if it outlasts that minute.
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

// Ends notes a success. It reports whether to log the end of a spell, which is the case if its
// beginning was logged.
func (s *Spells) Ends() (tell bool) {
	if s.failing && !s.telling {
		s.left++
	}
	tell = s.failing && s.telling
	s.failing = false
	return tell
}
