package main

import (
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/durable-execution/durable/engine"
)

// A column is one that a list of executions may have.
type column struct {
	name   string
	number bool
	cell   func(a *app, x engine.Execution, now time.Time, lost engine.LostExecutors) string
}

// columns are all that there are. Those of the default come first.
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

// usualColumns is how many of the columns a list has unless it is asked for others.
const usualColumns = 7

func columnNames() []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	return names
}

// parseColumns returns the columns with these names; none for no names.
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

// executionsTable is a row for each execution, with the columns that were asked for or the
// usual ones, of which the error is left out where there is none, and some where there is
// no room.
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

// unless is a moment, or nothing where there is none.
func (a *app) unless(at, now time.Time) string {
	if at.IsZero() {
		return ""
	}
	return a.moment(at, now)
}

// attemptsOf counts the attempts that have begun, by what a record says without its
// history: one that is to be tried again counts the next already.
func attemptsOf(x engine.Execution) int {
	if x.Status == engine.Ready || x.StartedAt.IsZero() {
		return x.Attempt
	}
	return x.Attempt + 1
}

// durationOf is how long the latest attempt has taken with all that it led to, until now
// if it has not finished.
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
