//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
)

// rubbish creates files of every kind, including good ones.
func rubbish(t *testing.T, dir string) {
	t.Helper()
	write(t, dir,
		"good.md", "# Good\n\nSome words.\n",
		"pkg/good.go", "// Package pkg is good.\npackage pkg\n",
		"empty.txt", "",
		"binary.dat", "ab\x00cd",
		"huge.txt", strings.Repeat("huge\n", 300),
		"latin.txt", "caf\xe9\n",
		"we\nird\x1b[31m.txt", "weird\n")
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// everything returns arguments that name all these files, and more.
func everything(dir string) []string {
	return []string{dir, filepath.Join(dir, "fifo"), "/dev/null", filepath.Join(dir, "missing"), filepath.Join(dir, "good.md")}
}

func TestBadFilesFailInClearWordsAndTheOthersComplete(t *testing.T) {
	dir, store := t.TempDir(), filepath.Join(t.TempDir(), "store")
	rubbish(t, dir)
	t.Chdir(dir)
	args := append([]string{"demo", "--dir", store, "--max-size", "1KiB", "--slots", "1"}, everything(dir)...)
	o := durable(t, args...).want(t, exitIncomplete)
	// The order in which files fail is not defined.
	lines := strings.SplitAfter(o.out, "\n")
	first := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "failed") })
	last := first
	for last < len(lines) && strings.HasPrefix(lines[last], "failed") {
		last++
	}
	slices.Sort(lines[max(first, 0):last])
	golden(t, "rubbish", scrub(strings.ReplaceAll(strings.Join(lines, ""), store, "STORE"), dir))
	if o.err != "" {
		t.Errorf("stderr = %q", o.err)
	}

	// The next run retries the files that failed, and no others.
	results := jsonLines[result](t, durable(t, append(args, "--json")...).want(t, exitIncomplete).out)
	for _, r := range results {
		name := filepath.Base(r.File)
		switch {
		case r.completed():
			if r.Recovered != engine.Completed || !strings.HasSuffix(r.Output.UploadURL, fileURL(r.File)[len("file://"):]) {
				t.Errorf("%s: recovered %q, uploaded to %s", name, r.Recovered, r.Output.UploadURL)
			}
		case r.Status == statusRefused:
			if r.ID != "" || r.Error == "" {
				t.Errorf("refused: %+v", r)
			}
		default:
			if !strings.HasSuffix(r.ID, "-2") || r.Error == "" || r.Recovered != "" {
				t.Errorf("failed: %+v", r)
			}
		}
	}
	if len(results) != 10 {
		t.Errorf("%d results, want 10: %v", len(results), results)
	}
}

// nobody is a user who can read only files that all users can read.
const nobody = 65534

func TestFilesThatMayNotBeReadFail(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the built program")
	}
	program, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	home, err := os.MkdirTemp("", "durable-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	write(t, home, "in/open.txt", "open", "in/secret.txt", "secret", "in/closed/x.txt", "x", "state/x", "")
	for path, mode := range map[string]os.FileMode{"": 0o755, "in/secret.txt": 0, "in/closed": 0, "state": 0o777} {
		if err := os.Chmod(filepath.Join(home, path), mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(home, "in/closed"), 0o755) })

	cmd := exec.Command(program, "demo", "--json", "--dir", filepath.Join(home, "state", "store"), filepath.Join(home, "in"), filepath.Join(home, "in/closed/x.txt"))
	cmd.Dir = home
	if os.Geteuid() == 0 { // root can read everything
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	out, _ := cmd.Output()
	if code := cmd.ProcessState.ExitCode(); code != exitIncomplete {
		t.Fatalf("exit code = %d, want %d:\n%s", code, exitIncomplete, out)
	}
	got := map[string]string{}
	for _, r := range jsonLines[result](t, string(out)) {
		got[strings.TrimPrefix(r.File, home+"/in/")] = string(r.Status) + " " + r.Error
	}
	for name, want := range map[string]string{
		"open.txt":     "completed ",
		"secret.txt":   "failed unreadable: permission denied",
		"closed":       "refused unreadable: permission denied",
		"closed/x.txt": "refused unreadable: permission denied",
	} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
	if len(got) != 4 {
		t.Errorf("results: %q", got)
	}
}

func TestAFifoInPlaceOfAFileDoesNotBlock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o644); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { _, err := readText(path, 0); ended <- err }()
	select {
	case err := <-ended:
		if err == nil || err.Error() != "a named pipe, not a file" || !isPermanent(err) {
			t.Errorf("readText = %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("a fifo that nobody writes to blocks")
	}
}

func TestCtrlCDrainsAndCtrlCAgainEndsAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("sends signals to the built program")
	}
	program, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dir, store := t.TempDir(), t.TempDir()
	write(t, dir, "a.txt", "a", "b.txt", "b", "c.txt", "c")
	begin := func(args ...string) (*exec.Cmd, *lockedBuffer) {
		var out lockedBuffer
		cmd := exec.Command(program, append([]string{"demo", "--dir", store, "--log-level", "debug", dir}, args...)...)
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		until(t, &out, "task begins")
		return cmd, &out
	}
	signal := func(cmd *exec.Cmd, s os.Signal) {
		if err := cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}

	// One Ctrl-C: the running task finishes, and the queued ones wait for the next run.
	cmd, out := begin("--delay", "500ms", "--slots", "1")
	signal(cmd, os.Interrupt)
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || strings.Count(out.String(), "task begins") != 1 {
		t.Errorf("exit code = %d, want %d and one task:\n%s", code, exitInterrupted, out)
	}
	waiting := 0
	for _, v := range jsonLines[view](t, durable(t, "list", "--jsonl", "--roots", "--dir", store).out) {
		if v.Status == engine.WaitingForChildren {
			waiting++
		}
	}
	if waiting != 1 {
		t.Errorf("%d uploads had come to their end, want the one that ran", waiting)
	}

	// Two: the demo ends at once, in the middle of a task.
	cmd, out = begin("--delay", "1m", "--drain", "1m")
	signal(cmd, syscall.SIGTERM)
	until(t, out, "interrupted")
	signal(cmd, os.Interrupt)
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || strings.Contains(out.String(), "stopped") {
		t.Errorf("exit code = %d, want %d at once:\n%s", code, exitInterrupted, out)
	}
	durable(t, "demo", "--dir", store, dir).want(t, exitOK)
}

// until waits until the output contains a text.
func until(t *testing.T, out *lockedBuffer, text string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(out.String(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the output lacks %q:\n%s", text, out)
		}
	}
}
