package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/memstore"
)

// uploadedOnce returns a directory of two files, and a store after their upload. The upload of
// one of them failed.
func uploadedOnce(t *testing.T) (dir, store string) {
	t.Helper()
	dir, store = t.TempDir(), t.TempDir()
	write(t, dir, "good.md", "# Good\n", "empty.txt", "")
	// With one slot, a child ends before the next one can fail.
	durable(t, "demo", "--slots", "1", "--dir", store, dir).want(t, exitIncomplete)
	return dir, store
}

// idsOf returns the ids of the roots, by their status.
func idsOf(t *testing.T, store string) map[engine.Status]string {
	t.Helper()
	ids := map[engine.Status]string{}
	for _, v := range jsonLines[view](t, durable(t, "list", "--jsonl", "--roots", "--dir", store).want(t, exitOK).out) {
		ids[v.Status] = v.ID
	}
	return ids
}

func TestLooking(t *testing.T) {
	dir, store := uploadedOnce(t)
	ids := idsOf(t, store)
	good, bad := ids[engine.Completed], ids[engine.ChildrenFailed]
	for _, c := range []struct {
		name string
		args []string
	}{
		{"list", []string{"list", "--all"}},
		{"list-roots", []string{"list"}},
		{"list-failed", []string{"list", "--status", "failed", "--all"}},
		{"list-columns", []string{"list", "--columns", "execution,queue,attempts,error", "--columns", "finished", "--failed"}},
		{"list-title", []string{"list", "--task", "extractFileTitle", "--limit", "1"}},
		{"get", []string{"get", good}},
		{"get-child", []string{"get", bad + ".1"}},
		{"get-failed", []string{"get", bad}},
		{"tree", []string{"tree", good}},
		{"tree-failed", []string{"tree", bad}},
		{"tree-below", []string{"tree", good + ".f"}},
		{"get-json", []string{"get", good, "--json"}},
		{"get-failed-json", []string{"get", bad, "--json"}},
		{"tree-json", []string{"tree", good, "--json"}},
		{"list-utc", []string{"list", "--task", "summarizeFile", "--status", "completed", "--time-format", "utc"}},
		{"tree-jsonl", []string{"tree", bad, "--jsonl"}},
		{"list-json", []string{"list", "--json", "--roots", "--status", "completed"}},
		{"list-jsonl", []string{"list", "--jsonl", "--status", "failed", "--all"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := durable(t, append(c.args, "--dir", store)...).want(t, exitOK)
			text := strings.ReplaceAll(strings.ReplaceAll(o.out, good, "GOOD"), bad, "BAD")
			text = strings.ReplaceAll(text, store, "STORE")
			if c.name == "list" || c.name == "list-roots" || c.name == "list-title" { // the trees were created at almost the same time
				lines := strings.SplitAfter(text, "\n")
				slices.Sort(lines[1:])
				text = strings.ReplaceAll(strings.Join(lines, ""), "BAD", "GOOD")
			}
			golden(t, c.name, scrub(text, dir))
			if o.err != "" {
				t.Errorf("stderr = %q", o.err)
			}
			if c.name == "list-json" {
				jsonLines[executionsView](t, o.out)
			} else if strings.Contains(c.name, "json") {
				jsonLines[view](t, o.out)
			}
		})
	}
	for _, args := range [][]string{{"get", "nosuch"}, {"tree", "nosuch"}, {"tree", good + ".7"}, {"get", good + ".f-0"}} {
		o := durable(t, append(args, "--dir", store)...).want(t, exitNotFound)
		if !strings.Contains(o.err, "not found\nhint: durable list --dir "+quoted(store)) {
			t.Errorf("%v: stderr = %q", args, o.err)
		}
	}
	if o := durable(t, "list", "--dir", store, "--task", "nosuch").want(t, exitOK); o.out != "no such executions; the store is in "+store+"\n" {
		t.Errorf("an empty list says %q", o.out)
	}
	if o := durable(t, "list", "--jsonl", "--dir", store, "--task", "nosuch").want(t, exitOK); o.out != "" {
		t.Errorf("an empty list is %q as JSON lines", o.out)
	}
}

