package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/durable-execution/durable/engine"
)

// What --json says of a file that has no execution.
const (
	statusRefused  engine.Status = "refused"    // the path can't be tried
	statusUnqueued engine.Status = "not_queued" // the demo was stopped before, or the store refused it
)

// A result is what became of a file: a line of demo --json. Times are
// milliseconds since the epoch, in UTC.
type result struct {
	File string `json:"file"`
	ID   string `json:"executionId,omitempty"`
	// Status is that of the execution, or refused, or not_queued.
	Status engine.Status `json:"status"`
	// Recovered is the status in which this run found the execution of an earlier
	// one; left out if this run enqueued it.
	Recovered  engine.Status `json:"recovered,omitempty"`
	Attempts   int           `json:"attempts"`
	Crashes    int           `json:"crashes"`
	CreatedAt  int64         `json:"createdAt,omitempty"`
	FinishedAt int64         `json:"finishedAt,omitempty"`
	// Output is there if and only if the status is completed.
	Output *uploadOutput `json:"output,omitempty"`
	// Error says why the file was not uploaded.
	Error string `json:"error,omitempty"`
}

// settled is the result of a job from its execution.
func settled(j *job, x engine.Execution) result {
	r := result{
		File: j.path, ID: j.id, Status: x.Status, Recovered: j.found.Status,
		Attempts: len(x.History), Crashes: x.Crashes,
		CreatedAt: millis(x.CreatedAt), FinishedAt: millis(x.FinishedAt),
	}
	if x.Status == engine.Completed {
		var out uploadOutput
		if err := x.Output.Decode(&out); err != nil {
			r.Error = err.Error()
			return r
		}
		r.Output = &out
	} else if x.Status.Finished() {
		r.Error = reasonOf(x)
	}
	return r
}

func (r result) completed() bool { return r.Status == engine.Completed && r.Output != nil }

// reasonOf says why an execution did not complete, from the child that failed
// where it was one.
func reasonOf(x engine.Execution) string {
	err := (*engine.ExecutionError)(nil)
	if !errors.As(x.Err(), &err) {
		return ""
	}
	if len(err.Children) > 0 {
		return err.Children[0].Message
	}
	return err.Cause.Message
}

// maxRows bounds the table: the rest is for programs.
const maxRows = 60

// printResults prints the table of results and what they come to.
func (d *demo) printResults(results []result, took string) {
	rows := results
	if len(rows) > maxRows {
		rows = chosen(results)
	}
	cells := [][]string{{"FILE", "TITLE", "LINES", "WORDS", "SIZE", "SHA-256"}}
	for _, r := range rows {
		cells = append(cells, r.cells())
	}
	fmt.Fprintf(d.say, "\n%s\n", d.table(rows, cells))
	if len(rows) < len(results) {
		fmt.Fprintf(d.say, "and %s more; --json prints all\n", grouped(len(results)-len(rows)))
	}
	fmt.Fprintf(d.say, "\n%s\n", d.verdict(results, took))
}

// leastResults is the width from which on the reasons of what failed stand beside files.
const leastResults = 60

// table draws the cells of the rows, the first of which are the head.
func (d *demo) table(rows []result, cells [][]string) string {
	if w := d.say.width(); w > 0 && w < leastResults {
		g := withNumbers(3, 4, 5)
		g.head, g.rows = cells[0], cells[1:]
		return g.fit(w)
	}
	file, title := d.widths(cells)
	t := prettyTable()
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 2, WidthMax: title, WidthMaxEnforcer: wrapCell}, rightColumn(3), rightColumn(4), rightColumn(5)})
	for i, c := range cells {
		row := table.Row{snipLeft(c[0], file)}
		switch {
		case i == 0:
			t.AppendHeader(table.Row{c[0], c[1], c[2], c[3], c[4], c[5]})
			continue
		case rows[i-1].completed():
			row = append(row, snip(c[1], title), c[2], c[3], c[4], c[5])
		default: // the reason is told in full, in as many lines as it takes
			row = table.Row{d.say.paint(red, snipLeft(c[0], file)), d.say.paint(red, c[1])}
		}
		t.AppendRow(row)
	}
	return t.Render()
}

// prettyTable is a table of columns and nothing else whose cells may have several lines.
func prettyTable() table.Writer {
	t := table.NewWriter()
	t.SuppressTrailingSpaces()
	s := table.StyleDefault
	s.Options = table.OptionsNoBordersAndSeparators
	s.Box.PaddingLeft, s.Box.PaddingRight = "", "  "
	s.Format.Header = text.FormatDefault
	t.SetStyle(s)
	return t
}

// wrapCell breaks a cell between words. A word that is too long is cut.
func wrapCell(cell string, width int) string {
	lines := strings.Split(fill(cell, width), "\n")
	for i, line := range lines {
		lines[i] = snip(line, width)
	}
	return strings.Join(lines, "\n")
}

func (r result) cells() []string {
	if o := r.Output; o != nil {
		return []string{shortPath(r.File), o.Title, grouped(o.Lines), grouped(o.Words), byteSize(o.Size), o.SHA256[:8]}
	}
	why := r.Error
	if why == "" {
		why = strings.ReplaceAll(string(r.Status), "_", " ")
	}
	return []string{shortPath(r.File), oneLine(why), "", "", "", ""}
}

// widths returns how wide the columns of text may be, so that the others fit
// beside them.
func (d *demo) widths(cells [][]string) (file, title int) {
	var widest [6]int
	for _, c := range cells {
		for i := range c {
			widest[i] = max(widest[i], text.StringWidthWithoutEscSequences(c[i]))
		}
	}
	w := d.say.width()
	if w == 0 {
		return 0, 60
	}
	left := w
	for i, n := range widest {
		left -= 2 // behind each column
		if i >= 2 {
			left -= n
		}
	}
	left = max(left, 30)
	file = min(widest[0], max(left/2, left-widest[1]))
	return file, left - file
}

func rightColumn(n int) table.ColumnConfig {
	return table.ColumnConfig{Number: n, Align: text.AlignRight, AlignHeader: text.AlignRight}
}

// chosen are the rows of a table that can't show all: those that did not
// complete first.
func chosen(results []result) []result {
	var rows []result
	for _, r := range results {
		if !r.completed() {
			rows = append(rows, r)
		}
	}
	for _, r := range results {
		if len(rows) >= maxRows {
			break
		}
		if r.completed() {
			rows = append(rows, r)
		}
	}
	return rows
}

// verdict is the last line: how many completed, now or before.
func (d *demo) verdict(results []result, took string) string {
	completed, before := 0, 0
	for _, r := range results {
		if r.completed() {
			completed++
			if r.Recovered == engine.Completed {
				before++
			}
		}
	}
	line := fmt.Sprintf("%s of %s completed", grouped(completed), count(len(results), "file", "files"))
	switch {
	case before == completed && before > 0:
		line += ", all of them in an earlier run (--again runs them again)"
	case before > 0:
		line += fmt.Sprintf(", %s of them in an earlier run", grouped(before))
	}
	c := green
	if completed < len(results) {
		c = red
		line += "; " + count(len(results)-completed, "did not", "did not")
	}
	return d.say.paint(c, line) + ", in " + took
}
