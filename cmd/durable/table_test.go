package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"pgregory.net/rapid"

	"github.com/durable-execution/durable/engine"
)

// TestTablesFitAnyWidth formats tables with cells of any length: no line is too wide, no row is
// missing, and every cut cell ends with an ellipsis.
func TestTablesFitAnyWidth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := plainTable()
		n := rapid.IntRange(2, 9).Draw(t, "columns")
		var head table.Row
		for i := range n {
			head = append(head, fmt.Sprint("HEAD", i))
			g.numbers[i] = i > 0 && rapid.Bool().Draw(t, "number")
			g.whole[i] = rapid.Float64().Draw(t, "whole") < 0.2
		}
		g.AppendHeader(head)
		if rapid.Bool().Draw(t, "has spare") {
			g.spare = []int{n - 1}
		}
		rows := rapid.IntRange(1, 5).Draw(t, "rows")
		for r := range rows {
			row := table.Row{fmt.Sprint("r", r, strings.Repeat("x", rapid.IntRange(0, 60).Draw(t, "first")))}
			for range n - 1 {
				row = append(row, strings.Repeat("ü", rapid.IntRange(0, 60).Draw(t, "wide")))
			}
			g.AppendRow(row)
		}
		width := rapid.IntRange(20, 160).Draw(t, "width")
		lines := strings.Split(g.fit(width), "\n")
		found := 0
		for _, line := range lines {
			if w := text.StringWidthWithoutEscSequences(line); w > width {
				t.Errorf("%d columns, want %d at most: %q", w, width, line)
			}
			if strings.HasPrefix(line, "r") {
				found++
			}
		}
		if found != rows {
			t.Errorf("%d rows, want %d:\n%s", found, rows, strings.Join(lines, "\n"))
		}
	})
}

func TestLinesAreBrokenBetweenWords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.StringMatching(`[a-zü]{1,25}`), 1, 20).Draw(t, "words")
		label := rapid.SampledFrom([]string{"", "  ", "status     ", "    fix  "}).Draw(t, "label")
		width := rapid.IntRange(30, 90).Draw(t, "width")
		line := label + strings.Join(words, " ")
		lines := broken(line, width)
		if got := strings.Fields(strings.Join(lines, " ")); strings.Join(got, " ") != strings.Join(strings.Fields(line), " ") {
			t.Errorf("%q is broken into %q", line, lines)
		}
		for _, l := range lines {
			if w := text.StringWidthWithoutEscSequences(l); w > width && len(strings.Fields(l)) > 1 {
				t.Errorf("%d columns, want %d at most: %q", w, width, l)
			}
		}
	})
	for line, want := range map[string]string{
		"status     one two three four":    "status     one two three\n           four",
		"a longer line than that it is":    "a longer line than that\n  it is",
		"  set in, and longer than before": "  set in, and longer\n    than before",
	} {
		if got := strings.Join(broken(line, 24), "\n"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestListsFitTerminals prints a list with one long name on terminals of several widths, and
// into a pipe.
func TestListsFitTerminals(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	list := []engine.Execution{
		{ID: "te_06h1ae4uuoepli6o7fnhdr6ac4", Task: "resizeImage", Status: engine.Completed, CreatedAt: now.Add(-time.Minute), StartedAt: now.Add(-time.Minute), FinishedAt: now},
		{ID: "te_06h1ae4uuoepli6o7fnhdr6ac5", Task: "aTaskWithANameThatIsLongerThanAnybodyWouldWishForAndThenSome", Status: engine.TimedOut, Attempt: 3,
			CreatedAt: now.Add(-3 * time.Hour), StartedAt: now.Add(-2 * time.Hour), FinishedAt: now.Add(-time.Hour), Failure: &engine.Failure{Message: "attempt took longer than 1h0m0s, and nobody knows why that is so"}},
		{ID: "order-7", Task: "order", Status: engine.WaitingForChildren, CreatedAt: now, StartedAt: now},
	}
	var said strings.Builder
	for _, width := range []int{0, 120, 80, 40} {
		a := app{streams: streams{out: screen{terminal: width > 0, columns: width}}}
		fmt.Fprintf(&said, "in %d columns:\n%s\n\n", width, a.fitting(a.executionsTable(list, nil, now, nil)))
	}
	a := app{streams: streams{out: screen{terminal: true, columns: 60}}}
	asked, err := parseColumns([]string{"execution", "Error", "duration"})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&said, "three columns in 60:\n%s\n", a.fitting(a.executionsTable(list, asked, now, nil)))
	golden(t, "aligned-list", said.String())
}
