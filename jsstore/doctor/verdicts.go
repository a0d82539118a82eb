package doctor

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/durable-execution/durable/jsstore/internal/namespace"
)

const (
	// goodAPILevel is the API level of nats-server 2.15, which batches the flushes of replicas.
	goodAPILevel = 5
	// clockTolerance is how far clocks may be apart before delays, time-outs and ids that sort
	// by time are visibly wrong.
	clockTolerance = time.Second
	// slowSync is longer than anybody wants to lose. The default of NATS is 2 minutes.
	slowSync = time.Second
)

func (e *examiner) judgeVersions() {
	versions := map[string][]string{}
	for _, s := range e.Servers {
		if s.Failure != "" {
			e.find(Warning, "server.reached", s.URL, "does not take a connection: "+s.Failure,
				"it is down, or can't be reached at the address that the cluster gives; it was not examined", "start it, or see `client_advertise` in its configuration")
			continue
		}
		versions[s.Version] = append(versions[s.Version], s.label())
	}
	version, level := e.Servers[0].Version, 0
	if e.account != nil {
		level = e.account.API.Level
	}
	switch {
	case e.account == nil:
	case level < namespace.MinAPILevel:
		e.find(Problem, "server.version", "", fmt.Sprintf("nats-server %s has JetStream API level %d", version, level),
			fmt.Sprintf("timers need level %d, which is nats-server 2.14: no namespace can be opened", namespace.MinAPILevel), "upgrade to nats-server 2.15.2 or later")
	case level < goodAPILevel:
		e.find(Warning, "server.version", "", fmt.Sprintf("nats-server %s has JetStream API level %d", version, level),
			"it works, but with sync_interval: always a replicated stream flushes each message by itself, ten times slower than from 2.15 on; this program is tested with 2.15",
			"upgrade to nats-server 2.15.2 or later")
	}
	if len(versions) > 1 {
		e.find(Warning, "server.version", "", "the servers of the cluster have several versions: "+grouping(versions),
			"this is normal during an upgrade; until it ends, features that the older servers lack can't be used reliably", "upgrade the others")
	}
	e.fine("server.version", "nats-server %s%s%s", version, levelWords(level), e.clusterWords())
}

func levelWords(level int) string {
	if level == 0 {
		return ""
	}
	return fmt.Sprintf(", JetStream API level %d", level)
}

// clusterWords says how many servers there are, if there are several.
func (e *examiner) clusterWords() string {
	if n := len(e.Servers); n > 1 {
		return fmt.Sprintf(", %d servers known", n)
	}
	return ""
}

