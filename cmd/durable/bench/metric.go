package bench

import (
	"fmt"
	"slices"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// values are the results of one round, by the name of the metric.
type values map[string]float64

// A Metric is one measured quantity over all rounds.
type Metric struct {
	Name  string `json:"name"`
	Label string `json:"label"`
	Unit  string `json:"unit"`
	Spread
	// Floor is the same quantity of the floor; Ratio is the ratio to it, round by round.
	Floor *Spread `json:"floor,omitempty"`
	Ratio *Spread `json:"ratio,omitempty"`
}

// A Spread holds the values of the rounds in their order, and their median, least and most.
type Spread struct {
	Median float64   `json:"median"`
	Least  float64   `json:"least"`
	Most   float64   `json:"most"`
	Rounds []float64 `json:"rounds"`
}

func spread(list []float64) Spread {
	sorted := slices.Sorted(slices.Values(list))
	middle := len(sorted) / 2
	median := sorted[middle]
	if len(sorted)%2 == 0 {
		median = (sorted[middle-1] + sorted[middle]) / 2
	}
	return Spread{Median: median, Least: sorted[0], Most: sorted[len(sorted)-1], Rounds: list}
}

// percentiles are the percentiles that a report has of each duration.
var percentiles = []struct {
	name, label string
	of          float64
}{{"P50", "p50", 50}, {"P90", "p90", 90}, {"P99", "p99", 99}, {"Max", "max", 100}}

// durations are the histograms that workloads record.
var durations = []struct{ name, label string }{
	{"latency", "latency"}, {"lateness", "late"}, {"return", "Cancel returns"}, {"end", "attempt ends"},
}

// A definition describes a metric. N in the unit stands for the noun of the workload.
type definition struct{ name, label, unit string }

// definitions returns the metrics in the order of a report.
func definitions() []definition {
	list := []definition{{"throughput", "throughput", "Ns/s"}}
	for _, d := range durations {
		for _, p := range percentiles {
			list = append(list, definition{d.name + p.name, d.label + " " + p.label, "ms"})
		}
	}
	return append(list,
		definition{"cpu", "CPU", "s/1,000 Ns"},
		definition{"cpuClient", "CPU, this process", "s/1,000 Ns"},
		definition{"cpuExecutors", "CPU, executors", "s/1,000 Ns"},
		definition{"cpuServer", "CPU, server", "s/1,000 Ns"},
		definition{"cpuChild", "CPU by child", "s/1,000 children"},
		definition{"coreClient", "this process", "% of a core"},
		definition{"coreServer", "the server", "% of a core"},
		definition{"requests", "requests", "1/s"},
		definition{"stored", "stored messages", "1/N"},
		definition{"storedReady", "stored in the queue", "1/N"},
		definition{"storedRecords", "stored records", "1/N"},
		definition{"storedControl", "stored in control", "1/N"},
		definition{"storedTimers", "stored in timers", "1/N"},
		definition{"deliveries", "deliveries", "1/N"},
		definition{"acks", "acks", "1/N"},
		definition{"sent", "sent to the server", "B/N"},
		definition{"received", "received from it", "B/N"},
		definition{"written", "written to disk", "B/N"},
		definition{"peakClient", "memory, this process", "MiB"},
		definition{"peakExecutors", "memory, executors", "MiB"},
		definition{"peakServer", "memory, server", "MiB"},
	)
}

func (d definition) of(noun string) definition {
	d.unit = strings.ReplaceAll(d.unit, "N", noun)
	return d
}

// values returns the metrics of a sample that a floor has too.
func (b *bed) values(s *sample) values {
	v := values{}
	n := float64(s.n)
	if n == 0 {
		return v
	}
	u := s.used
	here, servers, crews := u.here.CPU.Seconds(), u.servers.CPU.Seconds(), u.crews.CPU.Seconds()
	v["throughput"] = n / s.took.Seconds()
	v["written"] = float64(u.servers.Written) / n
	v["sent"], v["received"] = float64(u.sent)/n, float64(u.received)/n
	switch {
	case b.Embedded:
		v["cpu"] = 1000 * here / n
		v["written"] = float64(u.here.Written) / n
	case b.Server != "":
		v["cpuClient"], v["cpuExecutors"] = 1000*here/n, 1000*crews/n
	default:
		v["cpu"] = 1000 * (here + servers + crews) / n
		v["cpuClient"], v["cpuServer"], v["cpuExecutors"] = 1000*here/n, 1000*servers/n, 1000*crews/n
	}
	for name, h := range s.hists {
		for _, p := range percentiles {
			v[name+p.name] = float64(h.ValueAtPercentile(p.of)) / 1e6
		}
	}
	if b.Executors == 0 {
		delete(v, "cpuExecutors")
	} else { // this process does not see the traffic of other processes
		delete(v, "sent")
		delete(v, "received")
	}
	return v
}

// worth returns all metrics of a sample of the engine.
func (b *bed) worth(w *workload, s *sample) values {
	v := b.values(s)
	u, n := s.used, float64(s.n)
	const mib = 1 << 20
	v["peakClient"], v["peakServer"], v["peakExecutors"] = float64(u.here.Peak)/mib, float64(u.servers.Peak)/mib, float64(u.crews.Peak)/mib
	if w.idle {
		idle := values{"requests": float64(u.requests) / s.took.Seconds(), "coreClient": 100 * u.here.CPU.Seconds() / s.took.Seconds()}
		if len(b.target.processes) > 0 {
			idle["coreServer"] = 100 * u.servers.CPU.Seconds() / s.took.Seconds()
		}
		idle["peakClient"], idle["peakServer"] = v["peakClient"], v["peakServer"]
		return idle
	}
	if w.name == "fanout" && b.Children > 0 && v["cpu"] > 0 {
		v["cpuChild"] = v["cpu"] / float64(b.Children)
	}
	var sum uint64
	for i, name := range []string{"storedReady", "storedRecords", "storedControl", "storedTimers"} {
		v[name] = float64(u.stored[i]) / n
		sum += u.stored[i]
	}
	v["stored"], v["acks"], v["deliveries"] = float64(sum)/n, float64(u.acks)/n, float64(u.deliveries)/n
	return v
}

// conclude computes the metrics from the rounds. It leaves out a metric that no round has, and
// values of zero that mean that the value is unknown.
func (r *Report) conclude(w *workload) {
	r.Rounds = len(r.rounds)
	for _, d := range definitions() {
		d = d.of(w.noun)
		var ours, floors, ratios []float64
		for _, round := range r.rounds {
			v, ok := round.ours[d.name]
			if !ok || (v == 0 && zeroIsUnknown(d.name)) {
				continue
			}
			ours = append(ours, v)
			if f := round.floor[d.name]; f > 0 {
				floors, ratios = append(floors, f), append(ratios, v/f)
			}
		}
		if len(ours) == 0 {
			continue
		}
		m := Metric{Name: d.name, Label: d.label, Unit: d.unit, Spread: spread(ours)}
		if len(floors) > 0 {
			f, q := spread(floors), spread(ratios)
			m.Floor, m.Ratio = &f, &q
		}
		r.Metrics = append(r.Metrics, m)
	}
	for _, d := range durations {
		if h := r.ours[d.name]; h != nil && h.TotalCount() > 0 {
			r.Distributions = append(r.Distributions, Distribution{Name: d.name, Label: d.label, Unit: "ms", Count: h.TotalCount(),
				Points: points(h), Floor: points(r.floors[d.name])})
		}
	}
}

// zeroIsUnknown reports whether a zero means that the metric could not be measured.
func zeroIsUnknown(name string) bool {
	return strings.HasPrefix(name, "cpu") || strings.HasPrefix(name, "peak") || name == "written"
}

// A Distribution holds the percentiles of a duration over all rounds.
type Distribution struct {
	Name   string  `json:"name"`
	Label  string  `json:"label"`
	Unit   string  `json:"unit"`
	Count  int64   `json:"count"`
	Points []Point `json:"points"`
	Floor  []Point `json:"floor,omitempty"`
}

// A Point says that Percentile percent took at most Value.
type Point struct {
	Percentile float64 `json:"percentile"`
	Value      float64 `json:"value"`
}

// pointPercentiles are the percentiles of a distribution's points.
var pointPercentiles = []float64{1, 5, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.99, 100}

func points(h *hdrhistogram.Histogram) []Point {
	if h == nil || h.TotalCount() == 0 {
		return nil
	}
	var list []Point
	for _, p := range pointPercentiles {
		list = append(list, Point{p, float64(h.ValueAtPercentile(p)) / 1e6})
	}
	return list
}

// Find returns a metric by its name.
func (r *Report) Find(name string) (Metric, error) {
	for _, m := range r.Metrics {
		if m.Name == name {
			return m, nil
		}
	}
	return Metric{}, fmt.Errorf("%s has no metric %q", r.Workload, name)
}
