// Package bench measures what executions cost, beside the floor: what JetStream
// itself needs to keep, deliver and forget as much, measured in the same run on the
// same server. It owns the servers and executors that it starts and the namespace
// that it fills; it knows nothing of command lines and screens.
package bench

import (
	"errors"
	"fmt"
	"time"
)

// A Config says what is measured, and on what. The zero Config of a workload
// measures it on a server in a process of its own.
type Config struct {
	// Workload is the name of one of Workloads.
	Workload string

	// Embedded has the server in this process. Server is the URL of one elsewhere.
	// With neither, it is started as a process of its own, and reached over TCP.
	Embedded bool
	Server   string
	// Replicas of what is stored; zero means 1. With more, and without Server, as
	// many servers are started as a cluster.
	Replicas int
	// SyncInterval is how often the servers that are started force what they have
	// written to the disk; zero means 10 ms. SyncAlways has them do it before they
	// acknowledge.
	SyncInterval time.Duration
	SyncAlways   bool
	// Dir is where those servers keep their files, each in a directory of its own
	// that is removed. Empty means the system's directory for temporary files.
	Dir string

	// Count is how many are done in a round, For how long a round begins new ones.
	// One of them may be set; with neither it is the workload's count.
	Count int
	For   time.Duration
	// Warmup is how many are done before the first round; zero means a tenth of the
	// count, and NoWarmup none.
	Warmup int
	// Rounds is how often it is measured; zero means 5.
	Rounds int

	// Payload is the bytes of an input; zero means 300.
	Payload int
	// Callers is how many enqueue at the same time; zero means the workload's.
	Callers int
	// Slots is how many attempts an executor runs at once; zero means 500.
	Slots int
	// Executors is how many processes execute; with zero, this one does.
	Executors int

	// Rate is how many a second the workloads latency and delayed begin, whatever
	// becomes of those before; zero means one after the other, or all at once.
	Rate float64
	// Children of a parent and Steps of a sequence; zero means 10 and 5.
	Children, Steps int
	// Delay of what is delayed; zero means 2 s.
	Delay time.Duration

	// Stored and Waiting are how many finished and how many delayed executions there
	// are before anything is measured.
	Stored, Waiting int

	// NoFloor leaves the floor out.
	NoFloor bool
	// CPUProfile is a file for the CPU profile of this process over the last round,
	// the floor not included. Empty means none.
	CPUProfile string

	// Program is the command line that makes a process call Serve with one more
	// argument. It is needed for servers and executors in processes of their own.
	Program []string
}

// NoWarmup goes without a warm-up.
const NoWarmup = -1

// ErrConfig is what Run returns for a Config that makes no sense.
var ErrConfig = errors.New("can't be measured")

// Check returns an error that wraps ErrConfig if c makes no sense.
func (c Config) Check() error {
	_, _, err := c.complete()
	return err
}

