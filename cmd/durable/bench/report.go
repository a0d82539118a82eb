package bench

import (
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A Report holds the results of a workload, with the settings and the machine.
type Report struct {
	Workload string    `json:"workload"`
	About    string    `json:"about"`
	Noun     string    `json:"noun"` // what the workload counts, such as execution
	Started  time.Time `json:"started"`
	// Interrupted means that an interruption ended the run before its last round.
	Interrupted   bool           `json:"interrupted"`
	Rounds        int            `json:"rounds"`
	FloorIs       string         `json:"floorIs,omitempty"`
	Metrics       []Metric       `json:"metrics"`
	Distributions []Distribution `json:"distributions,omitempty"`
	Settings      Settings       `json:"settings"`
	Machine       Machine        `json:"machine"`

	rounds       []round
	ours, floors map[string]*hdrhistogram.Histogram
}

// Settings are the settings of a run, including the defaults. Durations are in milliseconds.
type Settings struct {
	Place     string  `json:"place"`
	Transport string  `json:"transport"`
	Replicas  int     `json:"replicas"`
	Sync      string  `json:"syncInterval"`
	Count     int     `json:"count,omitempty"`
	ForMS     int64   `json:"forMs,omitempty"`
	Warmup    int     `json:"warmup"`
	Payload   int     `json:"payload"`
	Callers   int     `json:"callers"`
	Slots     int     `json:"slots,omitempty"`
	Executors int     `json:"executors"` // executor processes; 0 means an executor in this process
	Rate      float64 `json:"rate,omitempty"`
	Children  int     `json:"children,omitempty"`
	Steps     int     `json:"steps,omitempty"`
	DelayMS   int64   `json:"delayMs,omitempty"`
	Stored    int     `json:"stored,omitempty"`
	Waiting   int     `json:"waiting,omitempty"`
	Manned    bool    `json:"manned"` // an executor runs
}

// A Machine describes the machine and the versions.
type Machine struct {
	Platform   string `json:"platform"`
	Cores      int    `json:"cores"` // the cores that Go uses
	Model      string `json:"model,omitempty"`
	Load       string `json:"load,omitempty"` // the load average of the minute before the start
	Go         string `json:"go"`
	Durable    string `json:"durable"`
	NATSClient string `json:"natsClient"`
	NATSServer string `json:"natsServer"`
}

type round struct{ ours, floor values }

func newReport(c Config, w *workload) *Report {
	r := &Report{
		Workload: w.name, About: w.about, Noun: w.noun, Started: time.Now().UTC().Truncate(time.Millisecond),
		Settings: Settings{
			Place: c.place(), Transport: c.transport(), Replicas: c.Replicas, Sync: c.sync(),
			Count: c.Count, ForMS: c.For.Milliseconds(), Warmup: max(c.Warmup, 0), Payload: c.Payload, Callers: c.Callers,
			Slots: c.Slots, Executors: c.Executors, Rate: c.Rate, Stored: c.Stored, Waiting: c.Waiting, Manned: !w.unmanned,
		},
		Machine: Machine{Platform: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.GOMAXPROCS(0), Go: runtime.Version(), Model: model(), Load: load()},
		ours:    map[string]*hdrhistogram.Histogram{}, floors: map[string]*hdrhistogram.Histogram{},
	}
	if !c.NoFloor {
		r.FloorIs = w.floorIs
	}
	if w.unmanned {
		r.Settings.Slots = 0
	}
	switch w.name {
	case "fanout":
		r.Settings.Children = c.Children
	case "sequence":
		r.Settings.Steps = c.Steps
	case "delayed":
		r.Settings.DelayMS = c.Delay.Milliseconds()
	}
	r.Machine.Durable = "(unknown)"
	if info, ok := debug.ReadBuildInfo(); ok {
		r.Machine.Durable = info.Main.Version
		for _, d := range info.Deps {
			if d.Path == "github.com/nats-io/nats.go" {
				r.Machine.NATSClient = d.Version
			}
		}
	}
	return r
}

// knows adds the version and the name of the server.
func (r *Report) knows(b *bed) {
	r.Machine.NATSServer = b.conns[0].ConnectedServerVersion()
	if b.Server != "" {
		r.Settings.Place += ", " + b.conns[0].ConnectedServerName()
	}
}

func (r *Report) add(ours, floor values, s, least *sample) {
	r.rounds = append(r.rounds, round{ours, floor})
	merge(r.ours, s)
	merge(r.floors, least)
}

func merge(into map[string]*hdrhistogram.Histogram, s *sample) {
	if s == nil {
		return
	}
	for name, h := range s.hists {
		if into[name] == nil {
			into[name] = newHist()
		}
		into[name].Merge(h)
	}
}

// model returns the name of the processor, on Linux; elsewhere it is empty.
func model() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// load returns the load average of the last minute, on Linux; elsewhere it is empty.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	one, _, _ := strings.Cut(string(text), " ")
	return one
}
