package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

var (
	update = flag.Bool("update", false, "write the golden files")
	kills  = flag.Int("kills", 5, "how often the kill test kills")
)

func TestMain(m *testing.M) {
	program = "durable" // golden files have this name, and times in UTC
	// Set the environment rather than time.Local: nats-server starts a timer in an init function
	// that reads time.Local before this line runs.
	_ = os.Setenv("TZ", "UTC") // fails only for invalid names
	for _, variable := range []string{"NATS_URL", "NATS_CONTEXT"} {
		_ = os.Unsetenv(variable) // fails only for invalid names
	}
	_ = os.Setenv("XDG_CONFIG_HOME", os.DevNull) // no NATS context is selected there
	flag.Parse()
	code := m.Run()
	if dir != "" {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

var dir string // the directory of the binary

// binary builds the program once, for the tests that send it signals, and returns its path.
var binary = sync.OnceValues(func() (string, error) {
	var err error
	if dir, err = os.MkdirTemp("", "durable-test-"); err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // another user must be able to run it
		return "", err
	}
	path := filepath.Join(dir, "durable")
	cmd := exec.Command("go", "build", "-o", path, ".")
	cmd.Stderr = os.Stderr
	return path, cmd.Run()
})

// An outcome is the result of a run of the program.
type outcome struct {
	code     int
	out, err string
}

// durable runs the program without a terminal.
func durable(t *testing.T, args ...string) outcome {
	t.Helper()
	return durableIn(t.Context(), screen{}, args...)
}

// durableIn runs the program with screens that have the properties of s.
func durableIn(ctx context.Context, s screen, args ...string) outcome {
	var out, errs lockedBuffer
	stdout, stderr := s, s
	stdout.Writer, stderr.Writer = &out, &errs
	code := run(ctx, args, streams{out: stdout, err: stderr})
	return outcome{code, out.String(), errs.String()}
}

// want ends the test if the program did not exit with the code.
func (o outcome) want(t *testing.T, code int) outcome {
	t.Helper()
	if o.code != code {
		t.Fatalf("exit code = %d, want %d\nstdout:\n%s\nstderr:\n%s", o.code, code, o.out, o.err)
	}
	return o
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// scrubs replace the texts that differ from run to run.
var scrubs = []struct {
	pattern *regexp.Regexp
	by      string
}{
	{regexp.MustCompile(`upload-[0-9a-v]{26}`), "upload-HASH"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "127.0.0.1:PORT"},
	{regexp.MustCompile(`demo-\d+`), "demo-PID"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d\.\d{3}Z?`), "STAMP"},
	{regexp.MustCompile(`\d\d:\d\d:\d\d`), "CLOCK"},
	{regexp.MustCompile(`\d+[smhd] ago|just now`), "AGO"},
	{regexp.MustCompile(`\+?\b\d+(\.\d+)?m?s\b`), "SPAN"},
	{regexp.MustCompile(`\b\d{3,}d\b`), "DAYS"}, // the age of the fixed times of a test
	{regexp.MustCompile(`At":\d{13}`), `At":MILLIS`},
	{regexp.MustCompile(`--after \d{13}:`), "--after MILLIS:"},
	{regexp.MustCompile(`process \d+( \(the id of this process too\))?`), "process PID"},
	// A parent that fails fast may or may not have counted the other child.
	{regexp.MustCompile(`\d of 2 ended`), "SOME of 2 ended"},
	{regexp.MustCompile(`childrenEnded":\d`), `childrenEnded":SOME`},
	{regexp.MustCompile(` +`), " "},
	{regexp.MustCompile(`(?m) $`), ""},
}

func scrub(text, dir string) string {
	text = strings.ReplaceAll(text, dir, "DIR")
	for _, s := range scrubs {
		text = s.pattern.ReplaceAllString(text, s.by)
	}
	return text
}

// newIDs matches generated ids.
var newIDs = regexp.MustCompile(`te_[0-9a-v]{26}`)

func scrubIDs(text string) string { return newIDs.ReplaceAllString(text, "ID") }

// golden compares got with testdata/name.golden.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if wd := packageDir; wd != "" {
		path = filepath.Join(wd, path)
	}
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update writes it)\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

// packageDir is the directory of testdata. It stays the same when a test changes its directory.
var packageDir, _ = os.Getwd()

// write creates files and their directories below dir. files are path, content, path, content...
func write(t *testing.T, dir string, files ...string) {
	t.Helper()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(dir, files[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(files[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// jsonLines decodes lines of JSON, and fails the test if a line is anything else.
func jsonLines[T any](t *testing.T, text string) []T {
	t.Helper()
	var list []T
	for line := range strings.Lines(text) {
		dec := json.NewDecoder(strings.NewReader(line))
		dec.DisallowUnknownFields()
		var v T
		if err := dec.Decode(&v); err != nil || dec.More() {
			t.Fatalf("line %q: %v", line, err)
		}
		list = append(list, v)
	}
	return list
}
