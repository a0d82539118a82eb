package main

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/api"
)

// A testTerminal is a terminal of 80 by 25 cells that keeps its last content.
type testTerminal struct {
	tcell.SimulationScreen
	mu    sync.Mutex
	shown string
}

// onTerminal runs the program on a terminal until it ends.
func onTerminal(t *testing.T, ctx context.Context, args ...string) (*testTerminal, chan outcome) {
	t.Helper()
	t.Setenv("NO_COLOR", "1")
	term := &testTerminal{SimulationScreen: tcell.NewSimulationScreen("UTF-8")}
	ended := make(chan outcome, 1)
	go func() {
		var out, errs lockedBuffer
		code := run(ctx, args, streams{
			out: screen{Writer: &out, terminal: true, columns: 80}, err: screen{Writer: &errs, terminal: true, columns: 80},
			terminal: func() (tcell.Screen, error) { return term, nil },
		})
		ended <- outcome{code, out.String(), errs.String()}
	}()
	return term, ended
}

func (s *testTerminal) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown
}

func (s *testTerminal) Show() {
	s.SimulationScreen.Show()
	cells, width, height := s.GetContents()
	var b strings.Builder
	for y := range height {
		var line strings.Builder
		for _, c := range cells[y*width : (y+1)*width] {
			if len(c.Runes) > 0 {
				line.WriteRune(c.Runes[0])
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shown = strings.TrimRight(b.String(), "\n") + "\n"
}

// until waits until the terminal shows all the words, and returns its content. A word after !
// must not be there.
func (s *testTerminal) until(t *testing.T, words ...string) string {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		text, missing := s.text(), ""
		for _, w := range words {
			if w, lacks := strings.CutPrefix(w, "!"); strings.Contains(text, w) == lacks {
				missing = w
			}
		}
		if missing == "" {
			return text
		}
		if time.Now().After(deadline) {
			t.Fatalf("the terminal does not show %q but\n%s", missing, text)
		}
	}
}

func TestTopShowsTheFleetUntilItIsLeft(t *testing.T) {
	dir := t.TempDir()
	developing(t, dir)
	durable(t, "enqueue", "nap", `{"seconds":3600}`, "--id", "long", "--dir", dir).want(t, exitOK)
	for _, c := range []struct {
		key  tcell.Key
		r    rune
		code int
	}{{tcell.KeyRune, 'q', exitOK}, {tcell.KeyEscape, 0, exitOK}, {tcell.KeyCtrlC, 0, exitInterrupted}} {
		term, ended := onTerminal(t, t.Context(), "top", "--dir", dir)
		text := term.until(t, "1 of 16 slots in use", "\nlong", "default  0      1")
		for line := range strings.Lines(text) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 80 {
				t.Errorf("%d columns: %q", n, line)
			}
		}
		term.InjectKey(c.key, c.r, tcell.ModNone)
		if o := (<-ended).want(t, c.code); o.out+o.err != "" {
			t.Errorf("top has also printed %q%q", o.out, o.err)
		}
	}
	term, ended := onTerminal(t, t.Context(), "top", "--dir", dir)
	term.until(t, "\nlong")
	durable(t, "enqueue", "greet", `{"name":"x"}`, "--wait", "--dir", dir).want(t, exitOK)
	term.until(t, "executions/s finish, 0/s do not", "!; 0 executions/s")
	durable(t, "cancel", "long", "--yes", "--dir", dir).want(t, exitOK)
	term.until(t, "no execution has been running for long")
	term.InjectKey(tcell.KeyRune, 'q', tcell.ModNone)
	(<-ended).want(t, exitOK)

	ctx, interrupt := context.WithCancel(t.Context())
	term, ended = onTerminal(t, ctx, "top", "--dir", dir)
	term.until(t, "0 of 16 slots")
	interrupt()
	(<-ended).want(t, exitInterrupted)
}

// begun waits until the record of an execution says that it is running.
func begun(t *testing.T, id string, where ...string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		v := jsonLines[view](t, durable(t, append([]string{"get", id, "--json"}, where...)...).want(t, exitOK).out)[0]
		if v.Status == engine.Running {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is %s", id, v.Status)
		}
	}
}