func (c Config) complete() (Config, *workload, error) {
	w := find(c.Workload)
	if w == nil {
		return c, nil, fmt.Errorf("%w: there is no workload %q", ErrConfig, c.Workload)
	}
	for _, zero := range []struct {
		value *int
		means int
	}{
		{&c.Replicas, 1}, {&c.Rounds, w.rounds}, {&c.Rounds, 5}, {&c.Payload, 300}, {&c.Callers, w.callers}, {&c.Callers, 1},
		{&c.Slots, 500}, {&c.Children, 10}, {&c.Steps, 5},
	} {
		if *zero.value == 0 {
			*zero.value = zero.means
		}
	}
	if c.Count == 0 && c.For == 0 {
		c.Count, c.For = w.count, w.duration
	}
	if c.Warmup == 0 {
		c.Warmup = max(1, w.count/10)
		if c.Count > 0 {
			c.Warmup = max(1, c.Count/10)
		}
	}
	if c.Delay == 0 {
		c.Delay = 2 * time.Second
	}
	for _, bad := range []struct {
		is   bool
		says string
	}{
		{c.Embedded && c.Server != "", "a server in this process and one elsewhere are two"},
		{c.Replicas < 1 || c.Replicas > 5, fmt.Sprintf("%d replicas: want 1 to 5", c.Replicas)},
		{c.Server != "" && (c.SyncInterval != 0 || c.SyncAlways), "how a server elsewhere syncs is its configuration's to say"},
		{c.SyncInterval != 0 && c.SyncInterval < time.Millisecond, fmt.Sprintf("sync interval %s: less than 1ms", c.SyncInterval)},
		{c.Count < 0, fmt.Sprintf("a count of %d", c.Count)},
		{c.For < 0, fmt.Sprintf("a round of %s", c.For)},
		{c.Count > 0 && c.For > 0, "a count and a time for a round: one of them ends it"},
		{c.Warmup < NoWarmup, fmt.Sprintf("a warm-up of %d", c.Warmup)},
		{c.Rounds < 1, fmt.Sprintf("%d rounds", c.Rounds)},
		{c.Payload < 0 || c.Payload > 1<<20, fmt.Sprintf("a payload of %d bytes: want 1 to 1048576", c.Payload)},
		{c.Callers < 0 || c.Callers > 10_000, fmt.Sprintf("%d callers: want 1 to 10000", c.Callers)},
		{c.Slots < 0, fmt.Sprintf("%d slots", c.Slots)},
		{c.Executors < 0 || c.Executors > 64, fmt.Sprintf("%d processes of executors: want 0 to 64", c.Executors)},
		{c.Executors > 0 && w.here, fmt.Sprintf("the workload %s needs its executor in this process", w.name)},
		{c.Executors > 0 && c.Embedded, "a server in this process has no port for executors in others"},
		{!(c.Rate == 0 || c.Rate >= 1e-3 && c.Rate <= 1e6), fmt.Sprintf("a rate of %g a second: want 0.001 to 1000000", c.Rate)},
		{c.Rate > 0 && !w.paced, fmt.Sprintf("the workload %s has no rate: latency and delayed have", w.name)},
		{c.Children < 0, fmt.Sprintf("%d children", c.Children)},
		{c.Steps < 0, fmt.Sprintf("%d steps", c.Steps)},
		{c.Delay < time.Second, fmt.Sprintf("a delay of %s: want 1s at least, from where on timers are the server's", c.Delay)},
		{c.Stored < 0 || c.Waiting < 0, "a negative number of executions that are there before"},
		{c.Executors > 0 && len(c.Program) == 0, "executors in processes of their own need a program"},
		{!c.Embedded && c.Server == "" && len(c.Program) == 0, "a server in a process of its own needs a program"},
	} {
		if bad.is {
			return c, nil, fmt.Errorf("%w: %s", ErrConfig, bad.says)
		}
	}
	return c, w, nil
}

// transport says how this process reaches the server.
func (c Config) transport() string {
	switch {
	case c.Server != "":
		return "TCP"
	case c.Embedded && c.Replicas == 1:
		return "inside the process"
	}
	return "TCP on loopback"
}

// place says where the server is.
func (c Config) place() string {
	switch {
	case c.Server != "":
		return "a server elsewhere"
	case c.Embedded && c.Replicas > 1:
		return fmt.Sprintf("a cluster of %d servers in this process", c.Replicas)
	case c.Embedded:
		return "a server in this process"
	case c.Replicas > 1:
		return fmt.Sprintf("a cluster of %d servers, each a process", c.Replicas)
	}
	return "a server in a process of its own"
}

// sync says when what is written is forced to the disk.
func (c Config) sync() string {
	switch {
	case c.Server != "":
		return "unknown"
	case c.SyncAlways:
		return "always"
	case c.SyncInterval != 0:
		return c.SyncInterval.String()
	}
	return "10ms"
}