// grouping lists names, grouped by their key.
func grouping(m map[string][]string) string {
	var parts []string
	for what, who := range m {
		slices.Sort(who)
		parts = append(parts, what+" ("+some(who)+")")
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// some lists the first few names of many.
func some(list []string) string {
	const most = 5
	if len(list) > most {
		return strings.Join(list[:most], ", ") + fmt.Sprintf(" and %d more", len(list)-most)
	}
	return strings.Join(list, ", ")
}

func (e *examiner) judgePayload() {
	sizes := map[string][]string{}
	for _, s := range e.Servers {
		if s.MaxPayload > 0 {
			sizes[bytesOf(s.MaxPayload)] = append(sizes[bytesOf(s.MaxPayload)], s.label())
		}
	}
	if len(sizes) > 1 {
		e.find(Warning, "server.max_payload", "", "max_payload differs: "+grouping(sizes),
			"one server accepts what another refuses: an executor that reconnects can't write its outcome", "the same `max_payload` in the configuration of all servers")
	}
	const fix = "`max_payload: 8MB` in the server's configuration, and a restart"
	size := e.rpc.Conn.MaxPayload()
	switch {
	case size <= namespace.Reserve:
		e.find(Problem, "server.max_payload", "", fmt.Sprintf("max_payload is %s; a record may need %s of that in addition to its payloads", bytesOf(size), bytesOf(namespace.Reserve)),
			"every payload is stored in messages of its own, and a record with a long history can't be written", fix)
	case size < 1<<20:
		e.find(Warning, "server.max_payload", "", fmt.Sprintf("max_payload is %s: an input or output longer than %s is stored in a message of its own", bytesOf(size), bytesOf(int64(e.ns.Inline()))),
			"each of these costs one more write and one more read", fix)
	}
	e.fine("server.max_payload", "messages of up to %s; longer inputs and outputs than %s are stored in messages of their own", bytesOf(size), bytesOf(int64(e.ns.Inline())))
}

func (e *examiner) judgeSync() {
	unknown := 0
	for _, s := range e.reached() {
		if s.Sync == nil {
			unknown++
			continue
		}
		if !s.Sync.Always && s.Sync.Interval > slowSync {
			e.find(Warning, "server.sync", s.label(), fmt.Sprintf("sync_interval is %s", s.Sync.Interval),
				fmt.Sprintf("a power failure may lose what was acknowledged in the last %s, and on a replicated stream leave servers that disagree", s.Sync.Interval),
				`jetstream { sync_interval: always } in the server's configuration; "10ms" on a single server that must be fast`)
		}
		e.judgeStoreDir(s)
	}
	if unknown > 0 {
		e.find(Note, "server.sync", "", fmt.Sprintf("how %s to the disk could not be learned: only the system account and the monitoring port report it", servers(unknown, "writes", "write")),
			"with nats-server's default, a power failure may lose the last 2 minutes: see what an acknowledged enqueue survives",
			"doctor --system nats://USER:PASSWORD@HOST:PORT with a user of the system account, or --monitor http://HOST:8222")
		return
	}
	e.fine("server.sync", "files are forced to the disk %s", e.syncWords())
	e.fine("server.store_dir", "stored in %s", e.Servers[0].Sync.StoreDir)
}

// reached returns the servers that could be asked. The first one always could.
func (e *examiner) reached() []ServerSeen {
	return slices.DeleteFunc(slices.Clone(e.Servers), func(s ServerSeen) bool { return s.Failure != "" })
}

func (e *examiner) judgeStoreDir(s ServerSeen) {
	dir := s.Sync.StoreDir
	if dir == "" || !temporaryDir(dir) {
		return
	}
	severity, fix := Warning, `jetstream { store_dir: "/var/lib/nats" } in the server's configuration`
	if s.Sync == e.Sync { // the caller runs the server and has chosen the directory
		severity, fix = Note, "open it in another directory"
	}
	e.find(severity, "server.store_dir", s.label(), "everything is stored in "+dir, "a directory that systems empty when they start, and some of them while they run", fix)
}

func servers(n int, one, many string) string {
	if n == 1 {
		return "a server " + one
	}
	return fmt.Sprintf("%d servers %s", n, many)
}

// syncWords says when files are synced to the disk, if all servers report it.
func (e *examiner) syncWords() string {
	always, worst := true, time.Duration(0)
	for _, s := range e.reached() {
		if !s.Sync.Always {
			always, worst = false, max(worst, s.Sync.Interval)
		}
	}
	if always {
		return "before a write is acknowledged"
	}
	return "every " + worst.String()
}

func temporaryDir(dir string) bool {
	for _, tmp := range []string{"/tmp", "/var/tmp", "/dev/shm", "/run"} {
		if rel, err := filepath.Rel(tmp, dir); err == nil && filepath.IsLocal(rel) {
			return true
		}
	}
	return false
}

func (e *examiner) judgeClocks() {
	known, most := 0, time.Duration(0)
	for _, s := range e.Servers {
		if s.Give == 0 {
			continue
		}
		known++
		most = max(most, s.Ahead.Abs())
		if s.Ahead.Abs() > clockTolerance+s.Give {
			e.find(Warning, "server.clock", s.label(), "its clock is "+offBy(s.Ahead, s.Give),
				"clients set delays, back-offs and time-outs, and servers keep them: they are wrong by as much", "run a time service (chrony, systemd-timesyncd) on both machines")
		}
	}
	if known > 0 {
		e.fine("server.clock", "%s at most %s from this one", clocks(known), max(most.Round(time.Millisecond), time.Millisecond))
	}
}

func clocks(n int) string {
	if n == 1 {
		return "the server's clock is"
	}
	return fmt.Sprintf("the clocks of %d servers are", n)
}

// offBy says how far a clock differs from this one.
func offBy(ahead, give time.Duration) string {
	way := "ahead of"
	if ahead < 0 {
		way = "behind"
	}
	return fmt.Sprintf("%s (± %s) %s this one", ahead.Abs().Round(time.Millisecond), give.Round(time.Millisecond), way)
}
