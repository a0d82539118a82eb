package main

import (
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/durable-execution/durable/engine"
)

// A column is a column of a list of executions.
type column struct {
	name   string
	number bool
	cell   func(a *app, x engine.Execution, now time.Time, lost engine.LostExecutors) string
}

// columns are all columns. The default columns come first.
var columns = []column{
	{"execution", false, func(_ *app, x engine.Execution, _ time.Time, _ engine.LostExecutors) string { return x.ID }},
	{"task", false, func(_ *app, x engine.Execution, _ time.Time, _ engine.LostExecutors) string { return x.Task }},
	{"status", false, func(a *app, x engine.Execution, now time.Time, lost engine.LostExecutors) string {
		return a.display(x, now, lost)
	}},
	{"created", false, func(a *app, x engine.Execution, now time.Time, _ engine.LostExecutors) string {
		return a.moment(x.CreatedAt, now)
	}},
	{"attempts", true, func(_ *app, x engine.Execution, _ time.Time, _ engine.LostExecutors) string {
		return grouped(attemptsOf(x))
	}},
	{"duration", true, func(_ *app, x engine.Execution, now time.Time, _ engine.LostExecutors) string {
		return durationOf(x, now)
	}},
	{"error", false, func(_ *app, x engine.Execution, _ time.Time, _ engine.LostExecutors) string { return errorOf(x) }},
	{"queue", false, func(_ *app, x engine.Execution, _ time.Time, _ engine.LostExecutors) string { return x.Queue }},
	{"parent", false, func(_ *app, x engine.Execution, _ time.Time, _ engine.LostExecutors) string { return x.Parent }},
	{"executor", false, func(_ *app, x engine.Execution, _ time.Time, _ engine.LostExecutors) string {
		return oneLine(x.Executor)
	}},
	{"started", false, func(a *app, x engine.Execution, now time.Time, _ engine.LostExecutors) string {
		return a.unless(x.StartedAt, now)
	}},
	{"finished", false, func(a *app, x engine.Execution, now time.Time, _ engine.LostExecutors) string {
		return a.unless(x.FinishedAt, now)
	}},
	{"metadata", false, func(_ *app, x engine.Execution, _ time.Time, _ engine.LostExecutors) string {
		return pairsOf(x.Metadata)
	}},
}

// usualColumns is the number of default columns.
const usualColumns = 7

func columnNames() []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	return names
}

// parseColumns returns the columns with these names.
func parseColumns(names []string) ([]column, error) {
	var list []column
	for _, name := range names {
		i := slices.IndexFunc(columns, func(c column) bool { return strings.EqualFold(c.name, name) })
		if i < 0 {
			return nil, unknown("column", name, columnNames())
		}
		list = append(list, columns[i])
	}
	return list, nil
}

// executionsTable returns a table with a row for each execution. It has the columns that the
// user asked for, or the default ones. It leaves out the default column error if no execution
// has an error, and default columns for which the terminal has no room.
func (a *app) executionsTable(list []engine.Execution, asked []column, now time.Time, lost engine.LostExecutors) *grid {
	shown := asked
	if len(asked) == 0 {
		shown = columns[:usualColumns]
		if !slices.ContainsFunc(list, func(x engine.Execution) bool { return errorOf(x) != "" }) {
			shown = columns[:usualColumns-1]
		}
	}
	g := plainTable()
	var head table.Row
	for i, c := range shown {
		head = append(head, strings.ToUpper(c.name))
		g.numbers[i] = c.number
		g.whole[i] = c.name == "execution" || c.name == "status"
	}
	if len(asked) == 0 {
		g.spare = []int{4, 5, 6}[:len(shown)-4]
	}
	g.AppendHeader(head)
	for _, x := range list {
		var row table.Row
		for _, c := range shown {
			row = append(row, c.cell(a, x, now, lost))
		}
		g.AppendRow(row)
	}
	return g
}

// unless formats a time, or returns an empty text for the zero time.
func (a *app) unless(at, now time.Time) string {
	if at.IsZero() {
		return ""
	}
	return a.moment(at, now)
}

// attemptsOf returns how many attempts have begun. It derives the number from the other fields
// of the record, because lists omit the history. Attempt is the number of the current attempt,
// from 0; while the execution waits for a retry, it is already the number of the next one.
func attemptsOf(x engine.Execution) int {
	if x.Status == engine.Ready || x.StartedAt.IsZero() {
		return x.Attempt
	}
	return x.Attempt + 1
}

// durationOf returns the time from the start of the latest attempt to the end of the
// execution, including its children, or to now if the execution has not finished.
func durationOf(x engine.Execution, now time.Time) string {
	switch {
	case x.StartedAt.IsZero() || x.Status == engine.Ready:
		return ""
	case !x.FinishedAt.IsZero():
		now = x.FinishedAt
	}
	d := max(now.Sub(x.StartedAt), 0)
	if d >= 48*time.Hour {
		return coarse(d)
	}
	return span(d)
}

func errorOf(x engine.Execution) string {
	if x.Failure == nil {
		return ""
	}
	return oneLine(x.Failure.Display())
}
