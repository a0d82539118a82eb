package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/history"
)

// forge writes a history of an execution with a child. The child's record has the given status.
func forge(t *testing.T, status engine.Status) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "history.jsonl")
	l, err := history.Append(path, "client")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	x := engine.Execution{ID: "r", Task: "t", Status: status, Closed: true, CreatedAt: at, FinishedAt: at.Add(time.Second)}
	y := engine.Execution{ID: "other", Task: "t", Status: engine.Completed, Closed: true, CreatedAt: at, FinishedAt: at.Add(time.Second)}
	for _, e := range []history.Event{
		{Kind: history.Setting, Settings: &history.Settings{Name: "forged", Seed: 7, Lease: time.Second}},
		{Kind: history.Accepted, Execution: "r", Status: engine.Completed},
		{Kind: history.Began, Execution: "r", Process: "x1", Run: "1"},
		{Kind: history.Struck, Place: history.Executor, Process: "x2", Text: "SIGKILL"},
		{Kind: history.Left, Execution: "r", Process: "x1", Run: "1"},
		{Kind: history.Began, Execution: "other", Process: "x1", Run: "2"},
		{Kind: history.Final, Execution: "r", Record: &x},
		{Kind: history.Final, Execution: "other", Record: &y},
	} {
		e.At, at = at, at.Add(100*time.Millisecond)
		if err := l.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func TestHistoryPrintsATimelineAndChecksItAgain(t *testing.T) {
	o := durable(t, "history", forge(t, engine.Completed)).want(t, exitOK)
	for _, line := range []string{
		"forged: seed 7, lease 1s, 5 events, 2 records",
		"     0.200  x2           struck          executor SIGKILL",
		"began           other attempt 0",
		"holds",
	} {
		if !strings.Contains(o.out, line) {
			t.Errorf("no %q in\n%s", line, o.out)
		}
	}
	o = durable(t, "history", forge(t, engine.Failed)).want(t, exitIncomplete)
	if !strings.Contains(o.out, "broken an execution has the outcome that its task defines: r: is failed") {
		t.Errorf("output:\n%s", o.out)
	}
}

func TestHistoryOfOneExecution(t *testing.T) {
	o := durable(t, "history", "--execution", "r", forge(t, engine.Completed)).want(t, exitOK)
	if strings.Contains(o.out, "other") || !strings.Contains(o.out, "SIGKILL") || !strings.Contains(o.out, "record  r completed") {
		t.Errorf("output:\n%s", o.out)
	}
	lines := jsonLines[history.Event](t, durable(t, "history", "--jsonl", "--execution", "r", forge(t, engine.Completed)).want(t, exitOK).out)
	if len(lines) != 4 {
		t.Errorf("%d lines, want 4: %v", len(lines), lines)
	}
}

func TestHistoryRefusesWhatIsNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rubbish")
	write(t, filepath.Dir(path), "rubbish", "no history\n")
	for _, args := range [][]string{{path}, {filepath.Join(t.TempDir(), "none")}, {}, {forge(t, engine.Completed), "--execution", "a b"}} {
		o := durable(t, append([]string{"history"}, args...)...).want(t, exitUsage)
		if !strings.HasPrefix(o.err, "durable: ") || o.out != "" {
			t.Errorf("%v: %q %q", args, o.out, o.err)
		}
	}
}
