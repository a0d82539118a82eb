package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
)

func TestUnchangedFilesAreNotRunAgain(t *testing.T) {
	dir, store := t.TempDir(), t.TempDir()
	write(t, dir, "a.txt", "a", "b.txt", "b", "c.txt", "c")
	ids := func(args ...string) map[string]string {
		m := map[string]string{}
		for _, r := range jsonLines[result](t, durable(t, append([]string{"demo", "--json", "--dir", store, dir}, args...)...).want(t, exitOK).out) {
			m[filepath.Base(r.File)] = r.ID + " " + string(r.Recovered)
		}
		return m
	}
	first := ids()
	write(t, dir, "b.txt", "changed")
	second := ids()
	third := ids("--again")
	for name, id := range first {
		id = strings.TrimSpace(id)
		switch got := second[name]; {
		case name == "b.txt" && (strings.HasPrefix(got, id) || strings.HasSuffix(got, "completed")):
			t.Errorf("b.txt has changed, and is %q as before", got)
		case name != "b.txt" && got != id+" completed":
			t.Errorf("%s = %q, want %s, completed before", name, got, id)
		}
		if got, want := third[name], strings.Fields(second[name])[0]+"-2 "; got != want {
			t.Errorf("with --again %s = %q, want %q", name, got, want)
		}
	}
	o := durable(t, "demo", "--dir", store, dir).want(t, exitOK)
	if !strings.Contains(o.out, "recovered 3 completed\n") || !strings.Contains(o.out, "3 of 3 files completed, all of them in an earlier run") {
		t.Errorf("the demo does not say what it found:\n%s", o.out)
	}
}