func TestTopPrintsOnceWhereThereIsNoTerminal(t *testing.T) {
	dir := t.TempDir()
	stop := developing(t, dir)
	durable(t, "enqueue", "nap", `{"seconds":3600}`, "--id", "long", "--dir", dir).want(t, exitOK)
	begun(t, "long", "--dir", dir)
	for _, args := range [][]string{{"top"}, {"top", "--once"}} {
		if o := durable(t, append(args, "--dir", dir)...).want(t, exitOK); !strings.HasPrefix(o.out, "1 of 16 slots in use; 0 executions/s finish, 0/s do not complete\n\nEXECUTOR") || !strings.Contains(o.out, "\nlong ") {
			t.Errorf("%v prints\n%s", args, o.out)
		}
	}
	v := jsonLines[topView](t, durable(t, "top", "--json", "--dir", dir).want(t, exitOK).out)[0]
	if v.Slots != 16 || v.Running != 1 || len(v.Executors) != 1 || len(v.Queues.Queues) != 1 || len(v.Slowest) != 1 || v.Slowest[0].ID != "long" || v.WindowMS < topOnceFor.Milliseconds() {
		t.Errorf("top --json = %+v", v)
	}
	durable(t, "cancel", "long", "--yes", "--dir", dir).want(t, exitOK)
	stop()
	if o := durable(t, "top", "--dir", dir).want(t, exitOK); !strings.Contains(o.out, "no executor answers") {
		t.Errorf("without an executor top prints\n%s", o.out)
	}
	_, ended := onTerminal(t, t.Context(), "top", "--dir", dir)
	if o := (<-ended).want(t, exitIncomplete); !strings.Contains(o.err, "no executor is running in this store") {
		t.Errorf("stderr = %q", o.err)
	}
	durable(t, "top", "--limit", "0").want(t, exitUsage)
	durable(t, "top", "x").want(t, exitUsage)
}

// TestFramesOfTopAlign formats a view that has to leave rows out, and a complete one.
func TestFramesOfTopAlign(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	v := topView{now: now, Slots: 96, Running: 65, Finished: 1234.4, Incomplete: 0.25}
	for _, p := range []engine.Presence{
		{Executor: "a-1", Slots: 32, Running: 1, InHand: 2, Queues: map[string]int{"default": 1}},
		{Executor: "b-2", Slots: 32, Running: 32, InHand: 64, Queues: map[string]int{"default": 1, "mail": 5}},
		{Executor: "c-3", Slots: 32, Running: 32, InHand: 64, Queues: map[string]int{"default": 1}, Now: now, Failing: map[string]time.Time{"renew": now.Add(-time.Minute)}},
	} {
		v.present = append(v.present, engine.Answer{Presence: p, CalledAt: now})
	}
	v.present[0].CalledAt = now.Add(-4 * time.Second)
	v.Queues = api.Queues{Later: 3, Queues: []api.Queue{
		{Queue: "default", Ready: 12345, InFlight: 130, InHand: 130, OldestAt: 1, OldestMS: 90_000, Executors: 3, MaxInFlight: -1},
		{Queue: "mail", Ready: 1, MaxInFlight: 10, Executors: 1, Paused: true, PausedUntil: now.Add(time.Hour).UnixMilli(), PauseReason: "the relay is down, as it is on every other day of the year"},
		{Queue: "slow", Ready: 7},
	}}
	for i, id := range []string{"te_06h1ae4uuoepli6o7fnhdr6ac4", "x.0-1", "y"} {
		v.Slowest = append(v.Slowest, viewOf(engine.Execution{ID: id, Task: "resizeImage", Executor: "b-2", Status: engine.Running, Attempt: i, StartedAt: now.Add(-time.Hour >> i)}, nil))
	}
	for name, height := range map[string]int{"all": 0, "15": 15} {
		var out lockedBuffer
		t.Setenv("NO_COLOR", "1")
		a := app{streams: streams{out: screen{Writer: &out, terminal: true, columns: 80}}}
		a.printTop(v, height)
		if height > 0 && strings.Count(out.String(), "\n") > height {
			t.Errorf("%d lines, want %d at most", strings.Count(out.String(), "\n"), height)
		}
		golden(t, "aligned-top-"+name, out.String())
	}
	v = topView{now: now, failure: errors.New("no answer")}
	var out lockedBuffer
	a := app{streams: streams{out: screen{Writer: &out, terminal: true, columns: 80}}}
	a.printTop(v, 24)
	golden(t, "aligned-top-none", out.String())
}
