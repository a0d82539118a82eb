// Package bench measures what executions cost, and in the same run and on the same server
// the floor: what JetStream itself needs to store, deliver and delete as many messages. It
// owns the servers and executors that it starts and the namespace that it fills; it knows
// nothing of command lines and screens.
package bench

import (
	"errors"
	"fmt"
	"time"
)

// A Config says what Run measures, and on which server. With only Workload set, Run
// measures the workload on a server in a process of its own.
type Config struct {
	// Workload is the name of one of Workloads.
	Workload string

	// Embedded runs the server in this process. Server is the URL of a server elsewhere.
	// With neither, Run starts a server as a process of its own and connects over TCP.
	Embedded bool
	Server   string
	// Replicas is the number of copies of each stream; zero means 1. With more than 1 and
	// no Server, Run starts a cluster of as many servers.
	Replicas int
	// SyncInterval is how often the servers that Run starts sync their files to the disk;
	// zero means 10 ms. With SyncAlways they sync before each acknowledgement.
	SyncInterval time.Duration
	SyncAlways   bool
	// Dir is the directory in which each of those servers gets a directory for its files,
	// which Run removes. Empty means the system's directory for temporary files.
	Dir string

	// Count is how many executions (or trees) a round does; For is how long a round starts
	// new ones. Set at most one of them; with neither, the workload's count applies.
	Count int
	For   time.Duration
	// Warmup is how many executions to do before the first round; zero means a tenth of
	// Count, and NoWarmup means none.
	Warmup int
	// Rounds is how many times to measure; zero means 5.
	Rounds int

	// Payload is the size of an input in bytes; zero means 300.
	Payload int
	// Callers is how many goroutines enqueue at the same time; zero means the workload's.
	Callers int
	// Slots is how many attempts an executor runs at once; zero means 500.
	Slots int
	// Executors is how many executor processes to start; with zero, this process runs one.
	Executors int

	// Rate is how many executions the workloads latency and delayed start per second
	// without waiting for earlier ones. Zero means one after the other for latency, and
	// all at once for delayed.
	Rate float64
	// Children of a parent and Steps of a sequence; zero means 10 and 5.
	Children, Steps int
	// Delay of each execution in the workload delayed; zero means 2 s.
	Delay time.Duration

	// Stored and Waiting are how many finished and how many delayed executions to store
	// before the first round.
	Stored, Waiting int

	// NoFloor skips measuring the floor.
	NoFloor bool
	// CPUProfile is a file for the CPU profile of this process during the last round,
	// without the floor. Empty means no profile.
	CPUProfile string

	// Program is the command line of a process that calls Serve with the argument that Run
	// appends. It is needed for servers and executors in processes of their own.
	Program []string
}

// NoWarmup as a Warmup means no warm-up.
const NoWarmup = -1

// ErrConfig is wrapped by the error of Check and Run for an invalid Config.
var ErrConfig = errors.New("can't be measured")

// Check returns an error that wraps ErrConfig if c is invalid.
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
		{c.Embedded && c.Server != "", "embedded and a server elsewhere exclude each other"},
		{c.Replicas < 1 || c.Replicas > 5, fmt.Sprintf("%d replicas: want 1 to 5", c.Replicas)},
		{c.Server != "" && (c.SyncInterval != 0 || c.SyncAlways), "the sync interval of a server elsewhere is set in its own configuration"},
		{c.SyncInterval != 0 && c.SyncInterval < time.Millisecond, fmt.Sprintf("sync interval %s: less than 1ms", c.SyncInterval)},
		{c.Count < 0, fmt.Sprintf("a count of %d: negative", c.Count)},
		{c.For < 0, fmt.Sprintf("a round of %s: negative", c.For)},
		{c.Count > 0 && c.For > 0, "a count and a duration both end a round: give one"},
		{c.Warmup < NoWarmup, fmt.Sprintf("a warm-up of %d: negative", c.Warmup)},
		{c.Rounds < 1, fmt.Sprintf("%d rounds: want at least 1", c.Rounds)},
		{c.Payload < 0 || c.Payload > 1<<20, fmt.Sprintf("a payload of %d bytes: want 1 to 1048576", c.Payload)},
		{c.Callers < 0 || c.Callers > 10_000, fmt.Sprintf("%d callers: want 1 to 10000", c.Callers)},
		{c.Slots < 0, fmt.Sprintf("%d slots: negative", c.Slots)},
		{c.Executors < 0 || c.Executors > 64, fmt.Sprintf("%d executor processes: want 0 to 64", c.Executors)},
		{c.Executors > 0 && w.here, fmt.Sprintf("the workload %s needs its executor in this process", w.name)},
		{c.Executors > 0 && c.Embedded, "other processes can't connect to an embedded server, so executor processes need another one"},
		{!(c.Rate == 0 || c.Rate >= 1e-3 && c.Rate <= 1e6), fmt.Sprintf("a rate of %g a second: want 0.001 to 1000000", c.Rate)},
		{c.Rate > 0 && !w.paced, fmt.Sprintf("the workload %s takes no rate: only latency and delayed do", w.name)},
		{c.Children < 0, fmt.Sprintf("%d children: negative", c.Children)},
		{c.Steps < 0, fmt.Sprintf("%d steps: negative", c.Steps)},
		{c.Delay < time.Second, fmt.Sprintf("a delay of %s: want at least 1s, below which the server's timers are not used", c.Delay)},
		{c.Stored < 0 || c.Waiting < 0, "a negative number of stored or waiting executions"},
		{c.Executors > 0 && len(c.Program) == 0, "executor processes need a program"},
		{!c.Embedded && c.Server == "" && len(c.Program) == 0, "a server process needs a program"},
	} {
		if bad.is {
			return c, nil, fmt.Errorf("%w: %s", ErrConfig, bad.says)
		}
	}
	return c, w, nil
}

// transport describes how this process reaches the server.
func (c Config) transport() string {
	switch {
	case c.Server != "":
		return "TCP"
	case c.Embedded && c.Replicas == 1:
		return "inside the process"
	}
	return "TCP on loopback"
}

// place describes where the server runs.
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

// sync describes when the server syncs its files to the disk.
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
