package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/durable-execution/durable/jsstore/doctor"
)

// groups are the sections of a report, each with the prefixes of its checks' names.
var groups = []struct {
	title  string
	checks []string
	table  func(*app, doctor.Examination) string
}{
	{"Servers", []string{"server", "account"}, (*app).serversTable},
	{"Streams", []string{"stream"}, (*app).streamsTable},
	{"Consumers", []string{"consumer"}, nil},
	{"Executors", []string{"executor"}, (*app).executorsTable},
	{"Queues", []string{"queue"}, (*app).queuesTable},
	{"Executions", []string{"work"}, nil},
}

// printExamination prints a report: first the good findings section by section, then the
// problems, the worst last, where the reader sees it.
func (a *app) printExamination(x doctor.Examination, store string) {
	a.printWrapped("", fmt.Sprintf("namespace %s, %s", x.Namespace, store), bold)
	for _, g := range groups {
		table := ""
		if g.table != nil {
			table = g.table(a, x)
		}
		var findings []doctor.Finding
		for _, f := range x.Findings {
			if group, _, _ := strings.Cut(f.Check, "."); slices.Contains(g.checks, group) && !isBad(f) {
				findings = append(findings, f)
			}
		}
		if len(findings) == 0 && table == "" {
			continue
		}
		fmt.Fprintf(a.out, "\n%s\n", a.out.paint(bold, g.title))
		a.printFindings(findings)
		if table != "" {
			fmt.Fprintf(a.out, "\n%s\n", indent(table))
		}
	}
	if len(x.Survives) > 0 {
		fmt.Fprintf(a.out, "\n%s\n", a.out.paint(bold, "Failures that an acknowledged enqueue survives here"))
		for _, sentence := range x.Survives {
			a.printWrapped("  ", sentence, "")
		}
	}
	if slices.ContainsFunc(x.Findings, isBad) {
		fmt.Fprintf(a.out, "\n%s\n", a.out.paint(bold, "Warnings and problems"))
	}
	a.printProblems(x)
}

// printProblems prints the problems and warnings, the worst last, and how many there are.
func (a *app) printProblems(x doctor.Examination) {
	a.printFindings(slices.DeleteFunc(slices.Clone(x.Findings), func(f doctor.Finding) bool { return !isBad(f) }))
	fmt.Fprintf(a.out, "\n%s, in %s\n", a.tallied(x), span(x.Took))
}

// isBad reports whether a finding is a warning or a problem, mended or not.
func isBad(f doctor.Finding) bool { return f.Severity.Worse(doctor.Note) }

// printFindings prints findings, the worst last.
func (a *app) printFindings(list []doctor.Finding) {
	slices.SortStableFunc(list, func(f, g doctor.Finding) int {
		switch {
		case f.Severity.Worse(g.Severity):
			return 1
		case g.Severity.Worse(f.Severity):
			return -1
		}
		return 0
	})
	for _, f := range list {
		a.printFinding(f)
	}
}

func severityColour(s doctor.Severity) colour {
	return map[doctor.Severity]colour{doctor.OK: green, doctor.Note: cyan, doctor.Warning: yellow, doctor.Problem: red}[s]
}

// printFinding prints the severity and what was found, and below it why it matters and
// what to do.
func (a *app) printFinding(f doctor.Finding) {
	label := a.out.paint(severityColour(f.Severity), fmt.Sprintf("%-7s", f.Severity))
	found := oneLine(f.Found)
	if f.Subject != "" {
		found = oneLine(f.Subject) + ": " + found
	}
	a.printWrapped("  "+label+"  ", found, "")
	const below = "           "
	if f.Why != "" {
		a.printWrapped(below+a.out.paint(faint, "why")+"  ", oneLine(f.Why), "")
	}
	if f.Mended != "" {
		a.printWrapped(below+a.out.paint(green, "done")+" ", oneLine(f.Mended), "")
		return
	}
	if f.Fix != "" {
		a.printWrapped(below+a.out.paint(faint, "fix")+"  ", oneLine(f.Fix), "")
	}
}

// printWrapped prints words after a label; it indents further lines by the label's width.
func (a *app) printWrapped(label, words string, c colour) {
	width := a.out.textWidth()
	wide := text.StringWidthWithoutEscSequences(label)
	for i, line := range strings.Split(fill(words, max(width-wide, 20)), "\n") {
		if i > 0 {
			label = strings.Repeat(" ", wide)
		}
		fmt.Fprintln(a.out, strings.TrimRight(label+a.out.paint(c, line), " "))
	}
}