func TestDeleting(t *testing.T) {
	dir, store := uploadedOnce(t)
	ids := idsOf(t, store)
	good, bad := ids[engine.Completed], ids[engine.ChildrenFailed]
	var said strings.Builder
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"nosuch", bad}, exitNotFound}, // the command still deletes the other one
		{[]string{bad}, exitNotFound},
		{[]string{good, "--json", "--reason", "tidied"}, exitOK},
	} {
		o := durable(t, append([]string{"delete", "--yes", "--dir", store}, c.args...)...).want(t, c.code)
		said.WriteString("$ durable delete " + strings.Join(c.args, " ") + "\n" + o.out + o.err + "\n")
	}
	text := strings.ReplaceAll(strings.ReplaceAll(said.String(), good, "GOOD"), bad, "BAD")
	golden(t, "delete", scrub(strings.ReplaceAll(text, store, "STORE"), dir))
	if o := durable(t, "list", "--jsonl", "--dir", store).want(t, exitOK); o.out != "" {
		t.Errorf("left after all was deleted:\n%s", o.out)
	}
}

func TestColoursAreForTerminalsWithoutNoColor(t *testing.T) {
	_, store := uploadedOnce(t)
	id := idsOf(t, store)[engine.ChildrenFailed]
	terminal := screen{terminal: true, columns: 80}
	for _, args := range [][]string{{"list"}, {"get", id}, {"tree", id}, {"list", "--status", "nosuch"}} {
		args = append(args, "--dir", store)
		t.Setenv("NO_COLOR", "")
		o := durableIn(t.Context(), terminal, args...)
		if !strings.Contains(o.out+o.err, "\x1b[3") {
			t.Errorf("%v on a terminal: no colour in %q", args, o.out+o.err)
		}
		t.Setenv("NO_COLOR", "1")
		if o = durableIn(t.Context(), terminal, args...); strings.Contains(o.out+o.err, "\x1b") {
			t.Errorf("%v with NO_COLOR: %q", args, o.out+o.err)
		}
		t.Setenv("NO_COLOR", "")
		if o = durable(t, args...); strings.Contains(o.out+o.err, "\x1b") {
			t.Errorf("%v without a terminal: %q", args, o.out+o.err)
		}
	}
}

func TestTheDemoOnATerminalFitsItsWidth(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	dir, store := t.TempDir(), t.TempDir()
	write(t, dir, "good.md", "# "+strings.Repeat("A long title ", 20), strings.Repeat("deep/", 30)+"x.txt", "x", "empty.txt", "")
	t.Chdir(dir)
	o := durableIn(t.Context(), screen{terminal: true, columns: 80}, "demo", "--dir", store, dir).want(t, exitIncomplete)
	if !strings.Contains(o.out, "3 of 3 files, 1 failed done [12 steps in ") {
		t.Errorf("no last state of the live line in\n%q", o.out)
	}
	_, table, _ := strings.Cut(o.out, "\nFILE ")
	table, _, _ = strings.Cut(table, "\n\n")
	for line := range strings.Lines(table) {
		if n := len([]rune(strings.TrimSpace(line))); n > 80 {
			t.Errorf("%d columns: %q", n, line)
		}
	}
	if strings.Count(table, "\n") < 3 {
		t.Errorf("table:\n%s", table)
	}
}

