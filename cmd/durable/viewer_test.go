package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gdamore/tcell/v2"
)

// types injects keys: characters, and names of keys in angle brackets.
func (s *testTerminal) types(keys string) {
	named := map[string]tcell.Key{
		"up": tcell.KeyUp, "down": tcell.KeyDown, "pgup": tcell.KeyPgUp, "pgdn": tcell.KeyPgDn, "home": tcell.KeyHome, "end": tcell.KeyEnd,
		"enter": tcell.KeyEnter, "esc": tcell.KeyEscape, "back": tcell.KeyBackspace2,
	}
	for rest := keys; rest != ""; {
		if name, after, found := strings.Cut(rest[1:], ">"); rest[0] == '<' && found {
			s.InjectKey(named[name], 0, tcell.ModNone)
			rest = after
			continue
		}
		s.InjectKey(tcell.KeyRune, rune(rest[0]), tcell.ModNone)
		rest = rest[1:]
	}
}

// TestLiveListsScrollAndFilter scrolls a list of 40 executions on a terminal of 25 lines.
func TestLiveListsScrollAndFilter(t *testing.T) {
	dir := t.TempDir()
	developing(t, dir)
	var lines strings.Builder
	durable(t, "enqueue", "approve", `"may I?"`, "--id", "first", "--dir", dir).want(t, exitOK)
	begun(t, "first", "--dir", dir)
	for range 39 {
		lines.WriteString("\"may I?\"\n")
	}
	ids := strings.Fields(typing(t.Context(), lines.String(), "enqueue", "approve", "--lines", "--dir", dir).want(t, exitOK).out)
	durable(t, "enqueue", "greet", `{"name":"x"}`, "--id", "hello", "--wait", "--dir", dir).want(t, exitOK)
	for _, id := range ids {
		begun(t, id, "--dir", dir)
	}
	newest, oldest := ids[len(ids)-1], "first"
	term, ended := onTerminal(t, t.Context(), "list", "--watch", "--dir", dir)
	term.until(t, "the newest 41; q ends, ? for help", "EXECUTION", "hello", "lines 1-22 of 41", "!"+oldest)
	for _, step := range []struct {
		keys  string
		words []string
	}{
		{"<down>", []string{"lines 2-23 of 41", "EXECUTION", "the newest 41", "!hello"}},
		{"<up>", []string{"lines 1-22 of 41", "hello"}},
		{"<pgdn>", []string{"lines 20-41 of 41", oldest, "EXECUTION", "!hello"}},
		{"<pgup>", []string{"lines 1-22 of 41"}},
		{"<end>", []string{"lines 20-41 of 41", oldest}},
		{"<down><down><down>", []string{"lines 20-41 of 41"}},
		{"<home>", []string{"lines 1-22 of 41", "hello"}},
		{"jjjk", []string{"lines 3-24 of 41"}},
		{"G", []string{"lines 20-41 of 41"}},
		{"g", []string{"lines 1-22 of 41"}},
		{" ", []string{"lines 20-41 of 41"}},
		{"b", []string{"lines 1-22 of 41"}},
		{"?", []string{"a page up or down", "!the newest"}},
		{"q", []string{"the newest 41", "!a page up or down"}},
		{"/", []string{"/_"}},
		{"GREETq", []string{"/GREETq_", "the newest 0;"}}, // a random id may contain gre
		{"<back>", []string{"/GREET_", "the newest 1;", "hello", "!" + newest}},
		{"<enter>", []string{"/GREET  lines 1-1 of 1", "hello"}},
		{"<esc>", []string{"the newest 41;", "!/GREET"}},
		{"/nothing<esc>", []string{"the newest 41;", "!/nothing"}},
	} {
		term.types(step.keys)
		term.until(t, step.words...)
	}
	term.SetSize(40, 12) // not every version of tcell sends an event for this
	_ = term.PostEvent(tcell.NewEventResize(40, 12))
	text := term.until(t, "TASK greet", "STATUS completed", "!EXECUTION")
	for line := range strings.Lines(text) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 40 {
			t.Errorf("%d columns: %q", n, line)
		}
	}
	term.types("q")
	if o := (<-ended).want(t, exitOK); o.out+o.err != "" {
		t.Errorf("left, it prints %q%q", o.out, o.err)
	}
}

// TestLiveTreesAndTopShowWhatIsFoldedOnceTheyScroll has more children, and more slow executions,
// than the terminal has lines.
func TestLiveTreesAndTopShowWhatIsFoldedOnceTheyScroll(t *testing.T) {
	dir := t.TempDir()
	developing(t, dir)
	for i := range 30 {
		durable(t, "enqueue", "nap", `{"seconds":3600}`, "--id", fmt.Sprint("nap-", i), "--dir", dir).want(t, exitOK)
	}
	begun(t, "nap-0", "--dir", dir)
	term, ended := onTerminal(t, t.Context(), "top", "--limit", "30", "--dir", dir)
	term.until(t, "16 of 16 slots in use", "\nnap-", "QUEUE")
	term.types("<end>")
	term.until(t, "q ends, ? for help", "lines ", "16 of 16 slots in use")
	term.types("/default<enter>")
	term.until(t, "/default", "QUEUE", "EXECUTOR", "!SLOWEST", "!no queues")
	term.types("<esc>/nap-0<enter>")
	term.until(t, "/nap-0", "SLOWEST", "\nnap-0 ", "!no executor", "!QUEUE")
	term.types("q")
	(<-ended).want(t, exitOK)

	n := &viewer{}
	many := make([]string, 100)
	for i := range many {
		many[i] = fmt.Sprint("line ", i)
	}
	for _, height := range []int{1, 2, 3, 24} { // the heights of terminals
		for _, head := range []int{0, 2, 5} {
			if got := n.shown(many, head, 80, height); len(got) > max(height, 2) {
				t.Errorf("%d lines in %d, with a head of %d", len(got), height, head)
			}
		}
	}
}