func indent(lines string) string { return "  " + strings.ReplaceAll(lines, "\n", "\n  ") }

// tallied returns how many findings of each severity there are.
func (a *app) tallied(x doctor.Examination) string {
	n := map[doctor.Severity]int{}
	mended := 0
	for _, f := range x.Findings {
		if f.Mended != "" {
			mended++
			continue
		}
		n[f.Severity]++
	}
	var parts []string
	for _, s := range []struct {
		severity  doctor.Severity
		one, many string
	}{{doctor.Problem, "problem", "problems"}, {doctor.Warning, "warning", "warnings"}, {doctor.Note, "note", "notes"}} {
		if n[s.severity] > 0 {
			parts = append(parts, a.out.paint(severityColour(s.severity), count(n[s.severity], s.one, s.many)))
		}
	}
	if mended > 0 {
		parts = append(parts, a.out.paint(green, fmt.Sprint(mended, " mended")))
	}
	if len(parts) == 0 {
		return a.out.paint(green, "all is well")
	}
	return strings.Join(parts, ", ")
}

// indented renders a table so that it still fits once [indent] has indented it.
func (a *app) indented(g *grid) string {
	return g.fit(max(a.out.textWidth()-2, 1))
}

func (a *app) serversTable(x doctor.Examination) string {
	if len(x.Servers) < 2 {
		return ""
	}
	t := plainTable()
	t.AppendHeader(table.Row{"SERVER", "VERSION", "SYNC", "CLOCK", "URL"})
	for _, s := range x.Servers {
		sync, clock := "unknown", "unknown"
		if s.Sync != nil {
			if sync = s.Sync.Interval.String(); s.Sync.Always {
				sync = "always"
			}
		}
		if s.Give > 0 {
			clock = fmt.Sprintf("%+dms ±%s", s.Ahead.Milliseconds(), span(s.Give))
		}
		t.AppendRow(table.Row{printable(s.Name), printable(s.Version), sync, clock, printable(s.URL)})
	}
	return a.indented(t)
}

func (a *app) streamsTable(x doctor.Examination) string {
	if len(x.Streams) == 0 {
		return ""
	}
	t := withNumbers(2, 3, 4)
	t.AppendHeader(table.Row{"STREAM", "MESSAGES", "SIZE", "REPLICAS", "LEADER"})
	for _, s := range x.Streams {
		t.AppendRow(table.Row{s.Name, grouped(int(s.Messages)), byteSize(int64(s.Bytes)), s.Replicas, printable(s.Leader)})
	}
	return a.indented(t)
}

func (a *app) executorsTable(x doctor.Examination) string {
	if len(x.Executors) == 0 {
		return ""
	}
	const most = 20
	t := withNumbers(2, 3, 4, 5, 6)
	t.AppendHeader(table.Row{"EXECUTOR", "RUNNING", "SLOTS", "TASKS", "UP", "CLOCK"})
	for i, e := range x.Executors {
		if i == most {
			t.AppendRow(table.Row{fmt.Sprintf("and %d more", len(x.Executors)-most)})
			break
		}
		ahead, give := e.Offset()
		t.AppendRow(table.Row{snip(printable(e.Executor), 30), e.Running, e.Slots, len(e.Tasks), span(e.Now.Sub(e.StartedAt).Round(time.Second)),
			fmt.Sprintf("%+dms ±%s", ahead.Milliseconds(), span(give))})
	}
	return a.indented(t)
}

func (a *app) queuesTable(x doctor.Examination) string {
	if len(x.Queues) == 0 {
		return ""
	}
	t := withNumbers(2, 3, 4, 5)
	t.AppendHeader(table.Row{"QUEUE", "WAITING", "IN HAND", "OLDEST", "EXECUTORS"})
	for _, q := range x.Queues {
		oldest := "-"
		if q.Waiting > 0 {
			oldest = span(q.Oldest)
		}
		name := snip(q.Name, 28)
		if q.Paused {
			name += " (paused)"
		}
		t.AppendRow(table.Row{name, grouped(int(q.Waiting)), grouped(int(q.InHand)), oldest, q.Executors})
	}
	return a.indented(t)
}