// TestTreesAlign compares the columns with their exact widths; scrubbing changes those.
func TestTreesAlign(t *testing.T) {
	at := func(ms int) time.Time {
		return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).Add(time.Duration(ms) * time.Millisecond)
	}
	execution := func(id, task string, s engine.Status, start, end int) *node {
		x := engine.Execution{ID: id, Task: task, Queue: "default", Status: s, CreatedAt: at(0), StartedAt: at(start)}
		if s.Finished() {
			x.FinishedAt = at(end)
		}
		if s != engine.Running {
			x.History = []engine.Attempt{{Executor: "a", StartedAt: at(start), EndedAt: at(end)}}
		}
		return &node{Execution: x}
	}
	root := execution("r", "orders", engine.ChildrenFailed, 3, 12345)
	root.Failure = &engine.Failure{Kind: engine.KindChildren, Message: "1 child of 3 did not complete"}
	first := execution("r.0", "pay", engine.Failed, 5, 12300)
	first.Attempt, first.Crashes = 1, 1
	first.Failure = &engine.Failure{Message: "card\nrefused"}
	first.History = []engine.Attempt{
		{Executor: "a", StartedAt: at(5), EndedAt: at(2005), Failure: &engine.Failure{Message: "execution expired"}},
		{Executor: "b", StartedAt: at(2010), EndedAt: at(2020), Failure: &engine.Failure{Message: "no answer"}},
		{Number: 1, Executor: "b", StartedAt: at(12200), EndedAt: at(12300), Failure: first.Failure},
	}
	second := execution("r.1", "ship", engine.WaitingForChildren, 1005, 1100)
	second.below = []*node{execution("r.1-0", "label", engine.Running, 11000, 0), {Execution: engine.Execution{ID: "r.1-1", Task: "weigh", Status: engine.Ready, CreatedAt: at(1100)}}}
	third := execution("r.10", "mail", engine.Cancelled, 0, 3)
	third.StartedAt, third.History = time.Time{}, nil
	root.below = []*node{first, second, third}

	var out lockedBuffer
	a := app{streams: streams{out: screen{Writer: &out}}}
	a.printTree(root, at(60_000), 0)
	golden(t, "aligned-tree", out.String())
}

func TestResultsAlign(t *testing.T) {
	t.Chdir("/")
	output := func(title string, lines int, size int64) *uploadOutput {
		return &uploadOutput{Title: title, Lines: lines, Words: 7 * lines, Size: size, SHA256: "0123456789abcdef"}
	}
	results := []result{
		{File: "/a.go", ID: "1", Status: engine.Completed, Output: output("Package a.", 7, 512)},
		{File: "/deep/down/b.md", ID: "2", Status: engine.Completed, Recovered: engine.Completed, Output: output(strings.Repeat("long ", 30), 123456, 16<<20)},
		{File: "/c", ID: "3", Status: engine.Failed, Error: strings.Repeat("reason ", 12)},
		{File: "/d", ID: "4", Status: engine.TimedOut},
	}
	for _, width := range []int{0, 60, 100} {
		var out lockedBuffer
		t.Setenv("NO_COLOR", "1")
		d := demo{say: screen{Writer: &out, terminal: width > 0, columns: width}}
		d.printResults(results, "1.23s")
		golden(t, "aligned-results-"+grouped(width), out.String())
	}
}

func TestExecutionsOfEveryKindCanBeShown(t *testing.T) {
	a := app{}
	store := memstore.New(memstore.Config{})
	defer store.Close()
	now := time.Now()
	for _, s := range engine.Statuses() {
		x := engine.Execution{ID: "x", Task: "t", Status: s, CreatedAt: now, StartAt: now.Add(time.Minute), Failure: &engine.Failure{Kind: engine.KindPanic, Message: "boom", Stack: "main.go:1\nmain.go:2"}}
		if s.Finished() {
			x.FinishedAt = now
		}
		x.Input = codec.Payload{Type: codec.MsgPack, Data: []byte{0xc1}} // not valid MessagePack
		v, err := fullViewOf(t.Context(), store, x)
		if err != nil {
			t.Fatal(err)
		}
		var out lockedBuffer
		a.out = screen{Writer: &out}
		a.printExecution(x, v, now, nil)
		a.printTree(&node{Execution: x}, now, 0)
		if !strings.Contains(out.String(), "boom") || !strings.Contains(out.String(), a.display(x, now, nil)) {
			t.Errorf("%s:\n%s", s, out.String())
		}
	}
}

