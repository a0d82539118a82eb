package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ownCPU returns the CPU time of this process.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// tick is the unit of CPU time in /proc: USER_HZ, which is 100 on all of Linux.
const tick = time.Second / 100

type procStat struct {
	parent int
	cpu    time.Duration // its own CPU time, and that of the ended children that it has waited for
}

// treeCPU returns the CPU time of processes and all their descendants, including ended ones:
// PostgreSQL has a process for each connection.
func treeCPU(roots []int) (time.Duration, error) {
	if len(roots) == 0 {
		return 0, nil
	}
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	all := map[int]procStat{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue // it has ended
		}
		pid, s, err := parseStat(string(text))
		if err != nil {
			return 0, fmt.Errorf("%s: %w", f, err)
		}
		all[pid] = s
	}
	var sum time.Duration
	for pid, s := range all {
		if below(all, pid, roots) {
			sum += s.cpu
		}
	}
	return sum, nil
}

func below(all map[int]procStat, pid int, roots []int) bool {
	for range len(all) {
		for _, r := range roots {
			if pid == r {
				return true
			}
		}
		s, ok := all[pid]
		if !ok {
			return false
		}
		pid = s.parent
	}
	return false
}

// parseStat reads a line of /proc/PID/stat: see proc_pid_stat(5). The name of the
// program is in parentheses and may contain any character.
func parseStat(line string) (int, procStat, error) {
	open, end := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return 0, procStat{}, fmt.Errorf("no name in %q", line)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line[:open]))
	if err != nil {
		return 0, procStat{}, err
	}
	fields := strings.Fields(line[end+1:])
	if len(fields) < 15 {
		return 0, procStat{}, fmt.Errorf("%d fields after the name in %q", len(fields), line)
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return 0, procStat{}, err
	}
	s := procStat{parent: parent}
	for _, f := range fields[11:15] { // utime stime cutime cstime
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, procStat{}, err
		}
		s.cpu += time.Duration(n) * tick
	}
	return pid, s, nil
}
