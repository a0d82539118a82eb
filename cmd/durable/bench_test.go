package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/durable-execution/durable/cmd/durable/bench"
)

// uncertain matches the lines of a report that depend on the machine.
var uncertain = regexp.MustCompile(`(?m)^  (durable |` + runtime.GOOS + `/|.*written to disk|memory, ).*\n`)

// figures matches the numbers in a line of the table.
var figures = regexp.MustCompile(`(  +[\d,.]+)+  `)

func TestBenchTellsAllFiguresInEightyColumns(t *testing.T) {
	o := durable(t, "bench", "throughput", "latency", "--embedded", "--dir", t.TempDir(), "--count", "20", "--rounds", "2").want(t, exitOK)
	for line := range strings.Lines(o.out) {
		if n := len(strings.TrimRight(line, "\n")); n > 80 {
			t.Errorf("a line of %d columns: %s", n, line)
		}
	}
	text := regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`).ReplaceAllString(o.out, "STAMP")
	text = figures.ReplaceAllStringFunc(text, func(s string) string {
		return " " + strings.Repeat("N ", len(strings.Fields(s)))
	})
	text = uncertain.ReplaceAllString(text, "")
	if runtime.GOOS == "linux" {
		golden(t, "bench", scrub(text, "DIR"))
	}
}

func TestBenchPrintsJSONWithFieldsThatStay(t *testing.T) {
	o := durable(t, "bench", "latency", "--embedded", "--dir", t.TempDir(), "--count", "20", "--rounds", "2", "--json").want(t, exitOK)
	list := jsonLines[bench.Report](t, o.out)
	if len(list) != 1 || list[0].Rounds != 2 {
		t.Fatalf("%d reports, want one of 2 rounds:\n%s", len(list), o.out)
	}
	var text strings.Builder
	for _, m := range list[0].Metrics {
		if m.Name != "written" && !strings.HasPrefix(m.Name, "peak") { // some systems do not report these
			fmt.Fprintf(&text, "metric %s, %s\n", m.Name, m.Unit)
		}
	}
	var any map[string]any
	if err := json.Unmarshal([]byte(o.out), &any); err != nil {
		t.Fatal(err)
	}
	for _, field := range fieldsOf("", any) {
		if field != ".machine.model string" && field != ".machine.load string" { // some systems do not report these either
			text.WriteString(field + "\n")
		}
	}
	if runtime.GOOS == "linux" {
		golden(t, "bench-json", text.String())
	}
}

// fieldsOf returns the distinct names of the fields of a value.
func fieldsOf(prefix string, v any) []string {
	var list []string
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			list = append(list, fieldsOf(prefix+"."+name, value)...)
		}
	case []any:
		for _, value := range v {
			list = append(list, fieldsOf(prefix+"[]", value)...)
		}
	default:
		list = []string{fmt.Sprintf("%s %T", prefix, v)}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func TestBenchRefusesWhatMakesNoSense(t *testing.T) {
	var text strings.Builder
	for _, args := range [][]string{
		{"thruput"},
		{"throughput", "--count", "0"},
		{"throughput", "--count", "-3"},
		{"throughput", "--count", "ten"},
		{"throughput", "--count", "5", "--for", "1s"},
		{"throughput", "--for", "0s"},
		{"throughput", "--warmup", "-1"},
		{"throughput", "--payload", "0"},
		{"throughput", "--payload", "9999999"},
		{"throughput", "--sync-interval", "soon"},
		{"throughput", "--sync-interval", "1us"},
		{"throughput", "--replicas", "9"},
		{"throughput", "--rate", "100"},
		{"latency", "--rate", "0"},
		{"throughput", "--embedded", "--executors", "2"},
		{"cancel", "--executors", "2"},
		{"throughput", "--embedded", "--server", "nats://127.0.0.1:1"},
		{"throughput", "--server", "nats://127.0.0.1:1", "--sync-interval", "always"},
		{"delayed", "--delay", "10ms"},
		{"throughput", "--namespace", "mine"},
		{"throughput", "latency", "--cpu-profile", "x"},
	} {
		o := durable(t, append([]string{"bench"}, args...)...).want(t, exitUsage)
		fmt.Fprintf(&text, "bench %s\n%s\n", strings.Join(args, " "), o.err)
		if o.out != "" {
			t.Errorf("bench %s printed %q", strings.Join(args, " "), o.out)
		}
	}
	golden(t, "bench-mistakes", text.String())
}

func TestBenchSaysThatThereIsNoServer(t *testing.T) {
	o := durable(t, "bench", "throughput", "--server", "nats://user:secret@127.0.0.1:1").want(t, exitStore)
	if !strings.Contains(o.err, "127.0.0.1") && !strings.Contains(o.err, "no servers") || strings.Contains(o.err, "secret") {
		t.Errorf("stderr = %q, want the reason without the password", o.err)
	}
}

func TestBenchWritesAPage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report.html")
	durable(t, "bench", "throughput", "--embedded", "--dir", t.TempDir(), "--count", "20", "--rounds", "1", "--html", file).want(t, exitOK)
	page, err := os.ReadFile(file)
	if err != nil || !bytes.Contains(page, []byte("<svg")) {
		t.Errorf("page of %d bytes without a plot, %v", len(page), err)
	}
}

// leftBehind returns the files of servers that a bench left in a directory.
func leftBehind(t *testing.T, dir string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// size returns the total size of the files that match a pattern.
func size(t *testing.T, pattern string) (sum int64) {
	t.Helper()
	list, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range list {
		if info, err := os.Stat(name); err == nil { // the server may have removed the file just now
			sum += info.Size()
		}
	}
	return sum
}

func TestBenchTellsServersAndExecutorsInProcessesApart(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers in processes of their own")
	}
	program, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--executors", "2"}, {"--replicas", "3"}} {
		dir := t.TempDir()
		cmd := exec.Command(program, append([]string{"bench", "throughput", "--count", "300", "--rounds", "1", "--json", "--dir", dir}, args...)...)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("bench %v: %v", args, err)
		}
		r := jsonLines[bench.Report](t, string(out))[0]
		if m, err := r.Find("acks"); err != nil || m.Median != 1 {
			t.Errorf("bench %v: acks = %g, %v; want 1", args, m.Median, err)
		}
		// If a busy machine delays an attempt for 50 ms, there is one more record: running.
		if m, err := r.Find("stored"); err != nil || m.Median < 2 || m.Median > 3 {
			t.Errorf("bench %v: stored messages = %g, %v; want 2, or little more", args, m.Median, err)
		}
		for _, name := range []string{"cpu", "cpuClient", "cpuServer"} {
			if m, err := r.Find(name); err != nil || m.Median <= 0 {
				t.Errorf("bench %v: %s = %g, %v", args, name, m.Median, err)
			}
		}
		if _, err := r.Find("cpuExecutors"); (err == nil) != (args[0] == "--executors") {
			t.Errorf("bench %v: CPU of executors: %v", args, err)
		}
		if left := leftBehind(t, dir); len(left) > 0 {
			t.Errorf("bench %v left %q behind", args, left)
		}
	}
}

func TestBenchInterruptedPrintsWhatWasMeasured(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server in a process of its own")
	}
	program, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.Command(program, "bench", "latency", "--for", "10m", "--rounds", "1", "--no-floor", "--json", "--dir", dir)
	var out, errs lockedBuffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// If there is more than the warm-up stores, a round has begun.
	records := filepath.Join(dir, "*", "jetstream", "*", "streams", "KV_*-executions", "msgs", "*.blk")
	for deadline := time.Now().Add(time.Minute); size(t, records) < 500_000; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Error("no round has begun within a minute")
			break
		}
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
		t.Fatalf("exit code = %d, want %d\n%s", code, exitInterrupted, errs.String())
	}
	if !strings.Contains(errs.String(), "interrupted") {
		t.Errorf("stderr = %q", errs.String())
	}
	list := jsonLines[bench.Report](t, out.String())
	if len(list) != 1 || !list[0].Interrupted || list[0].Rounds != 1 {
		t.Errorf("printed %q, want a report of the one round until then", out.String())
	}
	if left := leftBehind(t, dir); len(left) > 0 {
		t.Errorf("it left %q behind", left)
	}
}
