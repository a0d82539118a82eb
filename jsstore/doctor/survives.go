package doctor

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// unconfigured is how often a server syncs if sync_interval is not configured.
const unconfigured = 2 * time.Minute

// survives says in sentences what an acknowledged enqueue survives. The weakest of the
// namespace's streams decides.
func (e *examiner) survives() []string {
	if len(e.streams) == 0 {
		return nil
	}
	replicas, memory, async := 0, false, false
	for _, info := range e.streams {
		if n := info.Config.Replicas; replicas == 0 || n < replicas {
			replicas = n
		}
		memory = memory || info.Config.Storage == jetstream.MemoryStorage
		async = async || info.Config.PersistMode == jetstream.AsyncPersistMode
	}
	switch {
	case memory && replicas == 1:
		return []string{"Nothing: it is kept in the memory of one server, and lost when that server stops for any reason."}
	case memory:
		return []string{
			fmt.Sprintf("The loss of any %s: it is kept in the memory of %d.", lost(replicas), replicas),
			"Not a stop of all servers at once, for instance by a power failure: then everything is lost.",
		}
	case async:
		return []string{"Not even a killed server: with persist mode async the server acknowledges before it writes anything."}
	case replicas == 1:
		return append([]string{"A killed server process, or one that runs out of memory: nothing is lost, and everything continues when it is started again."},
			e.onPowerFailure(), "Not a lost disk: there is one copy. nats stream backup makes another.")
	}
	return append([]string{fmt.Sprintf("Any %s killed or cut off: nothing is lost, and everything continues after an election, which takes seconds.", lost(replicas))},
		e.onPowerFailureOfMany(), fmt.Sprintf("The disks of %s lost: nothing is lost. Without a majority nothing is accepted until there is a majority again.", lost(replicas)))
}

// lost says how many of the servers may fail.
func lost(replicas int) string {
	if n := (replicas - 1) / 2; n != 1 {
		return fmt.Sprintf("%d servers of %d", n, replicas)
	}
	return fmt.Sprintf("one server of %d", replicas)
}

// worstSync returns the longest time that a write may wait for the disk; zero means no wait. It
// returns false if a server does not report its sync_interval.
func (e *examiner) worstSync() (time.Duration, bool) {
	worst := time.Duration(0)
	for _, s := range e.reached() {
		switch {
		case s.Sync == nil:
			return unconfigured, false
		case !s.Sync.Always:
			worst = max(worst, s.Sync.Interval)
		}
	}
	return worst, true
}

func (e *examiner) onPowerFailure() string {
	worst, known := e.worstSync()
	switch {
	case !known:
		return "A power failure, or a crash of the system, loses what was acknowledged in the last sync_interval, which is not known here: 2 minutes unless it is configured."
	case worst == 0:
		return "A power failure, or a crash of the system: nothing is lost."
	}
	// A write waits up to one interval for the next sync, and up to one more until that sync
	// ends.
	return fmt.Sprintf("A power failure, or a crash of the system, may lose what was acknowledged in about the last %s.", 2*worst)
}

func (e *examiner) onPowerFailureOfMany() string {
	worst, known := e.worstSync()
	switch {
	case !known:
		return "A power failure of a majority at once may lose what was acknowledged in the last sync_interval, which is not known here: 2 minutes unless it is configured. " +
			"A server that crashes alone may come back without what it had acknowledged."
	case worst == 0:
		return "A power failure, even of all servers at once: nothing is lost."
	}
	return fmt.Sprintf("A power failure of a majority at once may lose what was acknowledged in about the last %s. One that crashes alone may come back without what it "+
		"had acknowledged; with cut connections on top, replicas may come to disagree. sync_interval: always rules out both.", 2*worst)
}
