package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A report holds all measurements.
type report struct {
	Date    string  `json:"date"`
	Machine machine `json:"machine"`
	Plan    plan    `json:"plan"`
	Lines   []line  `json:"rows"`
	// Troubles lists the services that could not be installed, and why.
	Troubles []string `json:"troubles,omitempty"`
}

// A line is a row with its figures.
type line struct {
	System  string              `json:"system"`
	Level   string              `json:"durability"`
	Settles string              `json:"survives"`
	Module  string              `json:"module"`
	Version string              `json:"version"`
	Service string              `json:"service,omitempty"`
	Remarks map[workload]string `json:"remarks,omitempty"`
	Figures map[workload]figure `json:"figures"`
}

// A machine describes the machine of the measurements.
type machine struct {
	CPU    string  `json:"cpu"`
	Cores  int     `json:"cores"`
	Memory int     `json:"memoryGiB"`
	Kernel string  `json:"kernel"`
	Go     string  `json:"go"`
	Load   string  `json:"loadAverage"` // during the minute before the first row
	Disk   string  `json:"disk"`
	Sync   float64 `json:"syncMillis"` // the median time of a 4 KiB write with a sync to the disk
}

func newReport(p plan, dir string) report {
	m := machine{CPU: field("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(), Go: runtime.Version(), Disk: disk(dir), Sync: syncTime(dir)}
	var info syscall.Sysinfo_t
	if syscall.Sysinfo(&info) == nil {
		m.Memory = int((info.Totalram*uint64(info.Unit) + 1<<29) >> 30)
	}
	m.Kernel = strings.TrimSpace(read("/proc/sys/kernel/osrelease"))
	m.Load, _, _ = strings.Cut(read("/proc/loadavg"), " ")
	return report{Date: time.Now().UTC().Format("2006-01-02"), Machine: m, Plan: p}
}

func read(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return "unknown"
	}
	return string(text)
}

// field returns the first value with this name in a file of lines "name: value".
func field(file, name string) string {
	for line := range strings.Lines(read(file)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// disk returns the file system of a directory: that of the longest mount point above it.
func disk(dir string) string {
	kind, longest := "unknown", -1
	f, err := os.Open("/proc/self/mounts")
	if err != nil {
		return kind
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		at := strings.Fields(lines.Text())
		if len(at) < 3 || len(at[1]) < longest {
			continue
		}
		if rel, err := filepath.Rel(at[1], dir); err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
			kind, longest = at[2], len(at[1])
		}
	}
	return kind
}

// syncTime returns the median time of 50 writes of 4 KiB, each synced to the disk, in milliseconds.
func syncTime(dir string) float64 {
	f, err := os.Create(filepath.Join(dir, "sync"))
	if err != nil {
		return 0
	}
	defer os.Remove(f.Name())
	defer f.Close()
	took := make([]time.Duration, 50)
	page := make([]byte, 4096)
	for i := range took {
		start := time.Now()
		if _, err := f.Write(page); err != nil {
			return 0
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return 0
		}
		took[i] = time.Since(start)
	}
	slices.Sort(took)
	return took[len(took)/2].Seconds() * 1000
}

func (m machine) String() string {
	return fmt.Sprintf("%d cores (%s), %d GiB, Linux %s, %s; %s, where forcing 4 KiB to the disk takes %.2f ms; load average before the first row %s",
		m.Cores, m.CPU, m.Memory, m.Kernel, m.Go, m.Disk, m.Sync, m.Load)
}

// publish writes the report: as text, and to files in Markdown and JSON if the flags name them.
func (r report) publish(out io.Writer, markdown, jsonFile string) error {
	if _, err := io.WriteString(out, r.text()); err != nil {
		return err
	}
	if markdown != "" {
		if err := os.WriteFile(markdown, []byte(r.markdown()), 0o644); err != nil {
			return err
		}
	}
	if jsonFile == "" {
		return nil
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(jsonFile, append(text, '\n'), 0o644)
}