// interruptOnce runs the demo until n of its executions are running, and interrupts it.
func interruptOnce(t *testing.T, n int, store string, args ...string) outcome {
	t.Helper()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	ended := make(chan outcome, 1)
	go func() { ended <- durableIn(ctx, screen{}, append([]string{"demo", "--dir", store}, args...)...) }()
	for deadline := time.Now().Add(20 * time.Second); ; {
		o := durable(t, "list", "--jsonl", "--status", "running", "--dir", store)
		if strings.Count(o.out, "\n") >= n {
			interrupt()
			return <-ended
		}
		if time.Now().After(deadline) {
			t.Fatalf("after 20s fewer than %d executions are running:\n%s%s", n, o.out, o.err)
		}
		select {
		case o := <-ended:
			t.Fatalf("the demo ended with %d:\n%s%s", o.code, o.out, o.err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func TestAnInterruptedDemoIsContinued(t *testing.T) {
	dir, store := t.TempDir(), t.TempDir()
	write(t, dir, "a.txt", "a", "b.txt", "b", "c.txt", "c", "d.txt", "d")
	o := interruptOnce(t, 4, store, "--delay", "1h", "--drain", "0", dir).want(t, exitInterrupted)
	for _, want := range []string{"interrupted: running tasks are handed back", "stopped: 0 of 4 files completed; unfinished: 4 ", "run the same command again to continue"} {
		if !strings.Contains(o.out, want) {
			t.Errorf("%q is not in\n%s", want, o.out)
		}
	}
	// The demo also finishes files of the earlier run that this command line does not name, and
	// reports a file that has vanished in the meantime.
	if err := os.Remove(filepath.Join(dir, "c.txt")); err != nil {
		t.Fatal(err)
	}
	o = durable(t, "demo", "--json", "--dir", store, filepath.Join(dir, "a.txt")).want(t, exitIncomplete)
	got := map[string]string{}
	for _, r := range jsonLines[result](t, o.out) {
		got[filepath.Base(r.File)] = fmt.Sprintf("%s %s %s", r.Recovered, r.Status, r.Error)
	}
	for name, want := range map[string]string{
		"a.txt": "ready completed ", "b.txt": "ready completed ", "d.txt": "ready completed ",
		"c.txt": "ready failed vanished: the file was there when the directory was listed",
	} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
	if !strings.Contains(o.err, "3 unfinished files were not named this time: the demo finishes them too") {
		t.Errorf("the demo does not report the adopted files:\n%s", o.err)
	}
}

func TestJSONTellsWhatIsLeft(t *testing.T) {
	dir, store := t.TempDir(), t.TempDir()
	write(t, dir, "a.txt", "a", "b.txt", "b")
	o := interruptOnce(t, 2, store, "--delay", "1h", "--drain", "0", "--json", dir).want(t, exitInterrupted)
	results := jsonLines[result](t, o.out)
	for _, r := range results {
		if r.Status != engine.Ready || r.Error != "" {
			t.Errorf("left: %+v, want it ready", r)
		}
	}
	if len(results) != 2 {
		t.Errorf("%d lines, want 2:\n%s", len(results), o.out)
	}
}

func TestACancelledFileIsToldWithItsReason(t *testing.T) {
	dir, store := t.TempDir(), t.TempDir()
	write(t, dir, "a.txt", "a")
	interruptOnce(t, 1, store, "--delay", "1h", "--drain", "0", dir)
	id := jsonLines[view](t, durable(t, "list", "--jsonl", "--dir", store).out)[0].ID

	o := durable(t, "delete", id, "--yes", "--dir", store).want(t, exitIncomplete)
	if want := "durable: delete " + id + ": execution has not finished: it is ready\nhint: durable cancel ends an execution and everything below it\n"; o.err != want {
		t.Errorf("the delete says %q, want %q", o.err, want)
	}
	o = durable(t, "cancel", id, "--yes", "--reason", "not\nthis", "--dir", store).want(t, exitOK)
	if !strings.HasPrefix(o.out, "cancelled "+id+": not; this\n") || !strings.Contains(o.out, "no executor is running in this store") {
		t.Errorf("cancel says %q", o.out)
	}
	o = durable(t, "cancel", id, "--yes", "--dir", store).want(t, exitIncomplete)
	if want := "durable: cancel " + id + ": execution has finished: it is cancelled\n"; o.err != want {
		t.Errorf("the second cancel says %q, want %q", o.err, want)
	}
	durable(t, "cancel", "nosuch", "--yes", "--dir", store).want(t, exitNotFound)
	if v := jsonLines[view](t, durable(t, "get", id, "--json", "--dir", store).want(t, exitOK).out)[0]; v.Status != engine.Cancelled || v.Error.Message != "not\nthis" {
		t.Errorf("status %s, error %v, want cancelled with the reason", v.Status, v.Error)
	}
	// The next demo uploads the file as a new execution.
	o = durable(t, "demo", "--dir", store, dir).want(t, exitOK)
	if !strings.Contains(o.out, "recovered 1 failed, will run again") {
		t.Errorf("the demo says\n%s", o.out)
	}
}

func TestOneDemoAtATimeInADirectory(t *testing.T) {
	dir, store := t.TempDir(), t.TempDir()
	write(t, dir, "a.txt", "a")
	ctx, interrupt := context.WithCancel(t.Context())
	ended := make(chan outcome, 1)
	go func() {
		ended <- durableIn(ctx, screen{}, "demo", "--dir", store, "--delay", "1h", "--drain", "0", dir)
	}()
	for strings.Count(durable(t, "list", "--jsonl", "--dir", store).out, "\n") == 0 {
		if t.Context().Err() != nil {
			t.Fatal("the demo does not begin")
		}
	}
	o := durable(t, "demo", "--dir", store, dir).want(t, exitStore)
	golden(t, "inuse", scrub(o.err, store))
	interrupt()
	(<-ended).want(t, exitInterrupted)
}

func TestWithoutFilesThereIsNoStore(t *testing.T) {
	store := filepath.Join(t.TempDir(), "store")
	o := durable(t, "demo", "--dir", store, filepath.Join(store, "missing")).want(t, exitIncomplete)
	if !strings.Contains(o.out, "refused") || !strings.Contains(o.out, "0 of 1 file completed; 1 did not") {
		t.Errorf("stdout:\n%s", o.out)
	}
	if _, err := os.Stat(store); err == nil {
		t.Error("a store was made for nothing")
	}
}
