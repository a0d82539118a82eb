//go:build unix

package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine/history"
)

// The clock of a process jumps by this many seconds once the process has run for this many
// milliseconds.
const (
	jumpVariable  = "DURABLE_TEST_CLOCK_JUMP"
	afterVariable = "DURABLE_TEST_CLOCK_AFTER"
)

// jumpy is added to package time when a program is built with it. It shifts the time of day that
// the program reads, but not the monotonic clock and timers, as when an operator sets the clock of
// a machine. Histories use another clock: see machineTime.
const jumpy = `
func jumped(mono int64) int64 {
	if jumpBy != 0 && mono-startNano > jumpAfter*int64(Millisecond) {
		return jumpBy
	}
	return 0
}

var jumpBy, jumpAfter = jumpNumber("` + jumpVariable + `"), jumpNumber("` + afterVariable + `")

func jumpNumber(name string) int64 {
	text, _ := syscall.Getenv(name)
	minus := len(text) > 0 && text[0] == '-'
	if minus {
		text = text[1:]
	}
	n := int64(0)
	for _, c := range text {
		n = 10*n + int64(c-'0')
	}
	if minus {
		return -n
	}
	return n
}
`

// buildJumpy builds this test binary with a version of package time whose clock can jump.
func buildJumpy(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Skipf("needs the go command: %v", err)
	}
	original := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	source, err := os.ReadFile(original)
	if err != nil {
		t.Skipf("needs the source of the standard library: %v", err)
	}
	const reads = "sec, nsec, mono := runtimeNow()\n"
	code := strings.Replace(string(source), "func Now() Time {\n\t"+reads, "func Now() Time {\n\t"+reads+"\tsec += jumped(mono)\n", 1)
	code = strings.Replace(code, "import (\n", "import (\n\t\"syscall\"\n", 1) + jumpy
	if !strings.Contains(code, "sec += jumped(mono)") {
		t.Fatal("package time does not read the clock as it used to: see jumpy")
	}
	changed, overlay, program := filepath.Join(dir, "time.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "faults.test")
	if err := os.WriteFile(changed, []byte(code), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(overlay, []byte(text(map[string]any{"Replace": map[string]string{original: changed}})), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", "test", "-c", "-overlay", overlay, "-o", program, ".").CombinedOutput()
	if err != nil {
		t.Fatalf("build with a clock that jumps: %v\n%s", err, out)
	}
	return program
}

// TestFaultClockJumps lets the clock of one of three executors jump during work, while the clock of
// another is wrong from the start. Retries and delays that an executor sets by a fast clock are late
// by the difference. Nothing else depends on the clock, and one that is an hour slow does no harm.
func TestFaultClockJumps(t *testing.T) {
	onlyLong(t)
	path := buildJumpy(t)
	for _, by := range []int{-3600, -5, 5} {
		t.Run(fmt.Sprintf("%d s", by), func(t *testing.T) {
			t.Parallel()
			skew := time.Duration(max(by, -by)) * time.Second
			f := newFleet(t, setup{skew: skew})
			for _, after := range []int{0, 2000} {
				f.hire(program{Slots: 8, path: path, environment: []string{
					fmt.Sprintf("%s=%d", jumpVariable, by), fmt.Sprintf("%s=%d", afterVariable, after),
				}})
			}
			f.hire(program{Slots: 8})
			f.fault(history.FaultBegan, history.Executor, "clocks", "jump")
			for n := range 60 {
				f.enqueue(fmt.Sprint("tree", n), restless.grow(f.rand, 3))
				time.Sleep(60 * time.Millisecond)
				if n%10 == 9 {
					f.cancel(fmt.Sprint("tree", n))
				}
			}
			f.fault(history.FaultEnded, history.Executor, "clocks", "jump")
			f.settle()
		})
	}
}
