package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// notes holds the footnotes of the tables, without duplicates.
type notes []string

// mark returns the footnote's mark, " [1]" for the first.
func (n *notes) mark(note string) string {
	if note == "" {
		return ""
	}
	for i, known := range *n {
		if known == note {
			return fmt.Sprintf(" [%d]", i+1)
		}
	}
	*n = append(*n, note)
	return fmt.Sprintf(" [%d]", len(*n))
}

// titles are the titles of the throughput columns.
var titles = map[workload]string{single: "single", bulk: "bulk", fanOut: "fan-out", sequence: "sequence"}

// cell returns the text of a figure's cell, and adds its footnotes to the notes.
func (l line) cell(w workload, n *notes, value func(figure) string) string {
	f, ok := l.Figures[w]
	switch {
	case !ok:
		return ""
	case f.Missing != "":
		return "-" + n.mark(f.Missing)
	}
	return value(f) + n.mark(l.Remarks[w])
}

// rates is the table of the median outcomes per second, and of the latencies.
func (r report) rates(n *notes) table.Writer {
	t := newTable(2)
	header := table.Row{"system", "durability"}
	for _, w := range r.Plan.Only {
		if w == latency {
			header = append(header, "p50 ms", "p99 ms")
			continue
		}
		header = append(header, titles[w]+"/s")
	}
	t.AppendHeader(header)
	for _, l := range r.Lines {
		cells := table.Row{l.System, l.Level}
		for _, w := range r.Plan.Only {
			if w == latency {
				cells = append(cells,
					l.cell(w, n, func(f figure) string { return number(f.Latency.P50) }),
					l.cell(w, n, func(f figure) string { return number(f.Latency.P99) }))
				continue
			}
			cells = append(cells, l.cell(w, n, func(f figure) string {
				return number(f.median(func(r round) float64 { return r.PerSecond }))
			}))
		}
		t.AppendRow(cells)
	}
	return t
}

// costs is the table of the median CPU seconds per 1,000 outcomes, of client and service.
func (r report) costs(n *notes) table.Writer {
	t := newTable(2)
	header := table.Row{"system", "durability"}
	for _, w := range r.Plan.Only {
		if w != latency {
			header = append(header, titles[w])
		}
	}
	t.AppendHeader(header)
	for _, l := range r.Lines {
		cells := table.Row{l.System, l.Level}
		for _, w := range r.Plan.Only {
			if w != latency {
				cells = append(cells, l.cell(w, n, l.cost))
			}
		}
		t.AppendRow(cells)
	}
	return t
}

// cost returns both CPU times, or only the client's if the service is inside the client.
func (l line) cost(f figure) string {
	client := f.median(func(r round) float64 { return r.Client })
	service := f.median(func(r round) float64 { return r.Service })
	if l.Service == "" {
		return number(client)
	}
	return number(client+service) + " = " + number(client) + " + " + number(service)
}

// levels is the table of the measured systems, and of the failures that their acknowledged writes
// survive.
func (r report) levels() table.Writer {
	t := newTable(4)
	t.AppendHeader(table.Row{"system", "durability", "of what is acknowledged", "versions"})
	for _, l := range r.Lines {
		versions := l.Version
		if l.Service != "" {
			versions += ", " + l.Service
		}
		t.AppendRow(table.Row{l.System, l.Level, l.Settles, versions})
	}
	return t
}

// number formats a number with three significant digits.
func number(v float64) string {
	switch {
	case v >= 99.95:
		return grouped(int64(v + 0.5))
	case v >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case v >= 0.9995:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}

// grouped formats a number with commas between the thousands.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// newTable returns a table that aligns all columns on the right, except the first ones, whose
// number is words.
func newTable(words int) table.Writer {
	t := table.NewWriter()
	style := table.StyleLight
	style.Format.Header = text.FormatDefault
	style.Options = table.Options{SeparateColumns: true, SeparateHeader: true}
	t.SetStyle(style)
	var numbers []table.ColumnConfig
	for n := words + 1; n <= 8; n++ {
		numbers = append(numbers, table.ColumnConfig{Number: n, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(numbers)
	return t
}

// text formats the report for a terminal.
func (r report) text() string { return r.write(table.Writer.Render, "%s\n\n", "[%d] %s\n") }

// markdown formats the report for a README.
func (r report) markdown() string {
	return r.write(table.Writer.RenderMarkdown, "**%s**\n\n", "%[1]d. %[2]s\n")
}

func (r report) write(render func(table.Writer) string, heading, note string) string {
	var b strings.Builder
	var n notes
	head := func(title string) { fmt.Fprintf(&b, heading, title) }
	fmt.Fprintf(&b, "Measured on %s: %s. Medians of %d rounds of about %s each.\n\n", r.Date, r.Machine, r.Plan.Rounds, r.Plan.Round)
	head("Outcomes per second, and milliseconds from insert to result, one at a time")
	b.WriteString(render(r.rates(&n)) + "\n\n")
	head("CPU seconds per 1,000 outcomes = client with workers + service")
	b.WriteString(render(r.costs(&n)) + "\n\n")
	head("What was run, and what a crash loses")
	b.WriteString(render(r.levels()) + "\n\n")
	b.WriteString("single: short tasks inserted by 64 callers, until all outcomes are recorded; bulk: 1,000 inserted at once;\n" +
		"fan-out: a parent, 10 children and what joins them; sequence: five steps one after the other;\n" +
		"p50, p99: from the insert of a short task to its result, the next when that is there (fewer than 100: p99 is the longest).\n\n")
	for i, text := range n {
		fmt.Fprintf(&b, note, i+1, text)
	}
	for _, t := range r.Troubles {
		fmt.Fprintf(&b, "\nNot installed: %s\n", t)
	}
	return b.String()
}
