package workers

import (
	"log/slog"
	"sync"
	"time"
)

// seldomEvery is how often the same trouble is told again.
const seldomEvery = time.Hour

// seldom keeps trouble that comes with each of many messages from filling the log.
type seldom struct {
	mu   sync.Mutex
	told map[[2]string]time.Time
}

// level returns at which level to log what happens about a thing: the given one the
// first time and once an hour, debug in between.
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
