package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/durable-execution/durable/engine"
)

// The statuses that --json prints for a file without an execution.
const (
	statusRefused  engine.Status = "refused"    // the path can't be uploaded
	statusUnqueued engine.Status = "not_queued" // the demo was stopped before it enqueued the file, or the store refused it
)

// A result is the outcome of one file: a line of demo --json. Times are milliseconds since the
// epoch, in UTC.
type result struct {
	File string `json:"file"`
	ID   string `json:"executionId,omitempty"`
	// Status is the status of the execution, or refused, or not_queued.
	Status engine.Status `json:"status"`
	// Recovered is the status that the execution had at the start of this run; left out if
	// this run enqueued it.
	Recovered  engine.Status `json:"recovered,omitempty"`
	Attempts   int           `json:"attempts"`
	Crashes    int           `json:"crashes"`
	CreatedAt  int64         `json:"createdAt,omitempty"`
	FinishedAt int64         `json:"finishedAt,omitempty"`
	// Output is set if and only if the status is completed.
	Output *uploadOutput `json:"output,omitempty"`
	// Error says why the file was not uploaded.
	Error string `json:"error,omitempty"`
}

// settled returns the result of a job, from its execution.
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

// reasonOf returns why an execution did not complete: the error of the first child that failed,
// or otherwise its own.
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

// maxRows is the greatest number of rows in the table; --json prints all results.
const maxRows = 60

// printResults prints the table of results, and the verdict.
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

// leastResults is the least width of a terminal for a table with the reasons of failures beside
// the files.
const leastResults = 60

// table formats the cells as a table. cells[0] is the header; the others belong to rows.
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
		default: // print the whole reason, on as many lines as it needs
			row = table.Row{d.say.paint(red, snipLeft(c[0], file)), d.say.paint(red, c[1])}
		}
		t.AppendRow(row)
	}
	return t.Render()
}

// prettyTable returns a table without borders. Its cells may have several lines.
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

// wrapCell breaks the text of a cell between words, and cuts words that are too long.
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

// widths returns how wide the two columns of text may be, so that all columns fit.
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
		left -= 2 // the gap after each column
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

// chosen returns maxRows results: first the ones that did not complete, then others.
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

// verdict returns the last line: how many files completed, in this run or an earlier one.
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
