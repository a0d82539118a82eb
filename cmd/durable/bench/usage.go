package bench

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A usage is what a process has used so far, or, the difference of two, in between.
type usage struct {
	CPU     time.Duration `json:"cpuNs"`
	Peak    int64         `json:"peak"`    // bytes of memory at most, since the last forgetPeak; 0 if unknown
	Written int64         `json:"written"` // bytes written to disks; 0 if unknown
	Ran     int64         `json:"ran"`     // runs of tasks
	// Late is how late the runs of delayed tasks began, since the last ask.
	Late *hdrhistogram.Snapshot `json:"late,omitempty"`
}

// usageHere is that of this process.
func usageHere() usage {
	u := usage{CPU: cpuTime()}
	u.Written = procNumber("/proc/self/io", "write_bytes: %d")
	u.Peak = 1024 * procNumber("/proc/self/status", "VmHWM: %d kB")
	return u
}

// procNumber finds a number in a file of Linux; 0 elsewhere.
func procNumber(file, format string) (n int64) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Sscanf(line, format, &n); err == nil {
			return n
		}
	}
	return 0
}

// forgetPeak has the most memory counted from now on, where Linux does so.
func forgetPeak() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

// minus is what was used since an earlier u; the peak is the latest.
func (u usage) minus(before usage) usage {
	u.CPU -= before.CPU
	u.Written -= before.Written
	u.Ran -= before.Ran
	return u
}

// plus is what two processes used together.
func (u usage) plus(v usage) usage {
	u.CPU += v.CPU
	u.Peak += v.Peak
	u.Written += v.Written
	u.Ran += v.Ran
	return u
}

// newHist returns a histogram of durations from 1 µs to 10 minutes, kept to three
// digits.
//
// It is the HDR histogram of hdrhistogram-go, which is kept by the authors of the
// format: its counts are by buckets whose width grows with the value, so that the
// worst of a million is as exact as the median, in memory that does not grow.
func newHist() *hdrhistogram.Histogram {
	return hdrhistogram.New(1000, (10 * time.Minute).Nanoseconds(), 3)
}
