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
	program = "durable" // as in golden files, and so is the time
	// By the environment, and not time.Local: nats-server has a timer in its package that
	// reads that, set before this.
	_ = os.Setenv("TZ", "UTC") // fails only for names that can be none
	for _, variable := range []string{"NATS_URL", "NATS_CONTEXT"} {
		_ = os.Unsetenv(variable) // as above
	}
	_ = os.Setenv("XDG_CONFIG_HOME", os.DevNull) // where nobody has selected a NATS context
	flag.Parse()
	code := m.Run()
	if dir != "" {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

var dir string // of the binary

// binary is the program, built once for the tests that send it signals.
var binary = sync.OnceValues(func() (string, error) {
	var err error
	if dir, err = os.MkdirTemp("", "durable-test-"); err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // for another user too
		return "", err
	}
	path := filepath.Join(dir, "durable")
	cmd := exec.Command("go", "build", "-o", path, ".")
	cmd.Stderr = os.Stderr
	return path, cmd.Run()
})

// An outcome is what a run of the program came to.
type outcome struct {
	code     int
	out, err string
}

// durable runs the program with a screen that is no terminal.
func durable(t *testing.T, args ...string) outcome {
	t.Helper()
	return durableIn(t.Context(), screen{}, args...)
}

// durableIn runs the program on a screen like s.
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

// scrubs replace what differs from run to run.
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
	{regexp.MustCompile(`\b\d{3,}d\b`), "DAYS"}, // since the fixed times of a test
	{regexp.MustCompile(`At":\d{13}`), `At":MILLIS`},
	{regexp.MustCompile(`--after \d{13}:`), "--after MILLIS:"},
	{regexp.MustCompile(`process \d+( \(the id of this process too\))?`), "process PID"},
	// A parent that fails fast may or may not have heard of the other child.
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

// newIDs are ids that nobody has chosen.
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

// packageDir is where testdata is, whatever directory a test is in.
var packageDir, _ = os.Getwd()

// write makes files with their directories below dir: path, content, ...
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

// jsonLines decodes what --json printed, and refuses anything else.
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