// The name of an executor, an input and a stack come from other programs: no byte of them may
// move the cursor of the terminal that shows them.
func TestARecordCannotControlTheTerminal(t *testing.T) {
	store := memstore.New(memstore.Config{})
	defer store.Close()
	const evil = "\x1b[2J\u009b2J\x7f"
	now := time.Now()
	x := engine.Execution{
		ID: "x", Task: "t", Status: engine.Running, CreatedAt: now, StartedAt: now, Executor: "now" + evil,
		Input:   codec.Payload{Type: codec.JSON, Data: []byte("{\"text\": \"" + strings.Repeat("long ", 20) + "\u009b2J\x7f\"}")},
		Failure: &engine.Failure{Kind: engine.KindPanic, Message: "boom", Stack: "main.go:1" + evil + "\nmain.go:2"},
		History: []engine.Attempt{{Executor: "before" + evil, StartedAt: now, EndedAt: now, Failure: &engine.Failure{Message: "no"}}},
	}
	v, err := fullViewOf(t.Context(), store, x)
	if err != nil {
		t.Fatal(err)
	}
	var out lockedBuffer
	a := app{streams: streams{out: screen{Writer: &out}}}
	a.printExecution(x, v, now, nil)
	a.printTree(&node{Execution: x}, now, 0)
	if got := out.String(); strings.ContainsAny(got, "\x1b\u009b\x7f") || !strings.Contains(got, "main.go:2\n") {
		t.Errorf("control characters in %q", got)
	}
}

func TestEncryptedPayloadsAreShownAsSuchAndCompressedOnesAsTheyAre(t *testing.T) {
	aes, err := codec.AESGCM("k1", map[string][]byte{"k1": make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	k, err := codec.New(codec.Config{Wrappers: []codec.Wrapper{codec.Gzip(0, 0), aes}})
	if err != nil {
		t.Fatal(err)
	}
	seal := func(v any, layers ...string) codec.Payload {
		p, err := codec.Encode(v)
		if err == nil {
			p, err = k.Seal(p, layers)
		}
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	s := memstore.New(memstore.Config{})
	defer s.Close()
	long := strings.Repeat("readable ", 300)
	parent := engine.Execution{
		ID: "p", Task: "t", Status: engine.Completed, Spawned: 2, Gathers: true,
		Input: seal("secret", "aes-gcm"), Output: seal(long, "gzip"),
	}
	records := []engine.Execution{parent,
		{ID: "p.0", Parent: "p", Task: "c", Status: engine.Completed, Output: seal("secret", "aes-gcm", "gzip")},
		{ID: "p.1", Parent: "p", Task: "c", Index: 1, Status: engine.Completed, Output: codec.Payload{Type: "application/msgpack; enc=gzip", Data: []byte("no gzip")}},
	}
	for _, x := range records {
		if _, err := s.Update(t.Context(), x, 0); err != nil {
			t.Fatal(err)
		}
	}
	v, err := fullViewOf(t.Context(), s, parent)
	if err != nil {
		t.Fatal(err)
	}
	var out lockedBuffer
	a := app{streams: streams{out: screen{Writer: &out}}}
	a.printExecution(parent, v, time.Now(), nil)
	if err := printJSON(&out, v); err != nil {
		t.Fatal(err)
	}
	for text, n := range map[string]int{
		"application/msgpack; enc=aes-gcm.k1": 4, // the input and the output of a child, each for people and for programs
		long:                                  2,
		`"error"`:                             2,
		"secret":                              0,
	} {
		if got := strings.Count(out.String(), text); got != n {
			t.Errorf("%q is there %d times, want %d, in\n%s", text, got, n, out.String())
		}
	}
}

func TestTheDefaultDirectoryIsTheUsersState(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	for _, c := range []struct{ state, want string }{
		{"", filepath.Join(home, ".local/state/durable")},
		{"relative", filepath.Join(home, ".local/state/durable")}, // the specification says to ignore it
		{"/var/state", "/var/state/durable"},
	} {
		t.Setenv("XDG_STATE_HOME", c.state)
		if got, err := stateDir(); err != nil || got != c.want {
			t.Errorf("with XDG_STATE_HOME=%q: %q, %v, want %q", c.state, got, err, c.want)
		}
	}
	if err := os.Unsetenv("HOME"); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_STATE_HOME", "")
	o := durable(t, "list").want(t, exitUsage)
	if !strings.Contains(o.err, "hint: name a directory with --dir") {
		t.Errorf("stderr = %q", o.err)
	}
}
