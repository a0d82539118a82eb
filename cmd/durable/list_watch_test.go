package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/durable-execution/durable/engine"
)

func TestWatchedListsShowWhatBecomesOfThem(t *testing.T) {
	dir := t.TempDir()
	stop := developing(t, dir)
	durable(t, "enqueue", "approve", `"may I?"`, "--id", "ask", "--dir", dir).want(t, exitOK)
	durable(t, "enqueue", "sumOfSquares", `{"numbers":[1]}`, "--id", "sum", "--wait", "--dir", dir).want(t, exitOK)
	begun(t, "ask", "--dir", dir)
	term, ended := onTerminal(t, t.Context(), "list", "--watch", "--roots", "--dir", dir)
	running, left := onTerminal(t, t.Context(), "list", "--watch", "--status", "running", "--dir", dir)
	text := term.until(t, "ask        approve       sleeping", "sum        sumOfSquares  completed", "the newest 2; q ends")
	if strings.Contains(text, "sum.0") || strings.Index(text, "\nsum") > strings.Index(text, "\nask") {
		t.Errorf("not the roots, the newest first:\n%s", text)
	}
	running.until(t, "ask        approve  sleeping", "the newest 1;")

	ctx, interrupt := context.WithCancel(t.Context())
	var out, errs lockedBuffer
	piped := make(chan int, 1)
	go func() {
		piped <- run(ctx, []string{"list", "--watch", "--jsonl", "--task", "approve", "--dir", dir}, streams{out: screen{Writer: &out}, err: screen{Writer: &errs}})
	}()
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(out.String(), `"ask"`); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("in a pipe it prints %q%q", out.String(), errs.String())
		}
	}
	durable(t, "wake", "ask", "--output", "true", "--dir", dir).want(t, exitOK)
	durable(t, "enqueue", "greet", `{"name":"x"}`, "--id", "hello", "--wait", "--dir", dir).want(t, exitOK)
	text = term.until(t, "hello      greet         completed", "ask        approve       completed", "the newest 3;")
	if strings.Index(text, "\nhello") > strings.Index(text, "\nsum") {
		t.Errorf("not the newest first:\n%s", text)
	}
	running.until(t, "!ask", "the newest 0;")
	for _, s := range []struct {
		*testTerminal
		ended chan outcome
	}{{term, ended}, {running, left}} {
		s.InjectKey(tcell.KeyRune, 'q', tcell.ModNone)
		if o := (<-s.ended).want(t, exitOK); o.out+o.err != "" {
			t.Errorf("left, it prints %q%q", o.out, o.err)
		}
	}
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(out.String(), `"completed"`); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("in a pipe it prints %q%q", out.String(), errs.String())
		}
	}
	interrupt()
	if code := <-piped; code != exitInterrupted {
		t.Errorf("exit code %d, want %d", code, exitInterrupted)
	}
	for _, v := range jsonLines[view](t, out.String()) {
		if v.ID != "ask" {
			t.Errorf("%s is of task %s", v.ID, v.Task)
		}
	}
	durable(t, "list", "--watch", "--set-aside", "--dir", dir).want(t, exitUsage)
	stop()
	durable(t, "list", "--watch", "--dir", dir).want(t, exitIncomplete)
}

func TestAListingKeepsItsOrderAndItsSize(t *testing.T) {
	at := time.Now()
	x := func(i int) engine.Execution {
		return engine.Execution{ID: idAt(i), CreatedAt: at.Add(time.Duration(i/3) * time.Second)}
	}
	l := &listing{}
	for i := range 3 * mostListed {
		l.put(x(i*7%(3*mostListed)), true) // each number once, in a mixed order
	}
	if len(l.list) != mostListed || !slices.IsSortedFunc(l.list, engine.NewestFirst) || l.list[0].ID != idAt(3*mostListed-3) {
		t.Errorf("%d in the list, the first %s, want %d, %s", len(l.list), l.list[0].ID, mostListed, idAt(3*mostListed-3))
	}
	l.put(x(3*mostListed-3), false)
	if len(l.list) != mostListed-1 || l.list[0].ID != idAt(3*mostListed-2) {
		t.Errorf("%d in the list, the first %s", len(l.list), l.list[0].ID)
	}
}

func idAt(i int) string { return fmt.Sprintf("x%05d", i) }
