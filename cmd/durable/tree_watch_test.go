package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/durable-execution/durable/engine"
)

func TestWatchedTreesAreShownUntilTheyEnd(t *testing.T) {
	dir := t.TempDir()
	stop := developing(t, dir)
	for i, leave := range []bool{true, false} {
		id := fmt.Sprint("ask", i)
		durable(t, "enqueue", "approve", `"may I?"`, "--id", id, "--dir", dir).want(t, exitOK)
		begun(t, id, "--dir", dir)
		term, ended := onTerminal(t, t.Context(), "tree", id, "--watch", "--dir", dir)
		term.until(t, id+"  1 execution", "approve  sleeping")
		if leave {
			term.InjectKey(tcell.KeyRune, 'q', tcell.ModNone)
			if o := (<-ended).want(t, exitOK); o.out+o.err != "" {
				t.Errorf("left, it prints %q%q", o.out, o.err)
			}
			continue
		}
		piped := make(chan outcome, 2)
		go func() { piped <- durableIn(t.Context(), screen{}, "tree", id, "--watch", "--dir", dir) }()
		json := make(chan outcome, 2)
		go func() { json <- durableIn(t.Context(), screen{}, "tree", id, "--watch", "--jsonl", "--dir", dir) }()
		durable(t, "wake", id, "--output", "true", "--dir", dir).want(t, exitOK)
		for _, o := range []outcome{<-ended, <-piped} {
			if o.want(t, exitOK); !strings.HasPrefix(o.out, id+"  1 execution\ncreated ") || !strings.Contains(o.out, "approve  completed ") || o.err != "" {
				t.Errorf("at its end it prints %q%q", o.out, o.err)
			}
		}
		if v := jsonLines[view](t, (<-json).want(t, exitOK).out); len(v) != 1 || v[0].Status != engine.Completed {
			t.Errorf("--jsonl prints %v", v)
		}
	}
	o := durable(t, "enqueue", "sumOfSquares", `{"numbers":[1,2,3]}`, "--id", "sum", "--dir", dir).want(t, exitOK)
	if o = durable(t, "tree", "sum", "--watch", "--dir", dir).want(t, exitOK); !strings.HasPrefix(o.out, "sum  5 executions\n") || strings.Count(o.out, " completed ") != 5 {
		t.Errorf("a tree with children ends as\n%s", o.out)
	}
	durable(t, "tree", "nosuch", "--watch", "--dir", dir).want(t, exitNotFound)
	durable(t, "enqueue", "greet", `{"name":"x"}`, "--id", "late", "--delay", "1h", "--dir", dir).want(t, exitOK)
	durable(t, "wake", "ask0", "--output", "true", "--dir", dir).want(t, exitOK)
	stop()
	if o := durable(t, "tree", "late", "--watch", "--dir", dir).want(t, exitIncomplete); !strings.Contains(o.err, "no executor is running in this store") {
		t.Errorf("stderr %q", o.err)
	}
	durable(t, "tree", "sum", "--watch", "--dir", dir).want(t, exitOK)
}

// TestFoldedTreesFit formats a large tree in fewer and fewer lines.
func TestFoldedTreesFit(t *testing.T) {
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	all := map[string]engine.Execution{}
	put := func(id, task string, s engine.Status) {
		x := engine.Execution{ID: id, Task: task, Status: s, CreatedAt: at, StartedAt: at}
		if i := strings.LastIndexAny(id, ".-"); i > 0 {
			x.Parent = id[:i]
		}
		if s.Finished() {
			x.FinishedAt = at.Add(time.Second)
			x.History = []engine.Attempt{{Executor: "a", StartedAt: at, EndedAt: x.FinishedAt}}
		}
		if s == engine.Failed {
			x.Failure = &engine.Failure{Message: "no luck"}
		}
		all[id] = x
	}
	put("r", "orders", engine.WaitingForChildren)
	for i := range 30 {
		s := engine.Completed
		switch {
		case i == 7:
			s = engine.Failed
		case i > 20:
			s = engine.Running
		}
		put(fmt.Sprint("r.", i), "order", s)
	}
	for i := range 3 {
		put(fmt.Sprint("r.3-", i), "item", engine.Completed)
		put(fmt.Sprint("r.21-", i), "item", engine.Completed)
		put(fmt.Sprint("r.22-", i), "item", engine.Running)
	}
	var said strings.Builder
	for _, height := range []int{0, 100, 30, 16, 3} {
		var out lockedBuffer
		a := app{streams: streams{out: screen{Writer: &out}}}
		a.printTree(grown(all, "r"), at.Add(time.Minute), height)
		if n := strings.Count(out.String(), "\n"); height > 8 && n > height {
			t.Errorf("%d lines, want %d at most", n, height)
		}
		fmt.Fprintf(&said, "in %d lines:\n%s\n", height, out.String())
	}
	golden(t, "aligned-tree-folded", strings.ReplaceAll(said.String(), "\n\n", "\n"))
}
