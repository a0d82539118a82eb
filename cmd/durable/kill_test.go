package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
)

// forest creates files below dir. Some of them are long.
func forest(t *testing.T, dir string, n int) {
	t.Helper()
	for i := range n {
		name := fmt.Sprintf("d%d/%02d%s", i%7, i, []string{".go", ".md", ".txt"}[i%3])
		write(t, dir, name, fmt.Sprintf("package p%d // # %d\n", i, i)+strings.Repeat(fmt.Sprintf("line %d\n", i), (i%40)*(i%40)*50))
	}
}

// A killer runs the demo repeatedly and records what it observes.
type killer struct {
	program, dir, store string
	// completed holds the executions that a list has shown as completed.
	completed map[string]bool
	// begun counts the attempts of each execution.
	begun map[string]int
}

// begins matches the start of each attempt in the log of a demo.
var begins = regexp.MustCompile(`(?m)debug  task begins execution=(\S+) task=\S+ attempt=\d+$`)

// run runs the demo, and kills it after a time unless that is 0. It checks that no execution
// that had completed before began again, and returns the output.
func (k *killer) run(t *testing.T, after time.Duration) string {
	t.Helper()
	var out, log bytes.Buffer
	cmd := exec.Command(k.program, "demo", "--json", "--dir", k.store, "--delay", "30ms", "--slots", "4", "--log-level", "debug", k.dir)
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if after > 0 {
		timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
	}
	err := cmd.Wait()
	for _, m := range begins.FindAllStringSubmatch(log.String(), -1) {
		if k.completed[m[1]] {
			t.Errorf("%s runs again, although it had completed", m[1])
		}
		k.begun[m[1]]++
	}
	if code := cmd.ProcessState.ExitCode(); code != exitOK && code != -1 {
		t.Fatalf("the demo ended with %v:\n%s", err, log.String())
	}
	return out.String()
}

// look reads from the store which executions have completed. A demo that was killed while it
// created its store has left no namespace, and must not have begun to work.
func (k *killer) look(t *testing.T) []view {
	t.Helper()
	o := durable(t, "list", "--all", "--jsonl", "--limit", "0", "--dir", k.store)
	if len(k.begun) == 0 && o.code == exitStore && strings.Contains(o.err, "there is no namespace") {
		return nil
	}
	list := jsonLines[view](t, o.want(t, exitOK).out)
	for _, v := range list {
		if v.Status == engine.Completed {
			k.completed[v.ID] = true
		}
	}
	return list
}

func TestSIGKILLAtAnyMomentLosesAndRepeatsNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("kills the built program again and again")
	}
	program, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	files := max(40, 8**kills)
	k := &killer{program: program, dir: t.TempDir(), store: filepath.Join(t.TempDir(), "store"), completed: map[string]bool{}, begun: map[string]int{}}
	forest(t, k.dir, files)
	// The work begins after about 100 ms, and takes 30 ms for each file. On average the kills
	// leave about half of it unfinished.
	most := 100*time.Millisecond + time.Duration(files)*30*time.Millisecond/time.Duration(*kills)
	for i := range *kills {
		after := 50*time.Millisecond + rand.N(most)
		k.run(t, after)
		there, err := hasStore(k.store)
		if err != nil {
			t.Fatal(err)
		}
		if there {
			known := len(k.look(t))
			t.Logf("kill %d after %s: %d of %d known executions have completed", i+1, after, len(k.completed), known)
		}
	}
	began := time.Now()
	results := jsonLines[result](t, k.run(t, 0))
	t.Logf("the rest took %s", time.Since(began))

	// There is one result for each file, and it is completed.
	seen := map[string]bool{}
	for _, r := range results {
		if !r.completed() || seen[r.File] {
			t.Errorf("result %+v, want each file once and completed", r)
			continue
		}
		seen[r.File] = true
		checkUpload(t, r)
	}
	if len(seen) != files {
		t.Errorf("%d files have a result, want %d", len(seen), files)
	}

	// There is one complete tree for each file, and nothing else in the store.
	trees := map[string]int{}
	for _, v := range k.look(t) {
		if v.Status != engine.Completed {
			t.Errorf("%s of %s is %s", v.ID, v.Task, v.Status)
		}
		if k.begun[v.ID] == 0 {
			t.Errorf("%s has completed, but no log says that it began", v.ID)
		}
		trees[engine.RootOf(v.ID)]++
	}
	for root, n := range trees {
		if n != uploadSteps {
			t.Errorf("tree %s has %d executions, want %d", root, n, uploadSteps)
		}
	}
	if len(trees) != files {
		t.Errorf("%d trees, want %d", len(trees), files)
	}
	checkNothingElse(t, filepath.Join(k.store, "uploads"), files)

	// The next demo has nothing to do.
	before := total(k.begun)
	k.run(t, 0)
	if n := total(k.begun) - before; n != 0 {
		t.Errorf("%d attempts after all had completed", n)
	}
	t.Logf("%d executions took %d attempts", len(k.begun), before)
}

func total(counts map[string]int) int {
	n := 0
	for _, c := range counts {
		n += c
	}
	return n
}

// checkUpload compares a file with its copy and with the output of its upload.
func checkUpload(t *testing.T, r result) {
	t.Helper()
	u, err := url.Parse(r.Output.UploadURL)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(r.File)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(u.Path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(want)
	if !bytes.Equal(got, want) || r.Output.SHA256 != hex.EncodeToString(sum[:]) || r.Output.Size != int64(len(want)) {
		t.Errorf("the copy of %s is not the file", r.File)
	}
}

// checkNothingElse counts the files in the upload directory: no unfinished copy may remain.
func checkNothingElse(t *testing.T, uploads string, want int) {
	t.Helper()
	var found []string
	err := filepath.WalkDir(uploads, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found = append(found, path)
		}
		return err
	})
	if err != nil || len(found) != want {
		t.Errorf("%d files in %s, want %d: %v, %q", len(found), uploads, want, err, found)
	}
}
