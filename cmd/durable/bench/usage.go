package bench

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A usage holds the resources that a process has used so far. The difference of two holds the
// resources used in between.
type usage struct {
	CPU     time.Duration `json:"cpuNs"`
	Peak    int64         `json:"peak"`    // the most bytes of memory since the last forgetPeak; 0 if unknown
	Written int64         `json:"written"` // bytes written to disks; 0 if unknown
	Ran     int64         `json:"ran"`     // runs of tasks
	// Late is how late the runs of delayed tasks began, since the previous request.
	Late *hdrhistogram.Snapshot `json:"late,omitempty"`
}

// usageHere returns the usage of this process.
func usageHere() usage {
	u := usage{CPU: cpuTime()}
	u.Written = procNumber("/proc/self/io", "write_bytes: %d")
	u.Peak = 1024 * procNumber("/proc/self/status", "VmHWM: %d kB")
	return u
}

// procNumber finds a number in a file of /proc; 0 on other systems than Linux.
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

// forgetPeak resets the peak of memory, on Linux.
func forgetPeak() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

// minus returns the usage since an earlier one, with the later peak.
func (u usage) minus(before usage) usage {
	u.CPU -= before.CPU
	u.Written -= before.Written
	u.Ran -= before.Ran
	return u
}

// plus returns the usage of two processes together.
func (u usage) plus(v usage) usage {
	u.CPU += v.CPU
	u.Peak += v.Peak
	u.Written += v.Written
	u.Ran += v.Ran
	return u
}

// newHist returns a histogram of durations from 1 µs to 10 minutes, exact to three digits.
//
// It is the HDR histogram of hdrhistogram-go, which the authors of the format maintain. The
// width of its buckets grows with the value, so the worst of a million values is as exact as the
// median, and the memory does not grow.
func newHist() *hdrhistogram.Histogram {
	return hdrhistogram.New(1000, (10 * time.Minute).Nanoseconds(), 3)
}
