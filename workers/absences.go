package workers

import (
	"time"
)

// mostAbsent is the most missed executors that an executor remembers, and longestName the longest
// name: any client that may call the roll can send names.
const (
	mostAbsent  = 1000
	longestName = 256
)

// absences are the executors that did not answer roll calls, according to the callers. Executors
// remember them so that a later caller learns since when an executor has been silent, and thus
// when its leases end. Only the goroutine that answers roll calls uses it.
type absences struct {
	keep time.Duration // how long to remember an executor after the last question about it
	list map[string]*absence
}

type absence struct {
	since, asked time.Time
}

// note remembers newly missed executors.
func (a *absences) note(names []string, at time.Time) {
	for _, name := range names {
		if known := a.list[name]; len(name) > longestName || known != nil && at.Sub(known.asked) <= a.keep {
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

// forget drops the executors about which nobody has asked lately.
func (a *absences) forget(at time.Time) {
	for name, known := range a.list {
		if at.Sub(known.asked) > a.keep {
			delete(a.list, name)
		}
	}
}

// of returns since when the named executors have been missed. It leaves out unknown ones.
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
