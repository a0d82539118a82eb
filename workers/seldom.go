package workers

import (
	"log/slog"
	"sync"
	"time"
)

// seldomEvery is how often the same trouble is logged again.
const seldomEvery = time.Hour

// seldom limits how often the same trouble is logged, because each of many messages may cause it.
type seldom struct {
	mu   sync.Mutex
	told map[[2]string]time.Time
}

// level returns the level at which to log an occurrence of what about a subject: l for the first
// one and then once an hour, debug in between.
func (s *seldom) level(l slog.Level, what, about string) slog.Level {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := [2]string{what, about}
	if last, known := s.told[key]; known && time.Since(last) < seldomEvery {
		return slog.LevelDebug
	}
	if s.told == nil {
		s.told = map[[2]string]time.Time{}
	}
	s.told[key] = time.Now()
	return l
}
