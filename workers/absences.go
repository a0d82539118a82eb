package workers

import (
	"time"
)

// mostAbsent bounds how many executors an executor remembers as missed.
const mostAbsent = 1000

// Absences are the executors that roll calls have missed, as somebody who called has told.
// Executors remember them so that whoever looks later, and knows nothing, learns since when
// an executor is silent: its leases end that long after. Used by one goroutine at a time,
// the one that answers roll calls.
type absences struct {
	keep time.Duration // for so long after somebody asked last
	list map[string]*absence
}

type absence struct {
	since, asked time.Time
}

// note remembers executors that were missed now, unless it knows of them.
func (a *absences) note(names []string, at time.Time) {
	for _, name := range names {
		if known := a.list[name]; known != nil && at.Sub(known.asked) <= a.keep {
			continue
		}
		if len(a.list) >= mostAbsent {
			a.forget(at)
		}
		if a.list == nil {
			a.list = map[string]*absence{}
		}
		if len(a.list) < mostAbsent {
			a.list[name] = &absence{since: at, asked: at}
		}
	}
}

// forget drops those that nobody has asked about lately.
func (a *absences) forget(at time.Time) {
	for name, known := range a.list {
		if at.Sub(known.asked) > a.keep {
			delete(a.list, name)
		}
	}
}

// of returns since when those of the names are missed that it knows.
func (a *absences) of(names []string, at time.Time) map[string]time.Time {
	var since map[string]time.Time
	for _, name := range names {
		known := a.list[name]
		if known == nil || at.Sub(known.asked) > a.keep {
			continue
		}
		known.asked = at
		if since == nil {
			since = map[string]time.Time{}
		}
		since[name] = known.since
	}
	return since
}
